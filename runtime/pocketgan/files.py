"""Files and folders: opened safely, written under a temporary name and renamed when complete, created and checked."""

import errno
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pocketgan.errors import OutputError


@contextmanager
def output_errors(target: str | Path, verb: str = "write") -> Iterator[None]:
    """Turn an OSError into an OutputError that names the file which cannot be written, or read."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot {verb} {target}: {error.strerror or error}") from error


def open_regular_file(path: str | Path) -> BinaryIO:
    """Open a regular file for reading in binary; a named pipe, which could block forever, is refused like any other kind.

    Raises OSError, whose `strerror` says what was found instead.
    """
    return open(path, "rb", opener=open_descriptor)


def open_to_continue(path: str | Path) -> BinaryIO:
    """Open a file to continue writing it. Links are refused, hard ones too: they may lead to another file of the user.

    Raises OSError, whose `strerror` says what was found instead.
    """

    def opened(name: str, flags: int) -> int:
        descriptor = open_descriptor(name, flags, follows_link=False)
        if os.fstat(descriptor).st_nlink > 1:
            os.close(descriptor)
            raise OSError(errno.EMLINK, "it has another hard link, which would change too: move it away", name)
        return descriptor

    return open(path, "r+b", opener=opened)


def open_new_file(path: str | Path) -> BinaryIO:
    """Open a new file for writing in place of what exists there; a link is replaced, not followed. Raises OSError."""
    try:
        return open(path, "xb")
    except FileExistsError:
        os.unlink(path)
        return open(path, "xb")


def open_descriptor(name: str | Path, flags: int, follows_link: bool = True) -> int:
    """Open a file as `os.open` does, but only a regular one and without ever waiting; a symbolic link only if `follows_link`.

    Raises OSError, whose `strerror` says what was found instead.
    """
    if not follows_link and os.path.islink(name):  # O_NOFOLLOW does not exist everywhere
        raise OSError(errno.ELOOP, "it is a symbolic link: move it away", name)
    # Without O_NONBLOCK, opening a named pipe waits for its other end.
    flags |= getattr(os, "O_NONBLOCK", 0) | (0 if follows_link else getattr(os, "O_NOFOLLOW", 0))
    try:
        descriptor = os.open(name, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a pipe that nobody reads, or a socket
            raise _other_kind(name, os.stat(name).st_mode) from error
        raise
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise _other_kind(name, mode)
    return descriptor


_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def _other_kind(name: str | Path, mode: int) -> OSError:
    return OSError(errno.EINVAL, f"it is {_KINDS.get(stat.S_IFMT(mode), 'something else')}, not a file", name)


def named_file(path: Path) -> Path:
    """Return the file to write whole for a user's path: the target of a symbolic link, whether it exists or not.

    Raises OutputError if the path is something other than a file, or its links form a circle.
    """
    real = Path(os.path.realpath(path)) if os.path.islink(path) else path
    with output_errors(path), suppress(FileNotFoundError, NotADirectoryError):
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            raise _other_kind(path, mode)
    return real


_MOST_BYTES_SEARCHED = 2**26


def refuse_other_file(file: Path, mark: bytes, why: str) -> None:
    """Raise OutputError, "FILE exists and" `why`, if a file exists that lacks the `mark` of those that may be replaced."""
    try:
        with open_regular_file(file) as existing:
            is_ours = mark in existing.read(_MOST_BYTES_SEARCHED)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError:  # it exists, but cannot be read
        is_ours = False
    if not is_ours:
        raise OutputError(f"{file} exists and {why}")


def write_whole_file(target: str, contents: bytes) -> None:
    """Write a small file under a temporary name and rename it, as `whole_file` does, but without waiting for the disk.

    This is for thousands of files, of which a power cut may lose the last few. Raises OutputError if that fails.
    """
    temporary = _temporary(target)
    with output_errors(target):
        try:
            with open_new_file(temporary) as file:
                file.write(contents)
            os.replace(temporary, target)
        except BaseException:
            with suppress(OSError):  # usually it does not exist
                os.unlink(temporary)
            raise


@contextmanager
def whole_file(target: Path, is_synced: bool = True) -> Iterator[Path]:
    """Yield the path of a new, empty file in the target's folder; when the block succeeds, rename it to `target`.

    If the block fails, the temporary file is removed and `target` stays as it was; a killed process leaves at most a hidden
    `.NAME.PID.tmp` behind. The contents are on the disk before the rename, so that a power cut loses neither the old file nor the
    new one; that takes some milliseconds, and `is_synced=False` skips it for a file that is easy to make again.
    Raises OutputError if the file cannot be written.
    """
    temporary = Path(_temporary(str(target)))
    with output_errors(target):
        try:
            open_new_file(temporary).close()  # a shared folder may have a link by this name
            yield temporary
            if is_synced:
                sync(temporary)
            temporary.replace(target)
        finally:
            with suppress(OSError):  # usually it was renamed
                temporary.unlink()


def sync(file: Path) -> None:
    """Wait until the contents of a file are on the disk. Raises OSError."""
    with file.open("rb+") as written:
        os.fsync(written.fileno())


def _temporary(target: str) -> str:
    folder, name = os.path.split(target)
    return os.path.join(folder, f".{name}.{os.getpid()}.tmp")


_TEMPORARY = re.compile(r"\.(.+)\.([0-9]+)\.tmp")


def remove_temporaries(folder: Path, is_ours: Callable[[str], bool], is_alone: bool) -> None:
    """Remove the temporary files that killed processes left in a folder, for files whose name `is_ours` accepts.

    Those of running processes stay, unless `is_alone` says that no other process writes such files. Raises OutputError if the
    folder cannot be read or a file cannot be removed.
    """
    found = [(name, match) for name in file_names(folder) if (match := _TEMPORARY.fullmatch(name)) and is_ours(match[1])]
    for name, match in found:
        if is_alone or not _is_running(int(match[2])):
            remove_file(folder / name, "a file that a killed run left unfinished")


def _is_running(process: int) -> bool:
    """Return whether a process of this number may be running here."""
    if sys.platform == "win32":  # where os.kill would end the process
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it belongs to another user
        return True
    return True


def remove_file(file: Path, what: str) -> None:
    """Remove a file if it exists. Raises OutputError, which describes the file as `what`, if that fails."""
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot remove {file}, {what}: {error.strerror}") from error


def prepare_folder(folder: Path, option: str = "--out") -> None:
    """Create an output folder and its parents. Raises OutputError, which names the `option` to change, if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        what = "a link that leads nowhere" if os.path.islink(error.filename) else "a file"
        message = f"output {error.filename} is {what}, expected a folder or a free name: choose another {option}"
        raise OutputError(message) from error
    except OSError as error:
        # Missing parents are created, so only the folder that relative paths start from can be missing.
        is_working_folder_gone = isinstance(error, FileNotFoundError) and not folder.is_absolute()
        reason = "the working folder is gone" if is_working_folder_gone else error.strerror
        raise OutputError(f"cannot make the folder {folder}: {reason}; choose another {option}") from error


@contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """Create an output folder for a block. If the block fails, remove the folders that were created, unless they contain files.

    Raises OutputError if it cannot be created.
    """
    made = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    try:
        prepare_folder(folder)
        yield
    except BaseException:
        for path in made:
            with suppress(OSError):  # it is not empty, or was never created
                path.rmdir()
        raise


def file_names(folder: Path) -> Iterator[str]:
    """Yield the names of everything in a folder, none if it does not exist. Raises OutputError if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            yield from (entry.name for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise OutputError(f"cannot read the folder {folder}: {error.strerror}; choose another --out") from error


def refuse_overwriting(existing: Iterable[Path], can_resume: bool, differences: Sequence[str]) -> None:
    """Raise OutputError, which lists the alternatives, if there are any existing files.

    `differences` say how the run that wrote them differs from this one; if there are any, it cannot be resumed.
    """
    first, count = None, 0
    for path in existing:
        first, count = min(first or path, path), count + 1
    if first is not None:
        more = f", as do {count - 1:,} more" if count > 1 else ""
        of_another = f" (of another run: {'; '.join(differences)})" if differences else ""
        resume = "--resume to complete that run, " if can_resume and not differences else ""
        raise OutputError(f"{first} exists already{more}{of_another}: use {resume}--overwrite, or another --out")
