"""Files that processes left unfinished which were killed while they wrote them."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pocketgan.files import name_of_temporary
from pocketgan.output.folder import file_names


def remove_leftovers(folder: Path, is_ours: Callable[[str], bool]) -> None:
    """Remove the temporary files of processes that are gone, in a folder, of files whose names are ours.

    What cannot be removed stays: it takes up space, and harms nobody. Raises OutputError if the folder cannot be read.
    """
    for name in list(file_names(folder)):
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
