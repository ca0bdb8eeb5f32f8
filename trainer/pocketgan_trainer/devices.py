"""Chooses the device to train on and the number of CPU threads."""

import time
from collections.abc import Callable
from statistics import median

import torch

from pocketgan_trainer.errors import TrainingError


def choose_device(name: str, number: int = 0) -> torch.device:
    """Return the device for `auto`, `cpu` or `cuda`; if there are several CUDA devices, that of index `number`.

    `auto` means CUDA if torch finds a device, else the CPU. Raises TrainingError if torch finds no such CUDA device.
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
    """Return whether the device multiplies bfloat16 matrices natively; emulation is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))


LEAST_GAIN = 1.3
"""All threads are used only if they are this many times as fast as one thread: other programs need the CPUs, too."""

_ROUNDS = 3
_SECONDS = 0.1
"""The shortest time of a measurement."""
_CLEARLY_SLOWER = 2
"""If all threads take this many times as long as one thread, the first round is enough."""


def choose_threads(work: Callable[[], object], most: int) -> int:
    """Choose the number of threads for torch to do `work` with, set it and return it: `most` if that is clearly faster, else 1.

    The two are timed alternately and their medians compared, so that other processes slow both down equally.
    """
    times: dict[int, list[float]] = {1: [], most: []}
    for _ in range(_ROUNDS if most > 1 else 0):
        for threads, found in times.items():
            torch.set_num_threads(threads)
            if not found:
                work()  # warm up
            found.append(_seconds(work))
        if times[most][0] > _CLEARLY_SLOWER * times[1][0]:
            break
    is_faster = most > 1 and median(times[most]) * LEAST_GAIN < median(times[1])
    torch.set_num_threads(most if is_faster else 1)
    return most if is_faster else 1


def _seconds(work: Callable[[], object]) -> float:
    """Return the mean time of a call of `work`, over at least _SECONDS."""
    began, count = time.perf_counter(), 0
    while not count or time.perf_counter() - began < _SECONDS:
        work()
        count += 1
    return (time.perf_counter() - began) / count
