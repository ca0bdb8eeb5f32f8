"""The numbered folder that holds everything one training run writes."""

import io
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pocketgan.contact_sheet import contact_sheet
from pocketgan.errors import OutputError
from pocketgan.files import open_regular_file, remove_temporaries, whole_file
from pocketgan.locking import locked_where_possible
from pocketgan.output.walk import write_gif
from pocketgan_trainer.errors import TrainingError
from pocketgan_trainer.strict_json import read_json
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.presets import PRESETS

RUNS = Path("runs")
"""The default folder of the run folders, relative to the working folder."""

LAST = "last.safetensors"
PREVIOUS = "previous.safetensors"
BEST = "best.safetensors"

MOST_FRAMES = 100
FRAME_MILLISECONDS = 200

_MOST_BYTES_OF_STATISTICS = 2**26
_LARGEST_NUMBER = 2**53

_FILES = re.compile(
    r"(last|previous|best|judge|guide|traits)\.safetensors|config\.json|stats\.jsonl|progress\.gif|(reals|curves|fakes_epoch_\d+)\.png"
)
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
        """The checkpoint before the last, to resume from if the last is damaged."""
        return self.path / PREVIOUS

    @property
    def best(self) -> Path:
        """The checkpoint of the epoch with the best score."""
        return self.path / BEST

    @property
    def reals(self) -> Path:
        """The sheet of some real images."""
        return self.path / "reals.png"

    @property
    def judge(self) -> Path:
        """The judge of the user's own images, if the run needs one."""
        return self.path / "judge.safetensors"

    @property
    def guide(self) -> Path:
        """The classifier that guides the generator, if the run has one."""
        return self.path / "guide.safetensors"

    @property
    def traits(self) -> Path:
        """The trait latents of the training images, if the run has traits."""
        return self.path / "traits.safetensors"

    @property
    def curves(self) -> Path:
        """The picture of the run's figures over its epochs."""
        return self.path / "curves.png"

    @property
    def progress(self) -> Path:
        """The animation of the sheets of all epochs."""
        return self.path / "progress.gif"

    @property
    def events(self) -> Path:
        """The folder of event files for TensorBoard, if the run writes them."""
        return self.path / "tensorboard"

    def sheet_of_epoch(self, epoch: int) -> Path:
        """The sheet of an epoch's images."""
        return self.path / f"fakes_epoch_{epoch:04d}.png"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock this run during a `with` block, if the file system supports locks.

        Raises TrainingError if another process trains it, OutputError if the folder cannot be written.
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

    def remove_leftovers(self) -> None:
        """Remove temporary files of killed processes as far as possible; call it while the run is `locked`."""
        with suppress(OutputError):  # they only take up space
            remove_temporaries(self.path, lambda name: _FILES.fullmatch(name) is not None, is_alone=False)

    def discard(self) -> None:
        """Remove the folder of a run that never began, as far as nothing else is in it; call it while the run is not locked."""
        with suppress(OSError):  # it is only in the way
            for path in (self.judge, self.guide, self.traits, self.path / ".lock"):
                path.unlink(missing_ok=True)
            self.path.rmdir()

    def write_config(self, config: TrainingConfig) -> None:
        """Write `config.json`. Raises OutputError if that fails."""
        with whole_file(self.path / "config.json") as temporary:
            temporary.write_text(config.to_json() + "\n")

    def write_sheet(self, path: Path, images: NDArray[np.uint8]) -> None:
        """Write images uint8 [N, H, W] as one PNG sheet, `path`. Raises OutputError if that fails."""
        encoded = io.BytesIO()
        contact_sheet(images).save(encoded, format="PNG")
        with whole_file(path) as temporary:
            temporary.write_bytes(encoded.getvalue())

    def write_progress(self, target: Path) -> None:
        """Write the sheets of up to MOST_FRAMES epochs as an animation in half their size; nothing if there are none.

        Raises OutputError if that fails, OSError if a sheet cannot be read.
        """
        sheets = sorted(self.path.glob("fakes_epoch_*.png"), key=lambda sheet: int(sheet.stem.removeprefix("fakes_epoch_")))
        chosen = np.unique(np.linspace(0, len(sheets) - 1, min(len(sheets), MOST_FRAMES)).round().astype(int))
        if sheets:
            write_gif(target, (_half_size(sheets[number]) for number in chosen), scale=1, frame_milliseconds=FRAME_MILLISECONDS)

    def append_statistics(self, statistics: Mapping[str, object]) -> None:
        """Append one epoch to `stats.jsonl`, by writing the whole file again. Raises OutputError if that fails."""
        before = self._statistics()
        end_of_half_line = b"\n" if before and not before.endswith(b"\n") else b""
        self._write_statistics(before + end_of_half_line + f"{json.dumps(statistics)}\n".encode())

    def drop_statistics_after(self, epoch: int) -> list[dict[str, object]]:
        """Keep the lines of `stats.jsonl` up to `epoch`, and return them.

        A killed run may have written the line of an epoch that is not in its checkpoint. Raises TrainingError if the file
        cannot be read.
        """
        contents = self._statistics()
        # This keeps lines that only a later version understands, but not half lines.
        lines = [line for line in contents.splitlines() if (found := _line_of_epoch(line)) is not None and found[0] <= epoch]
        if contents:
            self._write_statistics(b"".join(line + b"\n" for line in lines))
        return [read for line in lines if (read := _read_line(line)) is not None]

    def read_statistics(self) -> list[dict[str, object]]:
        """Return the lines of `stats.jsonl`, oldest first; none if there is no such file.

        Leaves out half lines, which killed runs may have written, and all other lines that no run writes. Raises TrainingError if
        the file cannot be read, or is too large.
        """
        return [read for line in self._statistics().splitlines() if (read := _read_line(line)) is not None]

    def _write_statistics(self, contents: bytes) -> None:
        with whole_file(self.path / "stats.jsonl") as temporary:
            temporary.write_bytes(contents)

    def _statistics(self) -> bytes:
        statistics = self.path / "stats.jsonl"
        try:
            with open_regular_file(statistics) as file:
                contents = file.read(_MOST_BYTES_OF_STATISTICS + 1)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise TrainingError(f"cannot read {statistics}: {error.strerror}; move it away to continue without it") from error
        if len(contents) > _MOST_BYTES_OF_STATISTICS:
            raise TrainingError(
                f"{statistics} is too large: expected at most {_MOST_BYTES_OF_STATISTICS:,} bytes; move it away to continue "
                "without it"
            )
        return contents


def create_run_folder(parent: Path, preset: str, data_set: str) -> RunFolder:
    """Make and return the next folder `parent/NNNN-preset-data_set`. Raises OutputError if that fails."""
    require_writable(parent)
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


def require_writable(parent: Path) -> None:
    """Raise OutputError if no run folder can be made in `parent`, which need not exist yet; nothing is written."""
    existing = next(path for path in (parent, *parent.parents) if os.path.lexists(path))
    name = "it" if existing == parent else str(existing)
    problem = None
    if not os.path.isdir(existing):
        problem = f"{name} is not a folder"
    elif not os.access(existing, os.W_OK | os.X_OK):
        problem = f"{name} may not be written"
    if problem:
        raise OutputError(f"cannot make a run folder in {parent}: {problem}; choose another --out")


def find_run_folder(path: Path, *checkpoints: str) -> RunFolder:
    """Return `path` itself if it is a run folder, else the newest run in it that has one of the files `checkpoints`.

    These are names such as LAST. A run has LAST from its start, BEST after its first epoch, and PREVIOUS without LAST if it was
    killed while saving. Newer runs without such a file are skipped, see `newer_runs`. Raises TrainingError if
    there is no such run, or the folder cannot be read.
    """
    if os.path.isfile(path / "config.json"):
        return RunFolder(path)
    runs = [run for run in _in_order(path) if any(os.path.isfile(run / checkpoint) for checkpoint in checkpoints)]
    if not runs:
        expected = "expected a folder of gan-train's runs"
        expected += (
            ", with an epoch done; run gan-train first, or gan-train --resume"
            if BEST in checkpoints
            else "; run gan-train without --resume"
        )
        raise TrainingError(f"no training run in {path} with a {checkpoints[0]}: {expected}")
    return RunFolder(runs[-1])


def newer_runs(path: Path, run: RunFolder) -> list[RunFolder]:
    """Return the runs in `path` that are newer than `run`, which `find_run_folder` found there, the newest first.

    Raises TrainingError if the folder cannot be read.
    """
    runs = _in_order(path)
    newer = runs[runs.index(run.path) + 1 :] if run.path in runs else []
    return [RunFolder(one) for one in reversed(newer) if _looks_like_a_run(one)]


def _in_order(path: Path) -> list[Path]:
    """Return everything in a folder that is named like a run, oldest first; nothing if the folder does not exist."""
    try:
        return [run for _, run in sorted(_numbered(path))] if os.path.isdir(path) else []
    except OSError as error:
        raise TrainingError(f"cannot read the folder {path}: {error.strerror}") from error


def _looks_like_a_run(path: Path) -> bool:
    """Return whether a numbered folder belongs to a run, even to one that was killed before it wrote anything."""
    preset = path.name.split("-")[1]
    return os.path.isdir(path) and (preset in PRESETS or os.path.isfile(path / "config.json"))


def _read_line(line: bytes) -> dict[str, object] | None:
    """Return the fields of a line of statistics; None if the line is cut off, or no run writes such a line."""
    read = _line_of_epoch(line)
    return read[1] if read and all(_is_sound(name, value) for name, value in read[1].items()) else None


def _line_of_epoch(line: bytes) -> tuple[int, dict[str, object]] | None:
    """Return the epoch and all fields of a line of statistics; None if the line is cut off or has no epoch."""
    try:
        read = read_json(line)
    except ValueError:
        return None
    return (read["epoch"], read) if isinstance(read, dict) and type(read.get("epoch")) is int else None


def _half_size(sheet: Path) -> NDArray[np.uint8]:
    """Return the pixels of a sheet, whose images are enlarged twofold, without that: uint8 [H, W]."""
    with Image.open(sheet) as picture:
        return np.asarray(picture.convert("L"))[::2, ::2]


def _is_sound(name: str, value: object) -> bool:
    if not isinstance(value, dict):
        return value is None or isinstance(value, str | bool) or _is_number(value)
    if name == "signs":
        return all(isinstance(words, str) for words in value.values())
    # Coverage and variety of a class may be unknown, see Observation.
    return all(_is_number(figure) or (figure is None and name != "class_shares") for figure in value.values())


def _is_number(value: object) -> bool:
    return type(value) is float or (type(value) is int and abs(value) <= _LARGEST_NUMBER)


def _numbered(parent: Path) -> list[tuple[int, Path]]:
    """Return the numbers and paths of everything in `parent` that is named like a run, files included."""
    matches = [(_NAME.fullmatch(child.name), child) for child in parent.iterdir()]
    return [(int(match[1]), child) for match, child in matches if match]
