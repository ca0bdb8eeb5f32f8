"""What a person sees of a run: a live bar on a terminal, one line an epoch everywhere."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
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
        self._shown_images: int | None = None
        self._epoch_images: int | None = None
        self._bar = Bar(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[numbers]}"),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            speed_estimate_period=120,
        )
        self._task = self._bar.add_task("", total=epochs * steps_per_epoch, epoch=1, epochs=epochs, numbers="")

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
        if self._shown_images is None or self._epoch_images is None:
            self._shown_images = self._epoch_images = progress.images_seen
            self._shown_at = self._epoch_began_at = now
        elif self._console.is_terminal and now - self._shown_at > _REFRESH_SECONDS:
            rate = (progress.images_seen - self._shown_images) / (now - self._shown_at)
            self._bar.update(
                self._task,
                completed=progress.epoch * self._steps_per_epoch + progress.step,
                epoch=progress.epoch + 1,
                numbers=f"{rate:,.0f} images/s  {_numbers(means(sums, progress.step))}",
            )
            self._shown_at, self._shown_images = now, progress.images_seen

    def epoch(self, progress: Progress, measured: Means, score: float) -> None:
        """Print the line of a finished epoch."""
        now = time.monotonic()
        seconds = now - self._epoch_began_at
        rate = (progress.images_seen - (self._epoch_images or 0)) / max(seconds, 1e-9)
        remaining = round(seconds * (self._epochs - progress.epoch))
        self._console.print(
            f"epoch {progress.epoch}/{self._epochs}  {rate:,.0f} images/s  ETA {_clock(remaining)}  {_numbers(measured)}"
            f"  pixel Frechet {score:.3f}{'  best' if score == progress.best_score else ''}",
        )
        self._epoch_began_at, self._epoch_images = now, progress.images_seen


def _numbers(measured: Means) -> str:
    return (
        f"loss G {measured.generator_loss:.3f} D {measured.discriminator_loss:.3f}"
        f"  D(x) {measured.real_score:.2f} D(G(z)) {measured.fake_score:.2f}"
    )


def _clock(seconds: int) -> str:
    """Return a duration as hours, minutes and seconds."""
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
