"""Compressed and packed files: NPZ and gzipped IDX, each written in one go, and tar files for WebDataset."""

import os
import tarfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from gzip import GzipFile
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import IO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np

from pocketgan.drawing import Drawing
from pocketgan.files import output_errors, remove_file, whole_file
from pocketgan.generator import Batch
from pocketgan.output.arrays import ArrayFiles, image_pixels, npy_header
from pocketgan.output.png import encoded
from pocketgan.request import Existing

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


@dataclass(frozen=True)
class GzipFiles:
    """The same files with `.gz` after their names. Equal images give equal bytes."""

    plain: ArrayFiles
    holds_labels: bool = True

    def file_of(self, index: int) -> None:
        """Return None: all images share the files."""

    def is_ours(self, name: str) -> bool:
        """Return whether it is one of the names."""
        return name in {path.name for path in (*self._paths(), *self._others())}

    def existing(self) -> list[Path]:
        """Return the files that are there by one of the names."""
        return [path for path in (*self._paths(), *self._others()) if os.path.lexists(path)]

    def missing(self) -> list[range]:
        """Return all indices, or none if all files are there."""
        return [] if all(map(os.path.exists, self._paths())) else [self.plain.indices]

    def discard_unfinished(self) -> None:
        """Do nothing: what is not complete is a temporary file."""

    def write(self, batches: Iterable[Batch], existing: Existing) -> Generator[Batch, None, None]:
        """Write all images and pass the batches on; the files appear after the last. Memory does not grow with their number.

        Raises OutputError if a file cannot be written: then all are as they were.
        """
        files, paths = self.plain.files, self._paths()
        if existing is Existing.resume and not self.missing():
            return
        with ExitStack() as renames:
            temporary = [renames.enter_context(whole_file(path, is_on_disk_at_once=False)) for path in paths]
            # All are closed and on the disk, and so known to be complete, before the first gets its name.
            with ExitStack() as stack:
                writers = [stack.enter_context(_compressed(*pair)) for pair in zip(temporary, paths, strict=True)]
                for file, write in zip(files, writers, strict=True):
                    write(file.header)
                for batch in batches:
                    for file, write in zip(files, writers, strict=True):
                        write(file.contents(batch).data)
                    yield batch
        for path in self._others():
            remove_file(path, "an older file of other images")

    def _paths(self) -> list[Path]:
        return [self.plain.folder / f"{file.name}.gz" for file in self.plain.files]

    def _others(self) -> list[Path]:
        return [self.plain.folder / f"{name}.gz" for name in self.plain.others]


@contextmanager
def _compressed(temporary: Path, target: Path) -> Iterator[Callable[[bytes | memoryview], None]]:
    """Yield what compresses into a temporary file; at the end it is complete. Raises OutputError, which names the target."""
    with output_errors(target), temporary.open("wb") as file:
        # Without name and time of day: equal images give equal bytes.
        with GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as compressed:

            def write(data: bytes | memoryview) -> None:
                with output_errors(target):
                    compressed.write(data)

            yield write
        file.flush()
        os.fsync(file.fileno())


IMAGES_IN_SHARD = 10_000


@dataclass(frozen=True)
class _Sample:
    """One image with what stands beside it, as contents of files by their ending."""

    index: int
    files: dict[str, bytes]
    complete: Batch | None
    """The batch whose last image this is."""


@dataclass(frozen=True)
class TarShards:
    """The tar files of a drawing. Number n holds what there is of the indices from n times IMAGES_IN_SHARD on.

    Equal images give equal bytes.
    """

    folder: Path
    drawing: Drawing
    holds_labels: bool = True

    def file_of(self, index: int) -> None:
        """Return None: images share files."""

    def is_ours(self, name: str) -> bool:
        """Return whether it is the name of a tar file of these indices."""
        return name in {self._path(number).name for number in self._numbers()}

    def existing(self) -> list[Path]:
        """Return the tar files that are there of these indices."""
        return [path for number in self._numbers() if os.path.lexists(path := self._path(number))]

    def missing(self) -> list[range]:
        """Return the indices of the tar files that are not there; each gets its name when it is complete."""
        return [self._indices(number) for number in self._numbers() if not os.path.exists(self._path(number))]

    def discard_unfinished(self) -> None:
        """Do nothing: what is not complete is a temporary file."""

    def write(self, batches: Iterable[Batch], existing: Existing) -> Generator[Batch, None, None]:
        """Write images into the tar files that they belong to and pass the batches on.

        The batches are of whole tar files, as `missing` tells them, and may go from one into the next.
        Images are encoded by as many threads as draw. Raises OutputError if a file cannot be written: those before it are whole.
        """
        with closing(encoded(self.drawing, batches)) as pngs_of_batches:
            samples = (sample for batch, pngs in pngs_of_batches for sample in self._samples(batch, pngs))
            for number, samples_of_file in groupby(samples, lambda sample: sample.index // IMAGES_IN_SHARD):
                with (
                    whole_file(self._path(number)) as temporary,
                    tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar,
                ):
                    for sample in samples_of_file:
                        _add(tar, sample)
                        if sample.complete is not None:
                            yield sample.complete

    def _samples(self, batch: Batch, pngs: Sequence[bytes]) -> Iterator[_Sample]:
        for offset, png in enumerate(pngs):
            files = {"png": png}
            if self.drawing.selection.text is not None:
                files["txt"] = self.drawing.selection.text.encode()
            elif batch.labels is not None:
                files["cls"] = str(batch.labels[offset]).encode()
            yield _Sample(batch.start + offset, files, batch if offset == len(pngs) - 1 else None)

    def _numbers(self) -> range:
        indices = self.drawing.selection.indices
        return range(indices[0] // IMAGES_IN_SHARD, indices[-1] // IMAGES_IN_SHARD + 1)

    def _indices(self, number: int) -> range:
        """Return which of these indices belong into a tar file."""
        indices = self.drawing.selection.indices
        first, stop = number * IMAGES_IN_SHARD, (number + 1) * IMAGES_IN_SHARD
        return range(max(first, indices.start), min(stop, indices.stop))

    def _path(self, number: int) -> Path:
        return self.folder / f"digits-{number:06d}.tar"


def _add(tar: tarfile.TarFile, sample: _Sample) -> None:
    for ending, contents in sample.files.items():
        # Neither owner nor time of day: equal images give equal bytes.
        entry = tarfile.TarInfo(f"{sample.index:08d}.{ending}")
        entry.size = len(contents)
        tar.addfile(entry, BytesIO(contents))
