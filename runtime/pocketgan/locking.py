"""A lock between processes that dies with its holder, so that no crash leaves one behind."""

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

POLL_SECONDS = 0.05

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)

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

    The empty file stays: whoever waits for it would otherwise wait for a file that is gone. Raises OSError if the file cannot be
    opened or its file system knows no locks.
    """
    with path.open("ab") as file:
        while not _is_lock_taken_now(file):
            time.sleep(POLL_SECONDS)
        yield


@contextmanager
def locked_or_refused(path: Path) -> Iterator[None]:
    """Hold the lock file at `path` for the length of a `with` block, and remove it then; nobody ever waits for it.

    Raises BlockingIOError if someone else holds it, and OSError as `locked` does.
    """
    with path.open("ab") as file:
        try:
            is_taken = _is_lock_taken_now(file) and _is_still_at(file, path)
        except OSError:
            if sys.platform == "win32":
                file.close()
            with suppress(OSError):  # the error above is what matters
                path.unlink()
            raise
        if not is_taken:
            raise BlockingIOError(f"{path} is locked")
        try:
            yield
        finally:
            if sys.platform == "win32":  # which removes no open file
                file.close()
            with suppress(OSError):  # it is empty and harms nobody
                path.unlink()


@contextmanager
def locked_where_possible(path: Path) -> Iterator[bool]:
    """Do as `locked_or_refused` does, and yield True; where the file system knows no locks, yield False without one."""
    with ExitStack() as stack:
        try:
            stack.enter_context(locked_or_refused(path))
            is_locked = True
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            is_locked = False
        yield is_locked


def _is_still_at(file: BinaryIO, path: Path) -> bool:
    """Return whether a locked file is the one at `path`, not one that its last holder removed after it was opened here."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False
