"""A report of a training run for tests to look into."""

from torch import Tensor

from pocketgan_trainer.training.progress import Means, Progress
from pocketgan_trainer.watch.signs import Observation, Sign


class SilentReport:
    """A report that keeps what it gets."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []
        """Epoch and step of each call."""
        self.skipped_steps: list[int] = []
        self.troubles: list[str] = []
        self.epochs: list[tuple[Progress, Means, Observation]] = []
        self.warnings: list[tuple[int, str]] = []
        """Epoch and key of each."""

    def step(self, progress: Progress, sums: Tensor) -> None:
        """Keep the position."""
        self.steps.append((progress.epoch, progress.step))

    def skipped(self, step: int) -> None:
        """Keep its number."""
        self.skipped_steps.append(step)

    def trouble(self, message: str) -> None:
        """Keep the message."""
        self.troubles.append(message)

    def epoch(self, progress: Progress, measured: Means, seen: Observation, warnings: list[Sign]) -> None:
        """Keep everything."""
        self.epochs.append((progress, measured, seen))
        self.warnings += [(progress.epoch, sign.key) for sign in warnings]
