"""What a person sees of a run: a live bar on a terminal, one line an epoch everywhere."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from torch import Tensor

from pocketgan_trainer.training.progress import Means, Progress, means

_REFRESH_SECONDS = 0.5


class ConsoleReport:
    """Reports to `console`; use it as a context manager around the run."""

    def __init__(self, console: Console, epochs: int, steps_per_epoch: int) -> None:
        self._console = console
        self._epochs = epochs
        self._steps_per_epoch = steps_per_epoch
        self._shown_at = self._epoch_began_at = time.monotonic()
        self._shown_images = self._epoch_images = 0
        self._bar = Bar(
            # Two lines, so that they fit on a terminal of 80 columns.
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(bar_width=12),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[numbers]}"),
            console=console,
            disable=not console.is_terminal,
            speed_estimate_period=120,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> "ConsoleReport":
        """Show the bar, on a terminal."""
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Take the bar away."""
        self._bar.stop()

    def step(self, progress: Progress, sums: Tensor) -> None:
        """Move the bar, at most twice a second."""
        now = time.monotonic()
        completed = progress.epoch * self._steps_per_epoch + progress.step
        if self._task is None:
            # A resumed run starts in the middle: neither the bar nor the rates may take that for speed.
            total = self._epochs * self._steps_per_epoch
            epoch, epochs = progress.epoch + 1, self._epochs
            self._task = self._bar.add_task("", total=total, completed=completed, epoch=epoch, epochs=epochs, numbers="")
            self._shown_images = self._epoch_images = progress.images_seen
            self._shown_at = self._epoch_began_at = now
        elif self._console.is_terminal and now - self._shown_at > _REFRESH_SECONDS:
            rate = (progress.images_seen - self._shown_images) / (now - self._shown_at)
            numbers = f"{rate:,.0f} images/s\n{_numbers(means(sums, progress.step))}"
            self._bar.update(self._task, completed=completed, epoch=progress.epoch + 1, numbers=numbers)
            self._shown_at, self._shown_images = now, progress.images_seen

    def epoch(self, progress: Progress, measured: Means, score: float) -> None:
        """Print the line of a finished epoch."""
        now = time.monotonic()
        rate = (progress.images_seen - self._epoch_images) / max(now - self._epoch_began_at, 1e-9)
        # From the rate, because the first epoch after a resumption is a part of one; an epoch of a single step has none.
        images_to_come = (self._epochs - progress.epoch) * progress.images_seen / progress.epoch
        remaining = clock(round(images_to_come / rate)) if rate else "unknown"
        self._console.print(
            f"epoch {progress.epoch}/{self._epochs}  {rate:,.0f} images/s  ETA {remaining}  {_numbers(measured)}"
            f"  Frechet ratio {score:.3f}{'  best' if progress.is_best(score) else ''}"
        )
        self._epoch_began_at, self._epoch_images = now, progress.images_seen


def _numbers(measured: Means) -> str:
    return (
        f"loss G {measured.generator_loss:.3f} D {measured.discriminator_loss:.3f}"
        f"  D(x) {measured.real_score:.2f} D(G(z)) {measured.fake_score:.2f}"
    )


def clock(seconds: int) -> str:
    """Return a duration as hours, minutes and seconds."""
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
