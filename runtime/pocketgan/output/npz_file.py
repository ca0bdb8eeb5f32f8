"""One compressed NPZ file with images, indices and labels, which `numpy.load` opens: written in one go."""

import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np

from pocketgan.drawing import Drawing
from pocketgan.drawing_run import Existing
from pocketgan.files import whole_file
from pocketgan.generator import Batch
from pocketgan.output.array_files import image_pixels
from pocketgan.output.npy_files import npy_header

NPZ_NAME = "digits.npz"
# The smallest date that a zip file can hold: equal images give equal bytes.
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_PIECE = 2**16


@dataclass(frozen=True)
class NpzFile:
    """`digits.npz`: `images` uint8 [count, H, W], `index` int64 [count] and, if the model has classes, `labels`.

    Labels are int64 [count], or int64 [count, characters] for rows of text. Equal images give equal bytes.
    """

    folder: Path
    drawing: Drawing
    holds_labels: bool = True

    def file_of(self, index: int) -> None:
        """Return None: all images share the file."""

    def is_ours(self, name: str) -> bool:
        """Return whether it is the file's name."""
        return name == NPZ_NAME

    def existing(self) -> list[Path]:
        """Return the file if it is there."""
        return [self._path] if os.path.lexists(self._path) else []

    def missing(self) -> list[range]:
        """Return all indices, or none if the file is there."""
        return [] if os.path.exists(self._path) else [self.drawing.selection.indices]

    def discard_unfinished(self) -> None:
        """Do nothing: what is not complete is a temporary file."""

    def write(self, batches: Iterable[Batch], existing: Existing) -> Generator[Batch, None, None]:
        """Write all images and pass the batches on; the file appears after the last.

        All is written piece by piece, so memory does not grow with their number. Raises OutputError if the file cannot be
        written: then it is as it was.
        """
        if existing is Existing.resume and not self.missing():
            return
        count, (height, width) = self.drawing.selection.count, self.drawing.size
        with whole_file(self._path) as temporary, ZipFile(temporary, "w", ZIP_DEFLATED) as archive:
            with _array_entry(archive, "images", "|u1", (count, height, width)) as file:
                for batch in batches:
                    file.write(image_pixels(batch).data)
                    yield batch
            with _array_entry(archive, "index", "<i8", (count,)) as file:
                for piece in self._pieces():
                    file.write(np.array(piece, "<i8").data)
            labels = self.drawing.labels(self.drawing.selection.indices[:1])
            if labels is not None:
                with _array_entry(archive, "labels", "<i8", (count, *labels.shape[1:])) as file:
                    for piece in self._pieces():
                        file.write(np.ascontiguousarray(self.drawing.labels(piece), "<i8").data)

    @property
    def _path(self) -> Path:
        return self.folder / NPZ_NAME

    def _pieces(self) -> Iterator[range]:
        indices = self.drawing.selection.indices
        return (indices[first : first + _PIECE] for first in range(0, len(indices), _PIECE))


@contextmanager
def _array_entry(archive: ZipFile, name: str, dtype: str, shape: tuple[int, ...]) -> Iterator[IO[bytes]]:
    """Yield a new entry of an NPZ file, into which the bytes of an array of this type and shape are to be written."""
    entry = ZipInfo(f"{name}.npy", _ZIP_DATE)
    entry.compress_type = ZIP_DEFLATED
    with archive.open(entry, "w", force_zip64=True) as file:
        file.write(npy_header(dtype, shape))
        yield file
