"""Downloading one file from the first mirror that has it: resumed where a connection broke off, verified before it counts."""

import hashlib
import os
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Protocol, cast
from urllib.error import HTTPError, URLError

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from pocketgan.locking import locked
from pocketgan_trainer.errors import DownloadError

CHUNK_SIZE = 2**16
LARGEST_DOWNLOAD = 2**26
"""In bytes: six times MNIST's largest file. A server that sends more is cut off."""
REPEATABLE_STATUSES = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    HTTPStatus.TOO_MANY_REQUESTS,
)
"""Client errors that another attempt may well cure; server errors always may."""


@dataclass(frozen=True)
class Patience:
    """How long to insist on one mirror before the next is asked."""

    attempts: int = 3
    pause_seconds: float = 1.0
    """Before the second attempt; each further pause is twice as long."""
    timeout_seconds: float = 30.0
    """For each single wait on the network, not for the whole download."""


class _Report(Protocol):
    """Told of every change: how many bytes lie on disk, and how many there will be where the server says so."""

    def __call__(self, *, completed: int, total: int | None) -> None: ...


class _AttemptError(Exception):
    """One attempt at one mirror failed; the text says why."""

    def __init__(self, reason: str, *, is_worth_repeating: bool = True) -> None:
        super().__init__(reason)
        self.is_worth_repeating = is_worth_repeating


def download(urls: Sequence[str], target: Path, sha256: str, patience: Patience = Patience()) -> None:
    """Download the file with the given digest to `target`, unless that exists, from the first of `urls` that delivers it.

    The bytes go to `target` + `.part`, which outlives a failure or a kill and is resumed later, from any mirror. Only when its
    SHA-256 is right is it renamed to `target`; with a wrong digest it is deleted. A bar on stderr shows how far it is, if that
    is a terminal.

    Processes that download into the same folder at once take turns by a lock on its file `.lock`: verifying before renaming
    would not be enough, since the slower one could still be appending to the file that the faster has just verified and renamed.
    Whoever comes second finds `target` there.

    Raises DownloadError if no mirror delivers, saying why for each, or if the folder cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.with_name(".lock")), _progress_bar() as progress:
            if target.exists():
                return
            report = cast(_Report, partial(progress.update, progress.add_task(target.name, total=None)))
            part = target.with_name(f"{target.name}.part")
            _fill_from_any(urls, part, sha256, patience, report)
            os.replace(part, target)
    except OSError as error:
        message = f"cannot write {target} ({error.strerror or error}); make room for it, or {_by_hand(target)}"
        raise DownloadError(message) from error


def _fill_from_any(urls: Sequence[str], part: Path, sha256: str, patience: Patience, report: _Report) -> None:
    """Make `part` whole; raise DownloadError if no mirror can."""
    # A kill between the last byte and the renaming leaves a whole part file: a server could only answer 416 to its continuation.
    if _has_digest(part, sha256):
        return
    failures = []
    for url in urls:
        try:
            _fill_from(url, part, sha256, patience, report)
        except _AttemptError as error:
            failures.append(f"{url}: {error}")
        else:
            return
    name = part.stem
    message = f"could not download {name} ({'; '.join(failures)}); try again, or {_by_hand(part.with_name(name))}"
    raise DownloadError(message)


def _fill_from(url: str, part: Path, sha256: str, patience: Patience, report: _Report) -> None:
    """Make `part` whole from one mirror, in as many attempts as patience allows; raise the last attempt's error."""
    for attempt in range(1, patience.attempts + 1):
        try:
            _attempt(url, part, sha256, patience.timeout_seconds, report)
        except _AttemptError as error:
            if not error.is_worth_repeating or attempt == patience.attempts:
                message = f"{error}" if attempt == 1 else f"{error}, at attempt {attempt}"
                raise _AttemptError(message) from error
            time.sleep(patience.pause_seconds * 2 ** (attempt - 1))
        else:
            return


def _attempt(url: str, part: Path, sha256: str, timeout_seconds: float, report: _Report) -> None:
    """Fetch what `part` still lacks and check its digest."""
    size_kept = _append(url, part, timeout_seconds, report)
    if not _has_digest(part, sha256):
        part.unlink()
        message = f"the SHA-256 of what it sent is not {sha256}"
        # What lay there before may be to blame, or a server that sent another range: then a fresh start does better.
        raise _AttemptError(message, is_worth_repeating=size_kept > 0)


def _append(url: str, part: Path, timeout_seconds: float, report: _Report) -> int:
    """Write the answer behind what `part` holds, or in its place if the server cannot resume; return how many bytes were kept."""
    size_before = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={size_before}-"} if size_before else {}
    with _open(url, headers, part, timeout_seconds) as response:
        size = size_kept = size_before if response.status == HTTPStatus.PARTIAL_CONTENT else 0
        length = response.headers.get("Content-Length", "")
        total = size + int(length) if length.isdecimal() else None
        with part.open("ab") as file:
            file.truncate(size)
            for chunk in _chunks(response):
                size += file.write(chunk)
                report(completed=size, total=total)
                if size > LARGEST_DOWNLOAD:
                    break
    if size > LARGEST_DOWNLOAD:
        part.unlink()
        message = f"it sent more than {LARGEST_DOWNLOAD} bytes"
        raise _AttemptError(message, is_worth_repeating=False)
    if total is not None and size < total:
        message = f"the connection broke off after {size} of {total} bytes"
        raise _AttemptError(message)
    return size_kept


def _open(url: str, headers: dict[str, str], part: Path, timeout_seconds: float) -> HTTPResponse:
    """Return the server's answer, if it is a body."""
    try:
        request = urllib.request.Request(url, headers=headers)
        return cast(HTTPResponse, urllib.request.urlopen(request, timeout=timeout_seconds))
    except HTTPError as error:
        error.close()
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            # The part file is as long as the whole or longer, yet its digest is wrong: only a fresh start helps.
            part.unlink(missing_ok=True)
        repeatable = error.code >= HTTPStatus.INTERNAL_SERVER_ERROR or error.code in REPEATABLE_STATUSES
        message = f"HTTP {error.code} {error.reason}"
        raise _AttemptError(message, is_worth_repeating=repeatable) from error
    except URLError as error:
        message = f"{error.reason}"
        raise _AttemptError(message) from error
    except (OSError, HTTPException) as error:
        message = f"{error or type(error).__name__}"
        raise _AttemptError(message) from error


def _chunks(response: HTTPResponse) -> Iterator[bytes]:
    """Yield the body piece by piece; what arrived before an error has been yielded by then."""
    while True:
        try:
            chunk = response.read1(CHUNK_SIZE)
        except (OSError, HTTPException) as error:
            message = f"the connection broke off: {error or type(error).__name__}"
            raise _AttemptError(message) from error
        if not chunk:
            return
        yield chunk


def _has_digest(path: Path, sha256: str) -> bool:
    """Say whether there is a file at `path` and its SHA-256 is this."""
    if not path.exists():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def _progress_bar() -> Progress:
    """Return a bar on stderr, invisible unless that is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())


def _by_hand(target: Path) -> str:
    """Return the way out for people whose machine reaches no mirror."""
    return f"fetch {target.name} by hand and give the folder that holds it with --data DIR"
