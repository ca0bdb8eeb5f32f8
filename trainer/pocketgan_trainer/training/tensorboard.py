"""The figures of a run as event files, for TensorBoard to show."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

import numpy as np
from PIL import Image
from torch import Tensor

from pocketgan.errors import OutputError
from pocketgan_trainer.errors import TrainExtraMissingError, TrainingError
from pocketgan_trainer.training.progress import Means, Progress
from pocketgan_trainer.training.run_folder import RunFolder
from pocketgan_trainer.watch.observation import Observation
from pocketgan_trainer.watch.signs import Sign


def require_tensorboard(folder: Path) -> None:
    """Raise TrainExtraMissingError unless the package tensorboard is installed, TrainingError if it cannot write to a folder."""
    if find_spec("tensorboard") is None:
        raise TrainExtraMissingError(
            "--tensorboard needs the extra 'tensorboard'; run in pocketgan's checkout: pip install '.[cpu,train,tensorboard]'"
        )
    try:
        str(folder).encode()
    except UnicodeEncodeError as error:
        raise TrainingError(f"{folder} has a name that is not UTF-8, where --tensorboard cannot write: choose another") from error


class TensorBoardReport:
    """Writes what an epoch was like to the folder `tensorboard` of its run; use it as a context manager around the run.

    Raises OutputError if the folder cannot be written.
    """

    def __init__(self, run: RunFolder, epochs_done: int) -> None:
        # It is an extra of its own.
        from torch.utils.tensorboard.writer import SummaryWriter

        self._run = run
        self._skipped_steps = 0
        """Since the last epoch ended."""
        if run.events.is_symlink():  # perhaps to somebody else's folder
            raise OutputError(f"cannot write {run.events}: it is a symbolic link, expected a folder; move it away")
        with self._told_errors():
            # What a killed run wrote after its checkpoint is to be forgotten.
            self._writer = SummaryWriter(str(run.events), purge_step=epochs_done + 1)

    def __enter__(self) -> "TensorBoardReport":
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Write what is still to be written."""
        try:
            self._writer.close()
        except OSError as failure:
            if error is None:
                raise self._error(failure) from failure

    def step(self, progress: Progress, sums: Tensor) -> None:
        """Take no note: epochs are fine enough."""

    def skipped(self, step: int) -> None:
        """Count it for the epoch."""
        self._skipped_steps += 1

    def trouble(self, message: str) -> None:
        """Take no note: it is said elsewhere."""

    def epoch(self, progress: Progress, measured: Means, seen: Observation, warnings: list[Sign]) -> None:
        """Write all figures of the epoch, its warnings and its sheet."""
        figures = {**asdict(measured), **seen.to_statistics(), "skipped_steps": self._skipped_steps}
        self._skipped_steps = 0
        with self._told_errors():
            self._write(figures, warnings, progress.epoch)

    def _write(self, figures: Mapping[str, object], warnings: Sequence[Sign], epoch: int) -> None:
        for name, value in figures.items():
            table = value if isinstance(value, dict) else {"": value}
            for class_name, number in table.items():
                if number is not None:
                    self._writer.add_scalar(f"{name}/{class_name}" if class_name else name, number, epoch)
        for sign in warnings:
            self._writer.add_text("warnings", f"{sign.told}. Try {sign.advice}.", epoch)
        sheet_file = self._run.sheet_of_epoch(epoch)
        if sheet_file.exists():  # else it could not be drawn
            with Image.open(sheet_file) as sheet:
                self._writer.add_image("fakes", np.asarray(sheet), epoch, dataformats="HW")
        self._writer.flush()

    @contextmanager
    def _told_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._error(error) from error

    def _error(self, error: OSError) -> OutputError:
        return OutputError(f"cannot write {self._run.events}: {error.strerror}")
