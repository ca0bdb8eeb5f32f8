"""Writing files whole: to a temporary name beside the target first, then renamed."""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pocketgan.errors import OutputError

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

_TEMPORARY = re.compile(r"\.(.+)\.[0-9]+\.tmp")


def open_regular_file(path: str | Path) -> BinaryIO:
    """Open a file for reading in binary; a named pipe, which could block for ever, a device or a folder is refused.

    Raises OSError, whose `strerror` says what is there instead.
    """

    def opened(name: str, flags: int) -> int:
        # Without O_NONBLOCK, opening a named pipe waits for a writer.
        descriptor = os.open(name, flags | getattr(os, "O_NONBLOCK", 0))
        kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
        if kind != stat.S_IFREG:
            os.close(descriptor)
            raise OSError(errno.EINVAL, f"it is {_KINDS.get(kind, 'something else')}, not a file", name)
        return descriptor

    return open(path, "rb", opener=opened)


def remove_file(file: Path, what: str) -> None:
    """Remove a file if it is there; `what` says what it is. Raises OutputError where the operating system refuses."""
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot remove {file}, {what}: {error.strerror}") from error


@contextmanager
def output_errors(target: str | Path, verb: str = "write") -> Iterator[None]:
    """Turn an error of the operating system into an OutputError that says what cannot be written, or read."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot {verb} {target}: {error.strerror or error}") from error


def write_whole_file(target: str, contents: bytes) -> None:
    """Write a small file: to a temporary name, then renamed, as `whole_file` does, but without waiting for the disk.

    For thousands of files, of which a power cut may lose the last ones. Raises OutputError where the operating system refuses.
    """
    temporary = _temporary(target)
    with output_errors(target):
        try:
            with open(temporary, "wb") as file:
                file.write(contents)
            os.replace(temporary, target)
        except BaseException:
            with suppress(OSError):  # most often it was never made
                os.unlink(temporary)
            raise


@contextmanager
def whole_file(target: Path, is_on_disk_at_once: bool = True) -> Iterator[Path]:
    """Yield a temporary path in the target's folder; when the block ends well, rename what was written there to `target`.

    If the block fails, the temporary file is removed and `target` is as it was; a killed process leaves at most a hidden
    `.NAME.PID.tmp` behind. The contents are on the disk before the rename, so that a power cut loses neither the old file nor the
    new one; that costs milliseconds a file, and can be left out for one that is easily made again. Raises OutputError where the
    operating system refuses.
    """
    temporary = Path(_temporary(str(target)))
    with output_errors(target):
        try:
            yield temporary
            if is_on_disk_at_once:
                with temporary.open("rb+") as written:
                    os.fsync(written.fileno())
            temporary.replace(target)
        finally:
            with suppress(OSError):  # most often it was renamed or never made
                temporary.unlink()


def name_of_temporary(name: str) -> str | None:
    """Return the name of the file that a temporary one was to become, or None if `name` is not that of a temporary file."""
    match = _TEMPORARY.fullmatch(name)
    return match[1] if match else None


def _temporary(target: str) -> str:
    folder, name = os.path.split(target)
    return os.path.join(folder, f".{name}.{os.getpid()}.tmp")
