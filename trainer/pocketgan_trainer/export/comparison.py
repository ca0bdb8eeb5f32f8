"""Compares an exported file with others of the same generator: float32 and onnxruntime's own quantization, in size and speed."""

import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

from pocketgan.errors import OutputError
from pocketgan.model.session import Provider, open_session
from pocketgan_trainer.export.calibration import CALIBRATION_SEED
from pocketgan_trainer.export.layers import Layer, classes, draw_feeds
from pocketgan_trainer.export.verify import compare

_ROUND_SECONDS = 0.05


@dataclass(frozen=True)
class SpeedRatio:
    """What was measured, and how much it scattered."""

    median: float
    """How many times as fast the model is as the baseline: the median of the rounds."""
    lowest: float
    highest: float


def speed_ratios(
    model: bytes, baselines: Sequence[bytes], feeds: Mapping[str, NDArray[np.generic]], rounds: int
) -> list[SpeedRatio]:
    """Return how many times as fast `model` draws a batch as each of `baselines` does, given the inputs `feeds` by name.

    All are ONNX files on the CPU with one thread each, timed in the same run.
    """
    sessions = [open_session(contents, "fp32", Provider.cpu).session for contents in (model, *baselines)]
    timed = side_by_side([partial(session.run, ["images"], feeds) for session in sessions], rounds)
    by_baseline = [[others[position] / own for own, *others in timed] for position in range(len(baselines))]
    return [SpeedRatio(statistics.median(ratios), min(ratios), max(ratios)) for ratios in by_baseline]


def side_by_side(tasks: Sequence[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Return for each round how many seconds each task took, in the order of the tasks.

    They are timed in turn in short rounds, so that whatever else the machine does meets all of them.
    """
    repeats = []
    for task in tasks:
        task()
        began = time.perf_counter()
        task()
        repeats.append(max(1, round(_ROUND_SECONDS / (time.perf_counter() - began))))
    results = []
    for _ in range(rounds):
        seconds = []
        for task, count in zip(tasks, repeats, strict=True):
            began = time.perf_counter()
            for _ in range(count):
                task()
            seconds.append((time.perf_counter() - began) / count)
        results.append(seconds)
    return results


NAIVE_IMAGES = 128
"""On so many images it measures ranges."""


def naive_int8(model: onnx.ModelProto, feeds: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Return the file that `quantize_static` makes of a float model, with ranges from what it computes of the inputs `feeds`.

    Raises OutputError if there is no room for its temporary files.
    """
    try:
        with tempfile.TemporaryDirectory() as folder, _quiet():
            source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
            onnx.save(model, source)
            quantize_static(source, target, _OneBatch(feeds), quant_format=QuantFormat.QDQ)
            return target.read_bytes()
    except OSError as error:
        raise OutputError(f"cannot write temporary files to {tempfile.gettempdir()}: {error.strerror}") from error


class _OneBatch(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, feeds: Mapping[str, NDArray[np.generic]]) -> None:
        self._batches = iter([dict(feeds)])

    def get_next(self) -> dict[str, NDArray[np.generic]] | None:
        return next(self._batches, None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep its advice to optimize the model first off the terminal: users of gan-export cannot follow it."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


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
