"""What an exported file is compared with: other files of the same generator."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from pocketgan.session import Provider, open_session
from pocketgan_trainer.export.calibration import CALIBRATION_SEED
from pocketgan_trainer.export.feeds import draw_feeds
from pocketgan_trainer.export.layers import Layer, classes
from pocketgan_trainer.export.naive_quantization import NAIVE_IMAGES, naive_int8
from pocketgan_trainer.export.speed import SpeedRatio, speed_ratios
from pocketgan_trainer.export.verify import compare

FLOAT_FILE, NAIVE_FILE = "float32", "quantize_static"
"""The generator in float32, and what onnxruntime's own quantizer makes of that."""

SPEED_BATCH = 64
_ROUNDS = 7


@dataclass(frozen=True)
class Comparison:
    """A file that an exported one is compared with."""

    size_bytes: int
    psnr_db: float
    """How near its images are to torch's."""
    speed: SpeedRatio
    """How many times as fast the exported file is as this one."""


def baselines(float_model: onnx.ModelProto, precision: str, layers: list[Layer], latent_size: int) -> dict[str, bytes]:
    """Return what a file of a precision is compared with, by their names: files of the same generator, whose layers these are.

    int8 is compared with the float32 model and what quantize_static makes of that, float16 with float32, float32 with nothing.
    Raises OutputError if there is no room for quantize_static's temporary files.
    """
    files = {} if precision == "fp32" else {FLOAT_FILE: float_model.SerializeToString()}
    if precision == "int8":
        measured_on = draw_feeds(latent_size, classes(layers), CALIBRATION_SEED, NAIVE_IMAGES)
        files[NAIVE_FILE] = naive_int8(float_model, measured_on)
    return files


def compared_with(
    files: Mapping[str, bytes], contents: bytes, feeds: Mapping[str, NDArray[np.generic]], reference: NDArray[np.uint8]
) -> dict[str, Comparison]:
    """Return what other files of the same generator are, by their names, and how many times as fast a model is as they are.

    `feeds` are the inputs by name, of which torch draws the images `reference`, uint8 [N, H, W]. All files are timed in one run,
    on the first SPEED_BATCH inputs and one thread.
    """
    batch = {name: values[:SPEED_BATCH] for name, values in feeds.items()}
    speeds = speed_ratios(contents, list(files.values()), batch, _ROUNDS)
    results = {}
    for (name, other), speed in zip(files.items(), speeds, strict=True):
        (images,) = open_session(other, "fp32", Provider.cpu).session.run(["images"], feeds)
        results[name] = Comparison(len(other), compare(images, reference).psnr_db, speed)
    return results
