"""How fast two models are beside each other, on one thread."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pocketgan.session import Provider, open_session

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
