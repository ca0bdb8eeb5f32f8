"""Downloading one file from the first mirror that has it, verified before it counts.

This is the standard library and not pooch, which was tried: pooch sets no limit to what a server may send, and undoes a
`Content-Encoding: gzip`, so that a .gz file served with that header never has its digest. What would have to be written around
it (mirrors, limit, lock, progress, messages) is as long as this file.
"""

import hashlib
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from functools import partial
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Protocol, cast
from urllib.error import HTTPError

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from pocketgan.errors import OutputError
from pocketgan.files import output_errors, whole_file
from pocketgan.locking import locked
from pocketgan_trainer.errors import DownloadError

ATTEMPTS = 3
"""At each mirror, before the next is tried."""
PAUSE_SECONDS = 1.0
"""Before the second attempt; each further pause is twice as long."""
TIMEOUT_SECONDS = 30.0
"""For each single wait on the network, not for the whole download."""
LARGEST_DOWNLOAD = 2**26
"""In bytes: six times MNIST's largest file. A server that sends more is cut off."""
_CHUNK_SIZE = 2**16
_REPEATABLE_STATUSES = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
"""Client errors that are worth another attempt, as all server errors are."""


class _Report(Protocol):
    """Shows how many bytes have come, of how many where the server says so."""

    def __call__(self, *, completed: int, total: int | None) -> None: ...


class _AttemptError(Exception):
    """One attempt at one mirror failed; the text says why."""

    def __init__(self, reason: str, *, may_pass: bool = True) -> None:
        super().__init__(reason)
        self.may_pass = may_pass


def download(urls: Sequence[str], target: Path, sha256: str) -> None:
    """Download the file with the given digest to `target`, unless that exists, from the first of `urls` that delivers it.

    It gets its name only when its SHA-256 is right. A bar on stderr shows the progress, if that is a terminal. Processes that
    download into the same folder at once take turns by a lock on its file `.lock`; whoever comes second finds `target` there.

    Raises DownloadError if no mirror delivers, saying why for each, or if the folder cannot be written.
    """
    by_hand = f"fetch {target.name} by hand and give the folder that holds it with --data DIR"
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    progress = Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())
    failures = []
    try:
        with output_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            with locked(target.with_name(".lock")), progress:
                if target.exists():
                    return
                report = cast(_Report, partial(progress.update, progress.add_task(target.name, total=None)))
                for url in urls:
                    try:
                        _download_from(url, target, sha256, report)
                    except _AttemptError as error:
                        failures.append(f"{url}: {error}")
                    else:
                        return
    except OutputError as error:
        raise DownloadError(f"{error}; make room for it, or {by_hand}") from error
    raise DownloadError(f"could not download {target.name} ({'; '.join(failures)}); try again, or {by_hand}")


def _download_from(url: str, target: Path, sha256: str, report: _Report) -> None:
    """Download the file from one mirror, in up to ATTEMPTS attempts; raise the last one's error."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with whole_file(target) as temporary, temporary.open("wb") as file:
                digest = hashlib.sha256()
                for chunk in _body(url, report):
                    digest.update(chunk)
                    file.write(chunk)
                if digest.hexdigest() != sha256:
                    raise _AttemptError(f"the SHA-256 of what it sent is not {sha256}", may_pass=False)
            return
        except _AttemptError as error:
            if not error.may_pass or attempt == ATTEMPTS:
                raise _AttemptError(f"{error}" if attempt == 1 else f"{error}, at attempt {attempt}") from error
            time.sleep(PAUSE_SECONDS * 2 ** (attempt - 1))


def _body(url: str, report: _Report) -> Iterator[bytes]:
    """Yield what the server sends, in pieces; raise _AttemptError unless that is whole, and LARGEST_DOWNLOAD bytes at most."""
    size, total = 0, None
    try:
        with cast(HTTPResponse, urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS)) as response:
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() else None
            while chunk := response.read1(_CHUNK_SIZE):
                size += len(chunk)
                if size > LARGEST_DOWNLOAD:
                    raise _AttemptError(f"it sent more than {LARGEST_DOWNLOAD} bytes", may_pass=False)
                report(completed=size, total=total)
                yield chunk
    except HTTPError as error:
        error.close()
        may_pass = error.code >= HTTPStatus.INTERNAL_SERVER_ERROR or error.code in _REPEATABLE_STATUSES
        raise _AttemptError(f"HTTP {error.code} {error.reason}", may_pass=may_pass) from error
    except (OSError, HTTPException) as error:  # of which URLError is one
        broke_off = "the connection broke off: " if size else ""
        raise _AttemptError(f"{broke_off}{getattr(error, 'reason', None) or error or type(error).__name__}") from error
    if total is not None and size < total:
        raise _AttemptError(f"the connection broke off after {size} of {total} bytes")
