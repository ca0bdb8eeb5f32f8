"""Writing drawn images as IDX files, the format of MNIST: one file with images, one with labels.

Format: Y. LeCun, "The MNIST database", section "File formats": two zero bytes, the type (8 for uint8), the number of dimensions,
then each dimension as a big-endian 32-bit integer, then the data.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from pocketgan.errors import OutputError
from pocketgan.files import whole_file
from pocketgan.generator import Batch

LARGEST_COUNT = 2**32 - 1
_UINT8 = 8


def idx_names(is_compressed: bool, label_dimensions: int) -> tuple[str, ...]:
    """Return the names of the files: images, and labels if these have any dimensions; with `.gz` if they are compressed."""
    names = ["images-idx3-ubyte"] + [f"labels-idx{label_dimensions}-ubyte"] * bool(label_dimensions)
    return tuple(name + ".gz" * is_compressed for name in names)


def write_idx_files(folder: Path, batches: Iterable[Batch], count: int, is_compressed: bool) -> Iterator[Batch]:
    """Write `count` images, and their labels if there are any, into IDX files and pass the batches on.

    The files appear after the last batch, see `idx_names`. Equal images give equal bytes, compressed too. Memory does not grow
    with `count`. Raises OutputError if a file cannot be written, or `count` is more than the format holds.
    """
    if count > LARGEST_COUNT:
        raise OutputError(f"{count:,} images do not fit into an IDX file: expected at most {LARGEST_COUNT:,}; use --shard")
    batches = iter(batches)
    first = next(batches)
    names = idx_names(is_compressed, 0 if first.labels is None else first.labels.ndim)
    with ExitStack() as stack:
        files = [stack.enter_context(_idx_file(folder / name, is_compressed)) for name in names]
        for file, array in zip(files, _arrays(first), strict=True):
            file.write(bytes([0, 0, _UINT8, array.ndim]) + np.array([count, *array.shape[1:]], ">u4").tobytes())
        for batch in chain([first], batches):
            for file, array in zip(files, _arrays(batch), strict=True):
                file.write(np.ascontiguousarray(array, np.uint8).data)
            yield batch


@contextmanager
def _idx_file(target: Path, is_compressed: bool) -> Iterator[IO[bytes]]:
    with whole_file(target) as temporary, temporary.open("wb") as file:
        if is_compressed:
            from gzip import GzipFile

            # Without name and time of day: equal images give equal bytes.
            with GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as compressed:
                yield cast(IO[bytes], compressed)
        else:
            yield file


def _arrays(batch: Batch) -> tuple[NDArray[np.generic], ...]:
    return (batch.images,) if batch.labels is None else (batch.images, batch.labels)
