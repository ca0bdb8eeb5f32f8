"""Writes files under a temporary name, then renames them; opens files safely; makes and checks output folders."""

import errno
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
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
    """Open a file for reading in binary; a named pipe, which could block for ever, a socket, a device or a folder is refused.

    Raises OSError, whose `strerror` says what is there instead.
    """
    return open(path, "rb", opener=open_descriptor)


def open_to_continue(path: str | Path) -> BinaryIO:
    """Open a file to continue writing it. Links are refused, hard ones too: what they lead to may be another file of the user's.

    Raises OSError, whose `strerror` says what is there instead.
    """

    def opened(name: str, flags: int) -> int:
        descriptor = open_descriptor(name, flags, follows_link=False)
        if os.fstat(descriptor).st_nlink > 1:
            os.close(descriptor)
            raise OSError(errno.EMLINK, "it has another hard link, which would change too: move it away", name)
        return descriptor

    return open(path, "r+b", opener=opened)


def open_new_file(path: str | Path) -> BinaryIO:
    """Open a new file for writing in place of what lies there, be it a link, which is not followed. Raises OSError."""
    try:
        return open(path, "xb")
    except FileExistsError:
        os.unlink(path)
        return open(path, "xb")


def open_descriptor(name: str | Path, flags: int, follows_link: bool = True) -> int:
    """Do as `os.open` does, but open regular files alone, without ever waiting, and with `follows_link` false no symbolic link.

    Raises OSError, whose `strerror` says what is there instead.
    """
    if not follows_link and os.path.islink(name):  # or it could be one that leads nowhere, and the file there be made
        raise OSError(errno.ELOOP, "it is a symbolic link: move it away", name)
    # Without O_NONBLOCK, opening a named pipe waits for its other end.
    flags |= getattr(os, "O_NONBLOCK", 0) | (0 if follows_link else getattr(os, "O_NOFOLLOW", 0))
    try:
        descriptor = os.open(name, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a pipe without another end, or a socket
            raise _other_kind(name, os.stat(name).st_mode) from error
        raise
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise _other_kind(name, mode)
    return descriptor


def _other_kind(name: str | Path, mode: int) -> OSError:
    return OSError(errno.EINVAL, f"it is {_KINDS.get(stat.S_IFMT(mode), 'something else')}, not a file", name)


def named_file(path: Path) -> Path:
    """Return the file that a user's path stands for, to write it whole: what a symbolic link leads to, there or not.

    Raises OutputError if something else than a file is there, if links lead in a circle, or if it cannot be looked at.
    """
    real = Path(os.path.realpath(path)) if os.path.islink(path) else path
    with output_errors(path), suppress(FileNotFoundError, NotADirectoryError):
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            raise _other_kind(path, mode)
    return real


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
            with open_new_file(temporary) as file:
                file.write(contents)
            os.replace(temporary, target)
        except BaseException:
            with suppress(OSError):  # most often it was never made
                os.unlink(temporary)
            raise


@contextmanager
def whole_file(target: Path, is_on_disk_at_once: bool = True) -> Iterator[Path]:
    """Yield the path of a new, empty file in the target's folder; when the block ends well, rename it to `target`.

    If the block fails, the temporary file is removed and `target` is as it was; a killed process leaves at most a hidden
    `.NAME.PID.tmp` behind. The contents are on the disk before the rename, so that a power cut loses neither the old file nor the
    new one; that costs milliseconds a file, and can be left out for one that is easily made again. Raises OutputError where the
    operating system refuses.
    """
    temporary = Path(_temporary(str(target)))
    with output_errors(target):
        try:
            open_new_file(temporary).close()  # under a name that a link may have in a folder from somebody else
            yield temporary
            if is_on_disk_at_once:
                with temporary.open("rb+") as written:
                    os.fsync(written.fileno())
            temporary.replace(target)
        finally:
            with suppress(OSError):  # most often it was renamed
                temporary.unlink()


def name_of_temporary(name: str) -> str | None:
    """Return the name of the file that a temporary one was to become, or None if `name` is not that of a temporary file."""
    match = _TEMPORARY.fullmatch(name)
    return match[1] if match else None


def _temporary(target: str) -> str:
    folder, name = os.path.split(target)
    return os.path.join(folder, f".{name}.{os.getpid()}.tmp")


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
