"""A lock between processes. The operating system releases it when its holder ends, even by a crash.

It is written here because importing filelock would take 40 of the 180 milliseconds in which gan-gen starts and draws.
"""

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pocketgan.files import open_descriptor

POLL_SECONDS = 0.05

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)

if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: BinaryIO) -> bool:
        """Lock the file's first byte without waiting; return False if someone else holds it."""
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

else:
    import fcntl

    def _try_lock(file: BinaryIO) -> bool:
        """Lock the open file without waiting; return False if someone else holds it."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno == errno.EBADF:  # NFS locks only files opened for writing (flock(2))
                raise _another_users_lock(file.name) from error
            raise
        return True


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file at `path`, created if needed, during a `with` block; wait while someone else holds it.

    The empty file stays, because others may be waiting for it. Raises OSError if the file cannot be opened, is a link or not a
    regular file, or its file system has no locks.
    """
    with open(path, "ab", opener=_opened) as file:
        while not _try_lock(file):
            time.sleep(POLL_SECONDS)
        yield


@contextmanager
def locked_or_refused(path: Path) -> Iterator[None]:
    """Hold the lock file at `path` during a `with` block, and remove it afterwards. It never waits.

    Raises BlockingIOError if someone else holds it, and OSError as `locked` does.
    """
    with open(path, "ab", opener=_opened) as file:
        try:
            is_locked = _try_lock(file) and _is_still_at(file, path)
        except OSError as error:
            if error.errno in _NO_LOCKS:  # then nobody else holds it either
                if sys.platform == "win32":
                    file.close()
                with suppress(OSError):  # only the error above matters
                    if os.path.getsize(path) == 0:  # otherwise it is not a lock
                        path.unlink()
            raise
        if not is_locked:
            raise BlockingIOError(f"{path} is locked")
        try:
            yield
        finally:
            if sys.platform == "win32":  # which cannot remove an open file
                file.close()
            with suppress(OSError):  # an empty file does no harm
                path.unlink()


@contextmanager
def locked_where_possible(path: Path) -> Iterator[bool]:
    """Hold a lock as `locked_or_refused` does and yield True; if the file system has no locks, yield False."""
    with ExitStack() as stack:
        try:
            stack.enter_context(locked_or_refused(path))
            is_locked = True
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            is_locked = False
        yield is_locked


def _opened(name: str, flags: int) -> int:
    """Open a lock file, created if needed, but never through a link.

    Another user's file is opened for reading, which is enough to lock it. Raises PermissionError if that is not allowed either,
    and OSError if `name` is not a regular file.
    """
    try:
        descriptor = open_descriptor(name, flags, follows_link=False)
    except PermissionError:
        if not os.path.lexists(name):
            raise  # no file may be created in the folder
        try:
            return open_descriptor(name, os.O_RDONLY, follows_link=False)
        except PermissionError as error:
            raise _another_users_lock(name) from error
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ELOOP):
            raise
        raise OSError(error.errno, f"the lock {os.path.basename(name)} is in the way: {error.strerror}", name) from error
    status = os.fstat(descriptor)
    if sys.platform != "win32" and status.st_size == 0 and status.st_nlink == 1:  # a lock, most likely created here
        with suppress(OSError):  # it belongs to another user, who lets us write
            os.fchmod(descriptor, status.st_mode | 0o444)  # otherwise a umask could keep others from locking it later
    return descriptor


def _another_users_lock(name: str) -> PermissionError:
    lock = os.path.basename(name)
    return PermissionError(errno.EACCES, f"the lock {lock} belongs to another user, who holds it or has to remove it", name)


def _is_still_at(file: BinaryIO, path: Path) -> bool:
    """Return whether a locked file is the one at `path`, not one that its last holder has removed since it was opened."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    return False
