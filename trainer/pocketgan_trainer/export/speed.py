"""How fast two models are beside each other, on one thread."""

import statistics
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketgan.session import Provider, open_session

_ROUND_SECONDS = 0.05


@dataclass(frozen=True)
class SpeedRatio:
    """What was measured, and how much it scattered."""

    median: float
    """How many times as fast the model is as the baseline."""
    lowest: float
    highest: float


def speed_ratio(model: bytes, baseline: bytes, latent: NDArray[np.float32], rounds: int) -> SpeedRatio:
    """Return how many times as fast `model` draws the latents, float32 [batch, size], as `baseline` does.

    Both are ONNX files on the CPU with one thread each, timed in turn in short rounds, so that whatever else the machine does
    meets both.
    """
    sessions = [open_session(contents, "fp32", Provider.cpu).session for contents in (model, baseline)]
    repeats = []
    for session in sessions:
        session.run(["images"], {"z": latent})
        began = time.perf_counter()
        session.run(["images"], {"z": latent})
        repeats.append(max(1, round(_ROUND_SECONDS / (time.perf_counter() - began))))
    ratios = []
    for _ in range(rounds):
        seconds = []
        for session, count in zip(sessions, repeats, strict=True):
            began = time.perf_counter()
            for _ in range(count):
                session.run(["images"], {"z": latent})
            seconds.append((time.perf_counter() - began) / count)
        ratios.append(seconds[1] / seconds[0])
    return SpeedRatio(statistics.median(ratios), min(ratios), max(ratios))
