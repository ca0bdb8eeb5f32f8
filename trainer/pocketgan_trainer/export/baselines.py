"""What an exported file's speed is compared with: other files of the same generator."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pocketgan.latents import latents
from pocketgan_trainer.export.calibration import CALIBRATION_SEED
from pocketgan_trainer.export.float_graph import float_graph
from pocketgan_trainer.export.layers import Layer, classes
from pocketgan_trainer.export.naive_quantization import NAIVE_IMAGES, naive_int8
from pocketgan_trainer.export.speed import SpeedRatio, speed_ratios

FLOAT_FILE, NAIVE_FILE = "float32", "quantize_static"
"""The generator in float32, and what onnxruntime's own quantizer makes of that."""

SPEED_BATCH = 64
_ROUNDS = 7


def draw_feeds(latent_size: int, class_count: int, seed: int, count: int) -> dict[str, NDArray[np.generic]]:
    """Return a model's inputs by name: latents of a seed, and the classes in turn if it has any."""
    feeds: dict[str, NDArray[np.generic]] = {"z": latents(seed, 0, count, latent_size)}
    return {**feeds, "label": np.arange(count) % class_count} if class_count else feeds


def speed_beside_baselines(
    contents: bytes, precision: str, layers: list[Layer], latent_size: int
) -> tuple[int, Mapping[str, SpeedRatio]]:
    """Return the size of the float32 file in bytes, and how many times as fast a model is as its baselines, by their names.

    All are timed in one run, at batch SPEED_BATCH on one thread. float32 itself has no baseline, float16 has float32 alone.
    Raises OutputError if there is no room for quantize_static's temporary files.
    """
    float_model = float_graph(layers, latent_size, np.float32)
    float_contents = float_model.SerializeToString(deterministic=True)
    baselines = {} if precision == "fp32" else {FLOAT_FILE: float_contents}
    if precision == "int8":
        measured_on = draw_feeds(latent_size, classes(layers), CALIBRATION_SEED, NAIVE_IMAGES)
        baselines[NAIVE_FILE] = naive_int8(float_model, measured_on)
    feeds = draw_feeds(latent_size, classes(layers), CALIBRATION_SEED, SPEED_BATCH)
    ratios = speed_ratios(contents, list(baselines.values()), feeds, _ROUNDS)
    return len(float_contents), dict(zip(baselines, ratios, strict=True))
