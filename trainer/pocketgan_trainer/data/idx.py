"""Reading IDX files of unsigned bytes, plain or gzipped: the format in which MNIST is published.

Four bytes of magic (two zeros, the type of the values, the number of dimensions), each dimension as a big-endian 32-bit number,
then the values, the last dimension running fastest. Files are untrusted: no more is held in memory than the header says and the
file really contains.
"""

import gzip
import hashlib
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTE = 0x08
MOST_DIMENSIONS = 3
LARGEST_CONTENTS = 2**30
"""In bytes, header included: 20 times MNIST. A header that claims more is refused before anything is read."""
CHUNK_SIZE = 2**20


@dataclass(frozen=True, eq=False)
class IdxContents:
    """What an IDX file holds, and the digest by which it is known."""

    values: NDArray[np.uint8]
    """In the shape that the header gives; writable."""
    sha256: str
    """Of the whole uncompressed contents, header included; lower-case hexadecimal."""


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the values of the IDX file at `path`, uint8 in the shape (1 to 3 dimensions) that its header gives.

    The file may be gzipped under any name. Raises DataError if it is absent, damaged, or anything else than unsigned bytes.
    """
    return read_idx_with_digest(path).values


def read_idx_with_digest(path: Path) -> IdxContents:
    """Return the values of the IDX file at `path` and the SHA-256 of its uncompressed contents, from one reading.

    Raises DataError as `read_idx` does.
    """
    try:
        with path.open("rb") as file:
            is_gzip = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            file.seek(0)
            with cast(BinaryIO, gzip.GzipFile(fileobj=file)) if is_gzip else file as stream:
                return _parse(stream, path)
    except FileNotFoundError:
        message = f"{path} does not exist; expected an IDX file: check the path or fetch the file again"
        raise DataError(message) from None
    except EOFError:
        message = f"{path} is truncated: its gzip stream breaks off before the end; delete it and fetch it again"
        raise DataError(message) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        message = f"{path} is corrupt: its gzip stream cannot be read ({error}); delete it and fetch it again"
        raise DataError(message) from error
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror or error}); expected a readable IDX file: check the path"
        raise DataError(message) from error


def _parse(stream: BinaryIO, path: Path) -> IdxContents:
    """Read header and values; one byte more than the header allows is asked for, to see whether anything follows."""
    header, shape = _read_header(stream, path)
    expected = len(header) + math.prod(shape)
    if 0 in shape:
        message = f"{path} holds no values: its header says {_by(shape)}; delete it and fetch it again"
        raise DataError(message)
    if expected > LARGEST_CONTENTS:
        message = (
            f"{path} is too large: its header says {_by(shape)} = {math.prod(shape)} values, expected at most "
            f"{LARGEST_CONTENTS}; it is damaged or no data set for this package: fetch it again"
        )
        raise DataError(message)
    contents = bytearray(header)
    # In chunks, because a single read would allocate all that the header claims before a byte of it is seen.
    while chunk := stream.read(min(CHUNK_SIZE, expected + 1 - len(contents))):
        contents += chunk
    if len(contents) != expected:
        found = f"{len(contents)}" if len(contents) < expected else f"more than {expected}"
        kind = "is truncated" if len(contents) < expected else "has trailing bytes"
        message = f"{path} {kind}: {found} bytes uncompressed, expected {expected} for {_by(shape)}; delete it and fetch it again"
        raise DataError(message)
    values = np.frombuffer(contents, dtype=np.uint8, offset=len(header)).reshape(shape)
    return IdxContents(values, hashlib.sha256(contents).hexdigest())


def _read_header(stream: BinaryIO, path: Path) -> tuple[bytes, tuple[int, ...]]:
    """Return the header's bytes and the shape that it gives."""
    magic = stream.read(4)
    if not magic:
        message = f"{path} is empty; expected an IDX file: delete it and fetch it again"
        raise DataError(message)
    dimensions = magic[-1]
    if magic[:-1] != bytes([0, 0, UNSIGNED_BYTE]) or not 1 <= dimensions <= MOST_DIMENSIONS:
        message = (
            f"{path} is not an IDX file of unsigned bytes: it begins with 0x{magic.hex()}, "
            f"expected 0x00000801 to 0x0000080{MOST_DIMENSIONS}; give the file as it was published"
        )
        raise DataError(message)
    sizes = stream.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        message = (
            f"{path} is truncated: it ends within its header, after {4 + len(sizes)} of {4 + 4 * dimensions} bytes; "
            "delete it and fetch it again"
        )
        raise DataError(message)
    return magic + sizes, tuple(int.from_bytes(sizes[start : start + 4], "big") for start in range(0, len(sizes), 4))


def _by(shape: tuple[int, ...]) -> str:
    """Return a shape as people write it: 60000x28x28."""
    return "x".join(str(size) for size in shape)
