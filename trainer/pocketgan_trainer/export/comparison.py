"""Compares an exported file with others of the same generator, float32 and onnxruntime's own quantization, in size and speed."""

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
from pocketgan_trainer.export.layers import model_inputs
from pocketgan_trainer.export.verify import before_scan, measure_parity

FLOAT_FILE, NAIVE_FILE = "float32", "quantize_static"
"""Names of the baselines: the generator in float32, and what onnxruntime's own quantizer makes of that."""
NAIVE_IMAGES = 128
"""The number of images on which quantize_static measures ranges."""
SPEED_BATCH = 64
_ROUNDS = 7
_ROUND_SECONDS = 0.05


@dataclass(frozen=True)
class SpeedRatio:
    """How many times as fast one file is as another."""

    median: float
    """Of the rounds in which both were timed."""
    lowest: float
    highest: float


@dataclass(frozen=True)
class Baseline:
    """A file of the same generator that an exported file is compared with."""

    size_bytes: int
    psnr_db: float
    """How near its images are to torch's."""
    speed: SpeedRatio
    """How many times as fast the exported file is as this one."""


def baseline_files(float_model: onnx.ModelProto, precision: str, classes: int, latent_size: int) -> dict[str, bytes]:
    """Return the files that a file of a precision is compared with, by name, made from the same generator in float32.

    int8 is compared with float32 and with what quantize_static makes of it, float16 with float32, float32 with nothing. Raises
    OutputError if there is no room for quantize_static's temporary files.
    """
    files = {} if precision == "fp32" else {FLOAT_FILE: float_model.SerializeToString()}
    if precision == "int8":
        sample = model_inputs(latent_size, classes, CALIBRATION_SEED, NAIVE_IMAGES)
        files[NAIVE_FILE] = naive_int8(float_model, sample)
    return files


def measure_baselines(
    files: Mapping[str, bytes],
    contents: bytes,
    inputs: Mapping[str, NDArray[np.generic]],
    reference: NDArray[np.uint8],
) -> dict[str, Baseline]:
    """Return the size, parity and speed of each of `files`, by name, the speed compared with the model `contents`.

    `inputs` are the models' inputs by name, from which torch draws `reference`, uint8 [N, H, W]: images, or the fields of a model
    with a scan. All files are timed in one run, on the first SPEED_BATCH inputs and one thread.
    """
    batch = {name: values[:SPEED_BATCH] for name, values in inputs.items()}
    speeds = speed_ratios(contents, list(files.values()), batch, _ROUNDS)
    baselines = {}
    for (name, file), speed in zip(files.items(), speeds, strict=True):
        (pixels,) = open_session(before_scan(file), "fp32", Provider.cpu).session.run(None, inputs)
        baselines[name] = Baseline(len(file), measure_parity(pixels, reference).psnr_db, speed)
    return baselines


def speed_ratios(
    model: bytes, baselines: Sequence[bytes], inputs: Mapping[str, NDArray[np.generic]], rounds: int
) -> list[SpeedRatio]:
    """Return how many times as fast `model` draws a batch as each of `baselines`, given the `inputs` by name.

    All are ONNX files, timed in the same run on the CPU with one thread each.
    """
    sessions = [open_session(contents, "fp32", Provider.cpu).session for contents in (model, *baselines)]
    timed = side_by_side([partial(session.run, ["images"], inputs) for session in sessions], rounds)
    by_baseline = [[others[position] / own for own, *others in timed] for position in range(len(baselines))]
    return [SpeedRatio(statistics.median(ratios), min(ratios), max(ratios)) for ratios in by_baseline]


def side_by_side(tasks: Sequence[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Return the seconds that each task took in each round, [rounds][tasks].

    The tasks take turns in short rounds, so that other work on the machine slows all of them down alike.
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


def naive_int8(model: onnx.ModelProto, inputs: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Return the file that `quantize_static` makes of a float model, with ranges measured on one batch of `inputs`.

    Raises OutputError if there is no room for its temporary files.
    """
    try:
        with tempfile.TemporaryDirectory() as folder, _without_warnings():
            source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
            onnx.save(model, source)
            quantize_static(source, target, OneBatch(inputs), quant_format=QuantFormat.QDQ)
            return target.read_bytes()
    except OSError as error:
        raise OutputError(f"cannot write temporary files to {tempfile.gettempdir()}: {error.strerror}") from error


class OneBatch(CalibrationDataReader):  # type: ignore[misc]
    """Inputs to calibrate on, as onnxruntime's quantizers read them."""

    def __init__(self, inputs: Mapping[str, NDArray[np.generic]]) -> None:
        self._batches = iter([dict(inputs)])

    def get_next(self) -> dict[str, NDArray[np.generic]] | None:
        """Return all inputs the first time, then None."""
        return next(self._batches, None)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Hide quantize_static's advice to optimize the model first, which users of gan-export cannot follow."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
