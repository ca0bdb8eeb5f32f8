"""The numbered folder that holds everything one training run leaves behind."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgan.errors import OutputError
from pocketgan.files import whole_file
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
    """One run on disk: `config.json`, `stats.jsonl`, sample sheets, and the last and the best checkpoint."""

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
    def judge(self) -> Path:
        """The judge of a user's own images, where the run needs one."""
        return self.path / "judge.safetensors"

    def write_config(self, config: TrainingConfig) -> None:
        """Write `config.json`. Raises OutputError if that fails."""
        with whole_file(self.path / "config.json") as temporary:
            temporary.write_text(config.to_json() + "\n")

    def write_sheet(self, name: str, images: NDArray[np.uint8]) -> None:
        """Write images uint8 [N, H, W] as one PNG sheet called `name`. Raises OutputError if that fails."""
        with whole_file(self.path / name) as temporary:
            contact_sheet(images).save(temporary, format="PNG")

    def append_statistics(self, statistics: Mapping[str, float]) -> None:
        """Append one epoch to `stats.jsonl`. Raises OutputError if that fails."""
        try:
            with (self.path / "stats.jsonl").open("a") as file:
                file.write(json.dumps(statistics) + "\n")
        except OSError as error:
            raise OutputError(f"cannot write {self.path / 'stats.jsonl'}: {error.strerror}") from error

    def drop_statistics_after(self, epoch: int) -> None:
        """Keep the lines of `stats.jsonl` up to `epoch`.

        A killed run may have written one that its checkpoint does not know, or half of one. Raises TrainingError if the file
        cannot be read.
        """
        statistics = self.path / "stats.jsonl"
        try:
            lines = statistics.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return
        except OSError as error:
            raise TrainingError(f"cannot read {statistics}: {error.strerror}; move it away to go on without it") from error
        kept = [line for line in lines if _is_of_epoch_up_to(epoch, line)]
        with whole_file(statistics) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in kept))


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


def _is_of_epoch_up_to(epoch: int, line: str) -> bool:
    """Say whether a line of statistics is whole and of an epoch that counts."""
    try:
        return bool(json.loads(line)["epoch"] <= epoch)
    except (ValueError, KeyError, TypeError):
        return False


def _numbered(parent: Path) -> list[tuple[int, Path]]:
    """Return the numbers and paths of all in `parent` that is named like runs, also of a file that takes the name of one."""
    matches = [(_NAME.fullmatch(child.name), child) for child in parent.iterdir()]
    return [(int(match[1]), child) for match, child in matches if match]
