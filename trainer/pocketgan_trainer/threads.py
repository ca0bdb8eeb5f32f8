"""How many CPU threads to compute with: one or all, whichever is faster beside whatever else the machine is doing.

Threads of a convolution that share their CPUs with another busy process wait for each other at barriers, and actively, whatever
OMP_WAIT_POLICY says: a training step with two threads takes two to three times as long as with one (scripts/bench_busy.py).
"""

import time
from collections.abc import Callable
from statistics import median

import torch

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
