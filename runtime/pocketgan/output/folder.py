"""The folder that files go to: made, looked through, and never written over without leave."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pocketgan.errors import OutputError
from pocketgan.files import remove_file

# What files.py and array_files.py call a file that is not whole yet.
_LEFTOVER = re.compile(r"\.(.+)\.(?:\d+\.tmp|part)")


def prepare_folder(folder: Path, option: str = "--out") -> None:
    """Make an output folder and its parents. Raises OutputError, which names `option`, if that cannot be done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        message = f"output {folder} is a file, expected a folder or a name that is free: choose another {option}"
        raise OutputError(message) from error
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}; choose another {option}") from error


def file_names(folder: Path) -> Iterator[str]:
    """Yield the names of all that lies in a folder, none if there is no folder. Raises OutputError if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            yield from (entry.name for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise OutputError(f"cannot read the folder {folder}: {error.strerror}; choose another --out") from error


def refuse_overwriting(existing: Sequence[Path], can_resume: bool) -> None:
    """Raise OutputError if there are any of these files, which are in the way, and say what to do instead."""
    if existing:
        more = f", as do {len(existing) - 1:,} more" if len(existing) > 1 else ""
        resume = "--resume to complete that run, " if can_resume else ""
        raise OutputError(f"{existing[0]} exists already{more}: use {resume}--overwrite, or another --out")


def remove_leftovers(folder: Path, is_ours: Callable[[str], bool]) -> None:
    """Remove the hidden half-written files that a killed run left of files whose names are ours.

    Raises OutputError if the folder cannot be read or a file not be removed.
    """
    for name in list(file_names(folder)):
        if (match := _LEFTOVER.fullmatch(name)) and is_ours(match[1]):
            remove_file(folder / name, "a file that a killed run left unfinished")
