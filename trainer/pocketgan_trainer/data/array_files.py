"""Arrays of images and labels in untrusted files: what they may be, by their headers, and reading the values that follow.

All is checked before any value is read or any memory taken, so that a small file cannot claim, or be unpacked to, a lot of it.
"""

import math
import os
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as shortened
from typing import IO

import numpy as np

from pocketgan_trainer.data.source import LARGEST_CONTENTS, WantedImages
from pocketgan_trainer.errors import DataError

LARGEST_LABELS = 2**27
"""In bytes, of all labels of one file."""
CHUNK_SIZE = 2**20
MOST_TIMES_UNPACKED = 200
"""Large images that unpack to more than this many times their file's size hold nothing: MNIST's unpack to 5 times."""
_LARGE = 2**26
"""In bytes: contents that are larger are read through once before they are kept, since they may be damaged near the end."""


@dataclass(frozen=True)
class ArrayHeader:
    """What a file says of an array before its values."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    offset: int
    """Where the values begin, in bytes."""
    is_fortran: bool = False
    """Whether the first dimension runs fastest."""

    @property
    def size(self) -> int:
        """The bytes of all values."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{str(self.dtype)[:40]} {shortened(list(self.shape))}"


def check_images(header: ArrayHeader, path: Path, wanted: WantedImages) -> None:
    """Raise DataError unless `header` is of images as wanted, uint8 [N, H, W] or [N, H, W, 1], that fit into memory."""
    shape = header.shape[:3] if header.shape[3:] == (1,) else header.shape
    is_fit = header.dtype == np.uint8 and len(shape) == 3 and min(shape) > 0
    if not is_fit or wanted.shape not in (None, shape[1:]):
        size = "H, W" if wanted.shape is None else f"{wanted.shape[0]}, {wanted.shape[1]}"
        message = (
            f"{path} holds images {header}: expected grey uint8 [N, {size}] or [N, {size}, 1], 0 to 255; convert them, or "
            "give the file that holds images"
        )
        raise DataError(message)
    wanted.check_count(shape[0], path)
    check_size(header, path, "the images", LARGEST_CONTENTS)
    times = header.size // max(1, os.path.getsize(path))
    if header.size > _LARGE and times > MOST_TIMES_UNPACKED:
        message = (
            f"{path} unpacks to {times:,} times its size: expected at most {MOST_TIMES_UNPACKED} times for that many images; "
            "they are blank, or all alike: check how they were made"
        )
        raise DataError(message)


def check_labels(header: ArrayHeader, path: Path, count: int) -> None:
    """Raise DataError unless there is one whole number or name for each of `count` images."""
    is_whole_or_text = np.issubdtype(header.dtype, np.integer) or (header.dtype.kind in "SU" and header.dtype.itemsize)
    if header.shape not in ((count,), (count, 1)) or not is_whole_or_text:
        message = (
            f"{path} has labels {header}: expected one whole number or name for each of {count:,} images; convert them, or "
            "leave them out"
        )
        raise DataError(message)
    check_size(header, path, "the labels", LARGEST_LABELS)


def check_size(header: ArrayHeader, path: Path, what: str, largest: int) -> None:
    """Raise DataError if an array takes more than `largest` bytes."""
    if header.size > largest:
        message = (
            f"{path} claims {shortened(header.size)} bytes for {what}: expected at most {largest:,}; take fewer or smaller ones"
        )
        raise DataError(message)


def labels_beside(path: Path) -> Path | None:
    """Return the file of labels that belongs to one of images alone, such as kmnist-train-imgs.npz or images.npy, or None."""
    for word in ("imgs", "images"):
        name = path.name.replace(word, "labels")
        if name != path.name and os.path.exists(path.with_name(name)):
            return path.with_name(name)
    return None


def unreadable(path: Path, what: str, error: Exception, expected: str) -> DataError:
    """Return the error for a file that is not `what` its name says, in one line."""
    system = error.strerror if isinstance(error, OSError) else None
    reason = textwrap.shorten(f"{system or error or type(error).__name__}", 200, placeholder=" ...")
    return DataError(f"{path} cannot be read as {what} ({reason}): expected {expected}; save it again")


def read_contents(stream: IO[bytes], size: int) -> bytearray:
    """Return the `size` bytes that are left in a stream that can seek. Raises ValueError if there are fewer or more."""
    if size > _LARGE:
        start = stream.tell()
        for _ in _chunks(stream, size):
            pass
        stream.seek(start)
    contents = bytearray()
    for chunk in _chunks(stream, size):
        contents += chunk
    return contents


def _chunks(stream: IO[bytes], size: int) -> Iterator[bytes]:
    """Yield what is left, in pieces; raise ValueError at its end unless it has `size` bytes."""
    found = 0
    # One byte more is asked for, to see whether anything follows.
    while chunk := stream.read(min(CHUNK_SIZE, size + 1 - found)):
        found += len(chunk)
        yield chunk
    if found < size:
        raise ValueError(f"is truncated: {found} bytes of values uncompressed, expected {size}")
    if found > size:
        raise ValueError(f"has trailing bytes: more than {size} bytes of values uncompressed, expected {size}")
