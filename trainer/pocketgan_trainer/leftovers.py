"""Unfinished files of killed processes."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pocketgan.errors import OutputError
from pocketgan.files import file_names, name_of_temporary


def remove_leftovers(folder: Path, is_ours: Callable[[str], bool]) -> None:
    """Remove the temporary files of processes that are gone, in a folder, of files whose names are ours.

    What cannot be removed, or found, stays: it takes up space, and harms nobody.
    """
    names: list[str] = []
    with suppress(OutputError):
        names += file_names(folder)
    for name in names:
        target = name_of_temporary(name)
        # A process is named in `.NAME.PID.tmp`, see pocketgan.files.
        if target is not None and is_ours(target) and not _is_running(int(name.split(".")[-2])):
            with suppress(OSError):
                (folder / name).unlink()


def _is_running(process: int) -> bool:
    """Return whether a process of this number may be running here."""
    if sys.platform == "win32":  # where a signal of 0 would reach it
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it is another user's
        return True
    return True
