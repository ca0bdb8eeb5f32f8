"""What onnxruntime makes of a file: kernels counted as they run, weights as the kernels get them."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from lively_generators import lively_generator

from pocketgan.errors import OutputError
from pocketgan.model.card import KernelFacts
from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.comparison import naive_int8
from pocketgan_trainer.export.float_graph import float_graph
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.grids import LATENT_GRID
from pocketgan_trainer.export.layers import Dense, Layer, LeakyRelu, Tanh, ToImage, draw_feeds
from pocketgan_trainer.export.nodes import GraphNotes
from pocketgan_trainer.export.verify import convolution_weights, count_kernels, optimized


def float_model() -> bytes:
    """Return a small generator in float32."""
    layers: list[Layer] = [Dense(np.eye(4), np.zeros(4)), LeakyRelu(0.2), Tanh(), ToImage(1, 2, 2)]
    return float_graph(layers, 4, np.float32).SerializeToString()


def test_kernels_of_a_float_model_are_counted_as_what_they_are() -> None:
    kernels = count_kernels(optimized(float_model()))
    assert kernels.integer == 0
    assert {"Tanh", "Mul", "Cast"} <= set(kernels.floating_point)
    assert list(kernels.floating_point) == sorted(kernels.floating_point)
    assert list(convolution_weights(optimized(float_model()))) == []


def test_a_transposed_convolution_between_integers_is_found() -> None:
    model = float_graph(fold(lively_generator("dcgan")), 100, np.float32)
    kernels = count_kernels(optimized(naive_int8(model, draw_feeds(100, 0, 0, 4))))
    assert kernels.integer > 0  # some of it is as it should be
    assert kernels.floating_point.count("ConvTranspose") == 3


def test_moving_integers_about_is_not_computing() -> None:
    notes = GraphNotes()
    row = notes.node("Gather", "asked", notes.constant("table", np.eye(4, dtype=np.uint8)), "label", axis=0)
    pixels = notes.node("Concat", "pixels", notes.store("z.stored", "z", LATENT_GRID), row, axis=1)
    notes.reshape("images", pixels, [-1, 2, 4])
    assert count_kernels(optimized(notes.model(4, 2, 4, takes_label=True).SerializeToString())) == KernelFacts(0, ())


@pytest.mark.parametrize("contents", [b"", b"not a model", float_model()[:-20]], ids=["empty", "text", "truncated"])
def test_what_onnxruntime_does_not_load_is_refused(contents: bytes) -> None:
    with pytest.raises(ExportError, match="onnxruntime does not load the exported model: ") as caught:
        optimized(contents)
    assert "\n" not in str(caught.value)


def test_without_room_for_a_temporary_file_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(OutputError, match=r"cannot write temporary files to .*gone: No such file or directory"):
        optimized(float_model())
