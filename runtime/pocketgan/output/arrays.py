"""IDX, NPY and raw files: a header, then a fixed number of bytes per image, so a stopped run can be continued."""

import io
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketgan.drawing import Drawing
from pocketgan.errors import OutputError
from pocketgan.files import open_new_file, open_to_continue, output_errors, remove_file
from pocketgan.generator import Batch
from pocketgan.request import Existing


@dataclass(frozen=True)
class ArrayFile:
    """The contents of one file."""

    name: str
    header: bytes
    image_bytes: int
    """Bytes per image, for its pixels or its label."""
    contents: Callable[[Batch], NDArray[Any]]
    """Returns the data of a batch: [n, ...], C-contiguous."""


@dataclass(frozen=True)
class ArrayFiles:
    """Files that belong together, such as images and their labels. They are renamed when all are complete.

    Until then each is `.NAME.part`; a stopped or killed run leaves it, and a resumed run continues it.
    """

    folder: Path
    indices: range
    files: tuple[ArrayFile, ...]
    stale_names: tuple[str, ...] = ()
    """Names under which readers would find labels of older images; such files are removed once these are complete."""
    holds_labels: bool = True

    def file_of(self, index: int) -> None:
        """Return None: all images share the files."""

    def is_ours(self, name: str) -> bool:
        """Return whether a file of this name is one of these."""
        return name in self._names()

    def existing(self) -> list[Path]:
        """Return those of these files that exist."""
        return [path for name in self._names() if os.path.lexists(path := self.folder / name)]

    def missing(self) -> list[range]:
        """Return the indices that are not in all of the files yet. Raises OutputError if a file cannot be read or continued."""
        missing = self.indices[self._images_done() :]
        return [missing] if missing else []

    def discard_unfinished(self) -> None:
        """Remove the parts that a stopped run has left. Raises OutputError if that fails."""
        for name in self._names():
            remove_file(self.folder / _part_name(name), "a file that a stopped run left unfinished")

    def write(self, batches: Iterable[Batch], existing: Existing) -> Generator[Batch, None, None]:
        """Write batches, of all indices or of the missing ones, and yield each one once it is written.

        The files appear after the last batch. Memory use does not depend on their number. Raises OutputError if a file cannot be
        written; a resumed run continues from there.
        """
        done = self._images_done() if existing is Existing.resume else 0
        is_complete = {file.name: existing is Existing.resume and self._is_complete(file) for file in self.files}
        unfinished = [file for file in self.files if not is_complete[file.name]]
        # All files are closed and on disk before the first is renamed, so that a full disk leaves older ones unchanged.
        with ExitStack() as stack:
            writers = [stack.enter_context(self._opened_part(file, done)) for file in unfinished]
            for batch in batches:
                for file, write in zip(unfinished, writers, strict=True):
                    write(file.contents(batch).data)
                yield batch
        for file in unfinished:
            with output_errors(self.folder / file.name):
                self._part(file).replace(self.folder / file.name)
        for name in self.stale_names:
            remove_file(self.folder / name, "an older file of other images")

    def _names(self) -> tuple[str, ...]:
        return (*(file.name for file in self.files), *self.stale_names)

    def _images_done(self) -> int:
        """Return how many images every one of the files contains."""
        return min(len(self.indices) if self._is_complete(file) else self._images_in_part(file) for file in self.files)

    def _is_complete(self, file: ArrayFile) -> bool:
        """Return whether a file exists with its full size, and no part of a new one."""
        path = self.folder / file.name
        with output_errors(path, "read"):
            is_begun, size = os.path.lexists(self._part(file)), os.path.getsize(path) if os.path.exists(path) else 0
        return not is_begun and size == len(file.header) + len(self.indices) * file.image_bytes

    def _images_in_part(self, file: ArrayFile) -> int:
        part = self._part(file)
        with output_errors(part, "continue"):
            if not os.path.lexists(part):
                return 0
            with open_to_continue(part) as contents:
                if contents.read(len(file.header)) != file.header:
                    return 0
                size = contents.seek(0, os.SEEK_END)
        return min(len(self.indices), (size - len(file.header)) // file.image_bytes)

    def _part(self, file: ArrayFile) -> Path:
        return self.folder / _part_name(file.name)

    @contextmanager
    def _opened_part(self, file: ArrayFile, done: int) -> Iterator[Callable[[memoryview], None]]:
        """Yield a function that appends to an unfinished file after its first `done` images; sync the file at the end."""
        part = self._part(file)
        with output_errors(part), open_to_continue(part) if done else open_new_file(part) as contents:
            if done:
                contents.truncate(len(file.header) + done * file.image_bytes)
                contents.seek(0, os.SEEK_END)
            else:
                contents.write(file.header)

            def write(data: memoryview) -> None:
                with output_errors(part):
                    contents.write(data)

            yield write
            contents.flush()
            os.fsync(contents.fileno())


def _part_name(name: str) -> str:
    return f".{name}.part"


def image_pixels(batch: Batch) -> NDArray[np.uint8]:
    """Return the images of a batch as they are written to a file: uint8 [n, H, W], C-contiguous."""
    return np.ascontiguousarray(batch.images)


LARGEST_COUNT = 2**32 - 1
_UINT8, _INT32 = (8, "u1", "ubyte"), (12, ">i4", "int")  # each type's number in the header, its name in numpy, and in file names


def idx_files(folder: Path, drawing: Drawing) -> ArrayFiles:
    """Return the files `images-idx3-ubyte` uint8 [count, H, W] and, if the model has classes, `labels-idx1-ubyte` uint8 [count].

    Rows of text have `labels-idx2-ubyte` uint8 [count, characters]. If a label is above 255, labels are int32 and the name ends
    with `-int`. Raises OutputError if there are too many images for the format.
    """
    count, labels = len(drawing.indices), drawing.generator.card.labels
    if count > LARGEST_COUNT:
        raise OutputError(f"{count:,} images do not fit into an IDX file: expected at most {LARGEST_COUNT:,}; use --shard")
    height, width = drawing.size
    files = [ArrayFile("images-idx3-ubyte", _header(_UINT8[0], count, height, width), height * width, image_pixels)]
    if labels:
        number, dtype, _ = kind = _UINT8 if max(labels) <= np.iinfo(np.uint8).max else _INT32
        sizes = (count,) if drawing.selection.text is None else (count, drawing.selection.row_length)
        label_bytes = np.dtype(dtype).itemsize * drawing.selection.row_length
        files.append(
            ArrayFile(_labels_name(len(sizes), kind), _header(number, *sizes), label_bytes, partial(_idx_labels, dtype=dtype))
        )
    # Readers would take labels under another name for those of these images.
    stale_names = {_labels_name(dimensions, kind) for dimensions in (1, 2) for kind in (_UINT8, _INT32)} - {
        file.name for file in files
    }
    return ArrayFiles(folder, drawing.selection.indices, tuple(files), tuple(sorted(stale_names)))


def _labels_name(dimensions: int, kind: tuple[int, str, str]) -> str:
    return f"labels-idx{dimensions}-{kind[2]}"


def _header(number: int, *sizes: int) -> bytes:
    return bytes([0, 0, number, len(sizes)]) + np.array(sizes, ">u4").tobytes()


def _idx_labels(batch: Batch, dtype: str) -> NDArray[np.integer]:
    assert batch.labels is not None, "a model with classes has labels"
    return batch.labels.astype(dtype)


_LABELS_NAME = "labels.npy"


def npy_files(folder: Path, drawing: Drawing) -> ArrayFiles:
    """Return the files `images.npy` uint8 [count, H, W] and, if the model has classes, `labels.npy`.

    Labels are int64 [count], or int64 [count, characters] for rows of text.
    """
    count, (height, width) = len(drawing.indices), drawing.size
    files = [ArrayFile("images.npy", npy_header("|u1", (count, height, width)), height * width, image_pixels)]
    if drawing.generator.card.classes:
        shape = (count,) if drawing.selection.text is None else (count, drawing.selection.row_length)
        files.append(ArrayFile(_LABELS_NAME, npy_header("<i8", shape), 8 * drawing.selection.row_length, _npy_labels))
    # Readers would take labels under another name for those of these images.
    stale_names = {_LABELS_NAME} - {file.name for file in files}
    return ArrayFiles(folder, drawing.selection.indices, tuple(files), tuple(stale_names))


def raw_files(folder: Path, drawing: Drawing) -> ArrayFiles:
    """Return the file `images.raw`, which contains only pixels: image after image, row by row, one byte each."""
    height, width = drawing.size
    file = ArrayFile("images.raw", b"", height * width, image_pixels)
    return ArrayFiles(folder, drawing.selection.indices, (file,), holds_labels=False)


def npy_header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """Return the header of an NPY file (numpy.lib.format, version 1.0)."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": dtype, "fortran_order": False, "shape": shape})
    return header.getvalue()


def _npy_labels(batch: Batch) -> NDArray[np.int64]:
    assert batch.labels is not None, "a model with classes has labels"
    return np.ascontiguousarray(batch.labels, dtype="<i8")
