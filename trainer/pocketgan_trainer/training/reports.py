"""Shows a run: on the console while it runs and when it ends, and in TensorBoard's event files."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from types import TracebackType
from typing import TextIO

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from torch import Tensor

from pocketgan.contact_sheet import contact_sheet
from pocketgan.errors import OutputError
from pocketgan.output.terminal import show_images
from pocketgan_trainer.errors import TrainExtraMissingError, TrainingError
from pocketgan_trainer.training.progress import Means, Progress, means
from pocketgan_trainer.training.run_folder import RunFolder
from pocketgan_trainer.watch.observation import Observation, figures_in_words
from pocketgan_trainer.watch.signs import Sign, merged, standing_signs

_REFRESH_SECONDS = 0.5
_SECONDS_BETWEEN_LINES = 60
"""Where there is no bar, a line says how far an epoch is, this long after the last line."""
_SHOWN_SKIPPED_STEPS = 3
"""After this number of skipped steps in an epoch, only their number is printed."""
_SLOWED = 3
"""An epoch that takes this many times as long as the fastest gets a warning: on busy CPUs, threads wait for each other."""
_SHOWN_IMAGES = 10


class ConsoleReport:
    """Prints to `console`, a PlainConsole; use it as a context manager around the run."""

    def __init__(
        self, console: Console, epochs: int, steps_per_epoch: int, cpu_threads: int = 1, shown_on: TextIO | None = None
    ) -> None:
        self._console = console
        self._shown_on = shown_on
        """The stream on which some images of each epoch are shown, as one picture that fits the terminal."""
        self._epochs = epochs
        self._steps_per_epoch = steps_per_epoch
        self._cpu_threads = cpu_threads
        self._shown_at = self._epoch_began_at = time.monotonic()
        self._shown_images = self._epoch_images = 0
        self._best_rate = 0.0
        """Images per second, of the fastest epoch so far."""
        self._skipped_steps = 0
        """Of the current epoch."""
        self._shown_troubles: set[str] = set()
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
            transient=True,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> "ConsoleReport":
        """Show the bar, on a terminal."""
        self._show_bar()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Remove the bar."""
        self._hide_bar()

    def _show_bar(self) -> None:
        if self._console.is_terminal:
            self._bar.start()

    def _hide_bar(self) -> None:
        if self._console.is_terminal:  # elsewhere, some versions of rich would print an empty line
            self._bar.stop()

    def step(self, progress: Progress, sums: Tensor) -> None:
        """Move the bar, at most twice a second."""
        now = time.monotonic()
        completed = progress.epoch * self._steps_per_epoch + progress.step
        if self._task is None:
            # What a resumed run did before must not count in its rates.
            total = self._epochs * self._steps_per_epoch
            epoch, epochs = progress.epoch + 1, self._epochs
            self._task = self._bar.add_task("", total=total, completed=completed, epoch=epoch, epochs=epochs, numbers="")
            self._shown_images = self._epoch_images = progress.images_seen
            self._shown_at = self._epoch_began_at = now
        elif now - self._shown_at > (_REFRESH_SECONDS if self._console.is_terminal else _SECONDS_BETWEEN_LINES):
            rate = (progress.images_seen - self._shown_images) / (now - self._shown_at)
            measured = means(sums)
            speed, scores = f"{rate:,.0f} images/s", f"D(x) {measured.real_score:.2f} D(G(z)) {measured.fake_score:.2f}"
            numbers = f"{speed}\n{_losses(measured)}  {scores}"
            self._bar.update(self._task, completed=completed, epoch=progress.epoch + 1, numbers=numbers)
            if not self._console.is_terminal:
                share = f"{progress.step / self._steps_per_epoch:.0%}"
                self._console.print(f"    {share} of epoch {progress.epoch + 1}  {speed}  {_losses(measured)}")
            self._shown_at, self._shown_images = now, progress.images_seen
        if progress.step == self._steps_per_epoch:
            self._bar.update(self._task, completed=completed, numbers="comparing images with real ones")

    def skipped(self, step: int) -> None:
        """Print that a step was skipped, for the first few in an epoch."""
        self._skipped_steps += 1
        if self._skipped_steps <= _SHOWN_SKIPPED_STEPS:
            self._console.print(f"warning: NaN in step {step:,}: skipped; if there are many, try a lower --lr")

    def trouble(self, message: str) -> None:
        """Print a line the first time that it is reported."""
        if message not in self._shown_troubles:
            self._shown_troubles.add(message)
            self._console.print(f"warning: {message}")

    def epoch(
        self, progress: Progress, measured: Means, seen: Observation, warnings: list[Sign], images: NDArray[np.uint8]
    ) -> None:
        """Print the figures of a finished epoch and new warnings, and show some images if that was asked for."""
        now = time.monotonic()
        rate = (progress.images_seen - self._epoch_images) / max(now - self._epoch_began_at, 1e-9)
        # From the rate, because the first epoch after resuming may be a part of one; an epoch of a single step has no rate.
        images_to_come = (self._epochs - progress.epoch) * progress.images_seen / progress.epoch
        remaining = clock(round(images_to_come / rate)) if rate else "unknown"
        self._console.print(
            f"epoch {progress.epoch}/{self._epochs}  ETA {remaining}  {_losses(measured)}"
            f"  Frechet ratio {seen.frechet_ratio:.3f}{'  best' if progress.is_best(seen.score) else ''}"
        )
        if self._skipped_steps > _SHOWN_SKIPPED_STEPS:
            self._console.print(f"    warning: {self._skipped_steps:,} steps of this epoch were skipped")
        self._skipped_steps = 0
        for sign in merged(warnings):
            self._console.print(f"    warning: {sign.message}; try {sign.advice}")
        if self._cpu_threads > 1 and _SLOWED * rate < self._best_rate:
            slowed = f"{self._best_rate / max(rate, 1):.0f} times slower than before, perhaps because other programs use the CPU"
            self._console.print(f"    warning: {slowed}; try Ctrl-C and --resume --threads 1")
        self._best_rate = max(self._best_rate, rate)
        if self._shown_on is not None:
            self._hide_bar()  # it would take the images for lines of text
            sheet = contact_sheet(images[:_SHOWN_IMAGES], columns=_SHOWN_IMAGES // 2, scale=1, gap=1)
            show_images(np.asarray(sheet)[None], self._shown_on)
            self._show_bar()
        self._shown_at = self._epoch_began_at = now
        self._shown_images = self._epoch_images = progress.images_seen


def _losses(measured: Means) -> str:
    return f"loss G {measured.generator_loss:.3f} D {measured.discriminator_loss:.3f}"


def clock(seconds: int) -> str:
    """Return a duration as hours, minutes and seconds."""
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def require_tensorboard(folder: Path) -> None:
    """Raise TrainExtraMissingError unless the package tensorboard is installed, TrainingError if it cannot write to a folder."""
    if find_spec("tensorboard") is None:
        raise TrainExtraMissingError("--tensorboard needs tensorboard, which is not installed: pip install tensorboard")
    try:
        str(folder).encode()
    except UnicodeEncodeError as error:
        raise TrainingError(f"{folder} has a name that is not UTF-8, where --tensorboard cannot write: choose another") from error


class TensorBoardReport:
    """Writes the figures of each epoch to the folder `tensorboard` of its run; use it as a context manager around the run.

    Raises OutputError if the folder cannot be written.
    """

    def __init__(self, run: RunFolder, epochs_done: int) -> None:
        # Not at the top: this package is optional.
        from torch.utils.tensorboard.writer import SummaryWriter

        self._run = run
        self._skipped_steps = 0
        """Since the last epoch ended."""
        if run.events.is_symlink():  # perhaps to another user's folder
            raise OutputError(f"cannot write {run.events}: it is a symbolic link, expected a folder; move it away")
        with self._output_errors():
            # This drops the events that a killed run wrote after its checkpoint.
            self._writer = SummaryWriter(str(run.events), purge_step=epochs_done + 1)

    def __enter__(self) -> "TensorBoardReport":
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Write the rest of the buffer."""
        try:
            self._writer.close()
        except OSError as failure:
            if error is None:
                raise self._error(failure) from failure

    def step(self, progress: Progress, sums: Tensor) -> None:
        """Do nothing: figures are written for each epoch."""

    def skipped(self, step: int) -> None:
        """Count it."""
        self._skipped_steps += 1

    def trouble(self, message: str) -> None:
        """Do nothing: the console shows it."""

    def epoch(
        self, progress: Progress, measured: Means, seen: Observation, warnings: list[Sign], images: NDArray[np.uint8]
    ) -> None:
        """Write all figures of the epoch, its warnings and its sheet."""
        figures = {**asdict(measured), **seen.to_statistics(), "skipped_steps": self._skipped_steps}
        self._skipped_steps = 0
        with self._output_errors():
            self._write(figures, warnings, progress.epoch, np.asarray(contact_sheet(images)))

    def _write(self, figures: Mapping[str, object], warnings: Sequence[Sign], epoch: int, sheet: NDArray[np.uint8]) -> None:
        for name, value in figures.items():
            table = value if isinstance(value, dict) else {"": value}
            for class_name, number in table.items():
                if isinstance(number, int | float):
                    self._writer.add_scalar(f"{name}/{class_name}" if class_name else name, number, epoch)
        for sign in warnings:
            self._writer.add_text("warnings", f"{sign.message}. Try {sign.advice}.", epoch)
        self._writer.add_image("fakes", sheet, epoch, dataformats="HW")
        self._writer.flush()

    @contextmanager
    def _output_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._error(error) from error

    def _error(self, error: OSError) -> OutputError:
        return OutputError(f"cannot write {self._run.events}: {error.strerror}")


def closing_lines(run: RunFolder, epochs: int, best_epoch: int, is_newest: bool) -> list[str]:
    """Return the last lines of a run of `epochs` epochs: the best epoch and its scores, pictures to look at, the next command.

    `is_newest` is whether gan-export finds the run by itself. Scores are left out if the statistics are missing. Raises
    TrainingError if they cannot be read.
    """
    statistics = run.read_statistics()
    scores = [words for line in statistics if line.get("epoch") == best_epoch for words in figures_in_words(line)]
    pictures = [path for path in (run.sheet_of_epoch(best_epoch), run.progress, run.curves) if path.exists()]
    lines = [f"done: the best epoch is {best_epoch} of {epochs}, the last within a tenth of the lowest score"]
    lines += [f"    {words}" for words in scores]
    lines += [f"warning: at the end still: {words}" for words in standing_signs(statistics).values()]
    lines += ["look at:", *(f"    {path}" for path in pictures)] if pictures else []
    # gan-gen finds model.onnx by itself, but another model may be there already.
    target = f"{run.path.name}.onnx" if os.path.lexists("model.onnx") else "model.onnx"
    lines.append(f"next: gan-export {quote(target)}{'' if is_newest else f' --checkpoint {quote(str(run.path))}'}")
    return lines
