"""The numbered folder that holds everything one training run leaves behind."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgan.errors import OutputError
from pocketgan.files import open_to_continue, whole_file
from pocketgan.locking import locked_where_possible
from pocketgan.pictures import contact_sheet
from pocketgan_trainer.errors import TrainingError
from pocketgan_trainer.training.config import TrainingConfig

RUNS = Path("runs")
"""Where runs are kept unless the user says otherwise, relative to the working folder."""

LAST = "last.safetensors"
PREVIOUS = "previous.safetensors"
BEST = "best.safetensors"

_NAME = re.compile(r"(\d{4,})-.+")


@dataclass(frozen=True)
class RunFolder:
    """One run on disk: `config.json`, `stats.jsonl`, sample sheets, curves, and the last and the best checkpoint."""

    path: Path

    @property
    def last(self) -> Path:
        """The checkpoint to resume from."""
        return self.path / LAST

    @property
    def previous(self) -> Path:
        """The one before the last, to resume from should the last be damaged."""
        return self.path / PREVIOUS

    @property
    def best(self) -> Path:
        """The checkpoint of the epoch with the best score."""
        return self.path / BEST

    @property
    def reals(self) -> Path:
        """The sheet of some of the real images."""
        return self.path / "reals.png"

    @property
    def judge(self) -> Path:
        """The judge of a user's own images, where the run needs one."""
        return self.path / "judge.safetensors"

    @property
    def curves(self) -> Path:
        """The picture of how the run went."""
        return self.path / "curves.png"

    @property
    def events(self) -> Path:
        """The folder of event files for TensorBoard, where the run writes them."""
        return self.path / "tensorboard"

    def sheet_of_epoch(self, epoch: int) -> Path:
        """Return where the sheet of an epoch's images lies."""
        return self.path / f"fakes_epoch_{epoch:04d}.png"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from training this run, where the file system knows locks, for the length of a `with` block.

        Raises TrainingError if one does already, OutputError if the folder cannot be written.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(locked_where_possible(self.path / ".lock"))
            except BlockingIOError as error:
                raise TrainingError(
                    f"{self.path} is being trained by another gan-train: wait for it, or stop it first"
                ) from error
            except OSError as error:
                raise OutputError(f"cannot write into {self.path}: {error.strerror}") from error
            yield

    def write_config(self, config: TrainingConfig) -> None:
        """Write `config.json`. Raises OutputError if that fails."""
        with whole_file(self.path / "config.json") as temporary:
            temporary.write_text(config.to_json() + "\n")

    def write_sheet(self, path: Path, images: NDArray[np.uint8]) -> None:
        """Write images uint8 [N, H, W] as one PNG sheet, `path`. Raises OutputError if that fails."""
        with whole_file(path) as temporary:
            contact_sheet(images).save(temporary, format="PNG")

    def append_statistics(self, statistics: Mapping[str, object]) -> None:
        """Append one epoch to `stats.jsonl`. Raises OutputError if that fails."""
        try:
            with open_to_continue(self.path / "stats.jsonl", "ab") as file:
                file.write(f"{json.dumps(statistics)}\n".encode())
        except OSError as error:
            raise OutputError(f"cannot write {self.path / 'stats.jsonl'}: {error.strerror}") from error

    def drop_statistics_after(self, epoch: int) -> list[dict[str, object]]:
        """Keep the lines of `stats.jsonl` up to `epoch`, and return them.

        A killed run may have written one that its checkpoint does not know. Raises TrainingError if the file cannot be read.
        """
        kept = [line for line in self.read_statistics() if isinstance(line["epoch"], int) and line["epoch"] <= epoch]
        if (self.path / "stats.jsonl").exists():
            with whole_file(self.path / "stats.jsonl") as temporary:
                temporary.write_text("".join(json.dumps(line) + "\n" for line in kept))
        return kept

    def read_statistics(self) -> list[dict[str, object]]:
        """Return the lines of `stats.jsonl`, oldest first; none if there is no such file.

        A killed run may have written half a line, which is left out. Raises TrainingError if the file cannot be read.
        """
        statistics = self.path / "stats.jsonl"
        try:
            lines = statistics.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise TrainingError(f"cannot read {statistics}: {error.strerror}; move it away to go on without it") from error
        return [read for line in lines if (read := _whole_line(line)) is not None]


def create_run_folder(parent: Path, preset: str, data_set: str) -> RunFolder:
    """Make and return the next folder `parent/NNNN-preset-data_set`. Raises OutputError if that fails."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        while True:
            number = max((number for number, _ in _numbered(parent)), default=0) + 1
            path = parent / f"{number:04d}-{preset}-{data_set}"
            try:
                path.mkdir()
            except FileExistsError:  # another process took this number a moment ago
                continue
            return RunFolder(path)
    except OSError as error:
        raise OutputError(f"cannot make a run folder in {parent}: {error.strerror}") from error


def find_run_folder(path: Path, *checkpoints: str) -> RunFolder:
    """Return `path` itself if it is a run folder, else the newest run in it that has one of these files: LAST or BEST.

    A run has its first BEST at the end of its first epoch; LAST also when it is stopped before; PREVIOUS without LAST, if it was
    killed while it saved. Raises TrainingError if there is no such run, or the folder cannot be read.
    """
    if os.path.isfile(path / "config.json"):
        return RunFolder(path)
    try:
        numbered = sorted(_numbered(path)) if os.path.isdir(path) else []
        runs = [run for _, run in numbered if any(os.path.isfile(run / checkpoint) for checkpoint in checkpoints)]
    except OSError as error:
        raise TrainingError(f"cannot read the folder {path}: {error.strerror}") from error
    if not runs:
        expected = "expected a folder of gan-train with an epoch done; run gan-train first, or gan-train --resume"
        raise TrainingError(f"no training run in {path} with a {checkpoints[0]}: {expected}")
    return RunFolder(runs[-1])


def _whole_line(line: str) -> dict[str, object] | None:
    """Return what a line of statistics says; None if it is not whole."""
    try:
        read = json.loads(line)
    except ValueError:
        return None
    return read if isinstance(read, dict) and "epoch" in read else None


def _numbered(parent: Path) -> list[tuple[int, Path]]:
    """Return the numbers and paths of all in `parent` that is named like runs, also of a file that takes the name of one."""
    matches = [(_NAME.fullmatch(child.name), child) for child in parent.iterdir()]
    return [(int(match[1]), child) for match, child in matches if match]
