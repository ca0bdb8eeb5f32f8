"""A lock between processes that dies with its holder, so that no crash leaves one behind."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

POLL_SECONDS = 0.05

if sys.platform == "win32":
    import msvcrt

    def _is_lock_taken_now(file: BinaryIO) -> bool:
        """Lock the file's first byte without waiting; return False if someone else holds it."""
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

else:
    import fcntl

    def _is_lock_taken_now(file: BinaryIO) -> bool:
        """Lock the open file without waiting; return False if someone else holds it."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file at `path`, created if need be, for the length of a `with` block; wait while someone else holds it.

    The empty file stays: removing it would let one process lock the old file while another locks a new one. Raises OSError if
    the file cannot be opened or its file system knows no locks.
    """
    with path.open("ab") as file:
        while not _is_lock_taken_now(file):
            time.sleep(POLL_SECONDS)
        yield
