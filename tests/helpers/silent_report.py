"""A report of a training run for tests to look into."""

from torch import Tensor

from pocketgan_trainer.training.progress import Means, Progress


class SilentReport:
    """A report that keeps what it is told."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []
        """Epoch and step of each call."""
        self.epochs: list[tuple[Progress, Means, float]] = []

    def step(self, progress: Progress, sums: Tensor) -> None:
        """Keep the position."""
        self.steps.append((progress.epoch, progress.step))

    def epoch(self, progress: Progress, measured: Means, score: float) -> None:
        """Keep everything."""
        self.epochs.append((progress, measured, score))
