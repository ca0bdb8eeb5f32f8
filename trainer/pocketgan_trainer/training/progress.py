"""The position of a run, and what it has measured in its current epoch."""

import time
from dataclasses import dataclass, replace
from reprlib import repr as shortened

import torch
from torch import Tensor

from pocketgan_trainer.processes import ALONE, Processes
from pocketgan_trainer.training.steps import StepStatistics

SCORE_NOISE = 0.1
"""The share by which an epoch's Frechet ratio varies with other latents, see docs/experiments.md.

Of two scores within this share, the later epoch is preferred: it has learned more and, with a falling rate, settled more.
"""

_LARGEST = 2**60
"""No count, time or score of a run comes near this."""


@dataclass(frozen=True)
class Progress:
    """The position of a run between two steps; saved with every checkpoint."""

    epoch: int = 0
    """Epochs completed."""
    step: int = 0
    """Steps done in the current epoch."""
    images_seen: int = 0
    """Real images shown to the discriminator since the run began."""
    seconds: float = 0.0
    """Time spent training, from the start through all resumptions."""
    best_score: float | None = None
    """Lowest `Observation.score` of any epoch so far, None before the first. That of an earlier version had fewer factors: a run
    that such a version began may choose its best epoch by one score before it was resumed, and by another one after."""
    statistics_frozen: bool = False
    """Whether the generator's normalization uses fixed statistics; once it does, it does until the end of the run."""

    def __post_init__(self) -> None:
        """Raise ValueError if no run can have this position."""
        counts = (self.epoch, self.step, self.images_seen)
        times = (self.seconds,) if self.best_score is None else (self.seconds, self.best_score)
        if not all(type(count) is int and 0 <= count <= _LARGEST for count in counts):
            raise ValueError(f"epoch, step and images seen are {shortened(counts)}, expected whole numbers from 0")
        if not all(type(value) in (int, float) and 0 <= value <= _LARGEST for value in times):
            raise ValueError(f"seconds and best score are {shortened(times)}, expected finite numbers from 0")
        if type(self.statistics_frozen) is not bool:
            raise ValueError(f"statistics_frozen is {shortened(self.statistics_frozen)}, expected true or false")

    def is_best(self, score: float) -> bool:
        """Return whether an epoch with this score becomes the best: it may exceed the lowest score by SCORE_NOISE."""
        return self.best_score is None or score <= self.best_score * (1 + SCORE_NOISE)

    def after_step(self, images: int, seconds: float) -> "Progress":
        """Return the position after one more step of `images` images, `seconds` later."""
        return replace(self, step=self.step + 1, images_seen=self.images_seen + images, seconds=self.seconds + seconds)

    def after_epoch(self, score: float | None, seconds: float) -> "Progress":
        """Return the position after the last step of an epoch with this score, `seconds` later.

        Processes that do not evaluate images pass None.
        """
        known = [value for value in (score, self.best_score) if value is not None]
        best_score = min(known) if known else None
        return replace(self, epoch=self.epoch + 1, step=0, best_score=best_score, seconds=self.seconds + seconds)


class Stopwatch:
    """A stopwatch that restarts each time it is read."""

    def __init__(self) -> None:
        self._began_at = time.monotonic()

    def seconds(self) -> float:
        """Return the seconds since the last reading, or since the start."""
        began_at, self._began_at = self._began_at, time.monotonic()
        return self._began_at - began_at


@dataclass(frozen=True)
class Means:
    """The means of an epoch's step statistics so far."""

    generator_loss: float
    discriminator_loss: float
    real_score: float
    fake_score: float


def zero_sums(device: torch.device) -> Tensor:
    """Return the sums at the start of an epoch, float64 [5]: of the fields of Means, and the number of steps."""
    return torch.zeros(5, dtype=torch.float64, device=device)


def add_statistics(sums: Tensor, statistics: StepStatistics, processes: Processes = ALONE) -> None:
    """Add one step of all `processes` to `sums`, see `zero_sums`, without waiting for the device."""
    one = torch.ones((), device=sums.device)
    step = torch.stack(
        [statistics.generator_loss, statistics.discriminator_loss, statistics.real_score, statistics.fake_score, one]
    )
    sums += processes.mean(step.double())


def means(sums: Tensor) -> Means:
    """Return the means over the steps of these sums, see `zero_sums`."""
    *totals, steps = sums.tolist()
    return Means(*(total / max(steps, 1) for total in totals))
