"""Reading IDX files of whole numbers, plain or gzipped: the format in which MNIST is published.

Four bytes of magic (two zeros, the type of the values, the number of dimensions), each dimension as a big-endian 32-bit number,
then the values, the last dimension running fastest (http://yann.lecun.com/exdb/mnist/). Files are untrusted: no more is held in
memory than the header says and the file really contains.
"""

import gzip
import hashlib
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from pocketgan.files import open_regular_file
from pocketgan_trainer.data.array_files import ArrayHeader, check_size, read_contents
from pocketgan_trainer.data.source import LARGEST_CONTENTS
from pocketgan_trainer.errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
MOST_DIMENSIONS = 3
_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4"}


@dataclass(frozen=True, eq=False)
class IdxContents:
    """The values of an IDX file, and the digest by which it is known."""

    values: NDArray[np.integer]
    """In the shape that the header gives; writable."""
    sha256: str
    """Of the whole uncompressed contents, header included; lower-case hexadecimal."""


def accepted_names(name: str) -> tuple[str, ...]:
    """Return the names of an IDX file, published as `name`.gz; some programs unpack it with a dot before `idx`."""
    dotted = name.replace("-idx", ".idx")
    return (name, f"{name}.gz", dotted, f"{dotted}.gz")


def find_named(folder: Path, name: str) -> Path | None:
    """Return where `folder` holds the IDX file that was published as `name`.gz, under any of its names, or None.

    Some programs unpack it into a folder of the same name.
    """
    for other in accepted_names(name):
        path = folder / other
        for candidate in (path, *(path / inner for inner in accepted_names(name))):
            if os.path.exists(candidate) and not os.path.isdir(candidate):
                return candidate
    return None


def read_idx(path: Path, check: Callable[[ArrayHeader, Path], None] | None = None) -> IdxContents:
    """Return the values of the IDX file at `path`, 1 to 3 dimensions, and the SHA-256 of its uncompressed contents.

    The file may be gzipped under any name. `check` gets the header and the path, and raises DataError for what is not wanted.
    Raises DataError if the file is absent, damaged, or anything else than whole numbers of 8 to 32 bits, 1 GiB of them at most.
    """
    with _opened(path) as stream:
        head, header = _read_header(stream, path)
        if check is not None:
            check(header, path)
        check_size(header, path, "its values", LARGEST_CONTENTS)
        try:
            contents = read_contents(stream, header.size)
        except ValueError as error:
            message = f"{path} {error} for {_by(header.shape)}; expected an undamaged file"
            raise DataError(message) from error
    digest = hashlib.sha256(head)
    digest.update(contents)
    return IdxContents(np.frombuffer(contents, dtype=header.dtype).reshape(header.shape), digest.hexdigest())


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Yield a stream of a file's uncompressed contents, which can seek; raise what goes wrong with it as DataError."""
    try:
        with open_regular_file(path) as file:
            is_gzip = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            file.seek(0)
            with cast(BinaryIO, gzip.GzipFile(fileobj=file)) if is_gzip else file as stream:
                yield stream
    except FileNotFoundError:
        message = f"{path} does not exist; expected an IDX file: check the path or fetch the file again"
        raise DataError(message) from None
    except EOFError:
        message = f"{path} is truncated: its gzip stream breaks off before the end; expected an undamaged file"
        raise DataError(message) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        message = f"{path} is corrupt: its gzip stream cannot be read ({error}); expected an undamaged file"
        raise DataError(message) from error
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror or error}); expected a readable IDX file: check the path"
        raise DataError(message) from error


def _read_header(stream: BinaryIO, path: Path) -> tuple[bytes, ArrayHeader]:
    """Return the header's bytes, and the header."""
    magic = stream.read(4)
    if not magic:
        message = f"{path} is empty; expected an IDX file"
        raise DataError(message)
    dimensions = magic[-1]
    if len(magic) < 4 or magic[:2] != bytes(2) or magic[2] not in _TYPES or not 1 <= dimensions <= MOST_DIMENSIONS:
        message = (
            f"{path} is not an IDX file of whole numbers: it begins with 0x{magic.hex()}, expected 0x00000801 to "
            f"0x0000080{MOST_DIMENSIONS}, or 09, 0b or 0c in place of 08; give the file as it was published"
        )
        raise DataError(message)
    sizes = stream.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        message = (
            f"{path} is truncated: it ends within its header, after {4 + len(sizes)} of {4 + 4 * dimensions} bytes; "
            "expected an undamaged file"
        )
        raise DataError(message)
    shape = tuple(int.from_bytes(sizes[start : start + 4], "big") for start in range(0, len(sizes), 4))
    if 0 in shape:
        message = f"{path} holds no values: its header says {_by(shape)}; expected at least one"
        raise DataError(message)
    return magic + sizes, ArrayHeader(shape, np.dtype(_TYPES[magic[2]]), len(magic) + len(sizes))


def _by(shape: tuple[int, ...]) -> str:
    """Return a shape as people write it: 60000x28x28."""
    return "x".join(str(size) for size in shape)
