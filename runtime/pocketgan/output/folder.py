"""The folder that files go to: made, looked through, and never written over without leave."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pocketgan.errors import OutputError
from pocketgan.files import name_of_temporary, remove_file


def prepare_folder(folder: Path, option: str = "--out") -> None:
    """Make an output folder and its parents. Raises OutputError, which names `option`, if that cannot be done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        what = "a link that leads nowhere" if os.path.islink(error.filename) else "a file"
        message = f"output {error.filename} is {what}, expected a folder or a name that is free: choose another {option}"
        raise OutputError(message) from error
    except OSError as error:
        # Parents are made, so that none can be missing but the one that all relative paths begin at.
        is_adrift = isinstance(error, FileNotFoundError) and not folder.is_absolute()
        reason = "the working folder is gone" if is_adrift else error.strerror
        raise OutputError(f"cannot make the folder {folder}: {reason}; choose another {option}") from error


@contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """Make an output folder for a block; one that is empty when the block fails goes again, and its parents that were made.

    Raises OutputError if that cannot be done.
    """
    made = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    try:
        prepare_folder(folder)
        yield
    except BaseException:
        for path in made:
            with suppress(OSError):  # there is something in it, or it could not be made
                path.rmdir()
        raise


def file_names(folder: Path) -> Iterator[str]:
    """Yield the names of all that lies in a folder, none if there is no folder. Raises OutputError if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            yield from (entry.name for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise OutputError(f"cannot read the folder {folder}: {error.strerror}; choose another --out") from error


def refuse_overwriting(existing: Iterable[Path], can_resume: bool) -> None:
    """Raise OutputError if there are any of these files, which are in the way, and say what to do instead."""
    first, count = None, 0
    for path in existing:
        first, count = min(first or path, path), count + 1
    if first is not None:
        more = f", as do {count - 1:,} more" if count > 1 else ""
        resume = "--resume to complete that run, " if can_resume else ""
        raise OutputError(f"{first} exists already{more}: use {resume}--overwrite, or another --out")


def remove_temporaries(folder: Path, is_ours: Callable[[str], bool]) -> None:
    """Remove the hidden temporary files that a killed run left of files whose names are ours.

    Raises OutputError if the folder cannot be read or a file not be removed.
    """
    left = [name for name in file_names(folder) if (target := name_of_temporary(name)) is not None and is_ours(target)]
    for name in left:
        remove_file(folder / name, "a file that a killed run left unfinished")
