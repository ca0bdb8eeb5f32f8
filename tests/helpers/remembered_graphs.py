"""Makes exports quick for tests that are not about the graph: it is built only once."""

import pickle
from collections.abc import Callable

import onnx

from pocketgan_trainer.export import calibration, comparison, exporter, rounding, weights
from pocketgan_trainer.export.exporter import build_graph
from pocketgan_trainer.export.layers import Layer

_FEW_SCALES = weights._SCALE_CANDIDATES[::4]
_GRAPHS: dict[bytes, bytes] = {}


def _remembered(layers: list[Layer], latent_size: int, precision: str) -> onnx.ModelProto:
    key = pickle.dumps((layers, latent_size, precision))
    if key not in _GRAPHS:
        _GRAPHS[key] = build_graph(layers, latent_size, precision).SerializeToString(deterministic=True)
    return onnx.load_from_string(_GRAPHS[key])


def remember_graphs(set_attribute: Callable[[object, str, object], None]) -> None:
    """Let `exporter.export` build the graph of the same layers only once and quickly, and measure the speed briefly.

    `set_attribute` is that of pytest's monkeypatch.
    """
    set_attribute(calibration, "CALIBRATION_IMAGES", 64)
    set_attribute(exporter, "ROUNDING_IMAGES", 1024)
    set_attribute(rounding, "_CONVOLUTION_IMAGES", 32)
    set_attribute(weights, "_SCALE_CANDIDATES", _FEW_SCALES)
    set_attribute(exporter, "build_graph", _remembered)
    set_attribute(comparison, "_ROUNDS", 1)
    set_attribute(comparison, "_ROUND_SECONDS", 0.001)
