"""Chooses the device to train on and the number of CPU threads."""

import time
from collections.abc import Callable
from statistics import median

import torch

from pocketgan_trainer.errors import TrainingError


def choose_device(name: str, number: int = 0) -> torch.device:
    """Return the device for `auto`, `cpu` or `cuda`; `auto` takes CUDA where there is one, and of several that with this number.

    Raises TrainingError if CUDA was asked for and torch finds none, or fewer than that.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise TrainingError("--device cuda: torch finds no CUDA device here; use --device cpu, or install a CUDA build of torch")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return torch.device("cpu")
    if number >= torch.cuda.device_count():
        raise TrainingError(f"process {number} of this machine has no GPU: torch finds {torch.cuda.device_count()}; start fewer")
    return torch.device("cuda", number)


def supports_bfloat16(device: torch.device) -> bool:
    """Say whether the device multiplies bfloat16 matrices natively; elsewhere it is emulated and slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))


LEAST_GAIN = 1.3
"""All threads must be this many times as fast as one: for less they are not worth what they take from others."""

_ROUNDS = 3
_SECONDS = 0.1
"""Of a measurement, at least."""
_HOPELESS = 2
"""Where all threads take this many times as long as one, a single measurement is enough."""


def choose_threads(work: Callable[[], object], most: int) -> int:
    """Return 1 or `most`: with how many threads torch does a piece of work faster, if it clearly does; and set that number.

    Both are measured in turn, and their medians compared, so that what other processes do meanwhile disturbs both alike.
    """
    times: dict[int, list[float]] = {1: [], most: []}
    for _ in range(_ROUNDS if most > 1 else 0):
        for threads, found in times.items():
            torch.set_num_threads(threads)
            if not found:
                work()  # the first time, it prepares what the others use
            found.append(_seconds(work))
        if times[most][0] > _HOPELESS * times[1][0]:
            break
    is_faster = most > 1 and median(times[most]) * LEAST_GAIN < median(times[1])
    torch.set_num_threads(most if is_faster else 1)
    return most if is_faster else 1


def _seconds(work: Callable[[], object]) -> float:
    """Return how long a piece of work takes, on average over as many as fill the time of a measurement."""
    began, count = time.perf_counter(), 0
    while not count or time.perf_counter() - began < _SECONDS:
        work()
        count += 1
    return (time.perf_counter() - began) / count
