"""Writing drawn images as IDX files, the format of MNIST: one file with images, one with labels.

Format: Y. LeCun, "The MNIST database", section "File formats": two zero bytes, the type (8 for uint8), the number of dimensions,
then each dimension as a big-endian 32-bit integer, then the data.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from pocketgan.errors import OutputError
from pocketgan.files import remove_file, whole_file
from pocketgan.generator import Batch

LARGEST_COUNT = 2**32 - 1
_UINT8 = 8
_LARGEST_LABEL = 255


def idx_names(is_compressed: bool, label_dimensions: int) -> tuple[str, ...]:
    """Return the names of the files: images, and labels if these have any dimensions; with `.gz` if they are compressed."""
    names = ["images-idx3-ubyte"] + [f"labels-idx{label_dimensions}-ubyte"] * bool(label_dimensions)
    return tuple(name + ".gz" * is_compressed for name in names)


def all_idx_names(is_compressed: bool) -> tuple[str, ...]:
    """Return the names of all files that readers would take together: images, and labels of images or of rows of text."""
    return tuple(dict.fromkeys(idx_names(is_compressed, 1) + idx_names(is_compressed, 2)))


def write_idx_files(folder: Path, batches: Iterable[Batch], count: int, is_compressed: bool) -> Iterator[Batch]:
    """Write `count` images, and their labels if there are any, into IDX files and pass the batches on.

    The files appear after the last batch, see `idx_names`; files of labels that would not belong to them go. Equal images give
    equal bytes, compressed too. Memory does not grow with `count`. Raises OutputError if a file cannot be written, or the format
    does not hold so many images or classes.
    """
    if count > LARGEST_COUNT:
        raise OutputError(f"{count:,} images do not fit into an IDX file: expected at most {LARGEST_COUNT:,}; use --shard")
    batches = iter(batches)
    first = next(batches)
    names = idx_names(is_compressed, 0 if first.labels is None else first.labels.ndim)
    with ExitStack() as renames:
        temporary = [renames.enter_context(whole_file(folder / name)) for name in names]
        # All are closed, and so known to be complete, before the first gets its name.
        with ExitStack() as stack:
            files = [
                stack.enter_context(_idx_file(path, folder / name, is_compressed))
                for path, name in zip(temporary, names, strict=True)
            ]
            for file, array in zip(files, _arrays(first), strict=True):
                file(bytes([0, 0, _UINT8, array.ndim]) + np.array([count, *array.shape[1:]], ">u4").tobytes())
            for batch in chain([first], batches):
                for file, array in zip(files, _arrays(batch), strict=True):
                    file(array.data)
                yield batch
    for name in set(all_idx_names(is_compressed)) - set(names):
        remove_file(folder / name, "older labels of other images")


@contextmanager
def _idx_file(temporary: Path, target: Path, is_compressed: bool) -> Iterator[Callable[[bytes | memoryview], object]]:
    """Yield what writes into a temporary file; at the end it is complete. Raises OutputError, which names the target."""
    try:
        with ExitStack() as stack:
            file: IO[bytes] = stack.enter_context(temporary.open("wb"))
            if is_compressed:
                from gzip import GzipFile

                # Without name and time of day: equal images give equal bytes.
                compressed = GzipFile(filename="", mode="wb", fileobj=file, mtime=0)
                file = cast(IO[bytes], stack.enter_context(compressed))
            yield _writer(file, target)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from error


def _writer(file: IO[bytes], target: Path) -> Callable[[bytes | memoryview], object]:
    def write(data: bytes | memoryview) -> None:
        try:
            file.write(data)
        except OSError as error:
            raise OutputError(f"cannot write {target}: {error.strerror or error}") from error

    return write


def _arrays(batch: Batch) -> tuple[NDArray[np.uint8], ...]:
    """Return what is written of a batch. Raises OutputError for labels that do not fit into a byte."""
    images = np.ascontiguousarray(batch.images)
    if batch.labels is None:
        return (images,)
    if batch.labels.max() > _LARGEST_LABEL:
        raise OutputError(f"label {batch.labels.max()} does not fit into an IDX file: expected at most {_LARGEST_LABEL}; use npz")
    return images, batch.labels.astype(np.uint8)
