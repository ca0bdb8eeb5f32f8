"""Compressed files, NPZ and gzipped IDX: written in a single pass, so a stopped run starts over.

Equal images give equal bytes.
"""

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from gzip import GzipFile
from pathlib import Path
from typing import IO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np

from pocketgan.drawing import Drawing
from pocketgan.files import output_errors, remove_file, sync, whole_file
from pocketgan.generator import Batch
from pocketgan.output.arrays import ArrayFiles, image_pixels, npy_header
from pocketgan.request import Existing


@dataclass(frozen=True)
class SinglePassFiles:
    """Files that are written from the first image to the last, then renamed together when all are complete."""

    folder: Path
    indices: range
    names: tuple[str, ...]
    write_all: Callable[[Sequence[Path], Iterable[Batch]], Generator[Batch, None, None]]
    """Writes all batches to temporary files, one for each name, and yields each batch once it is written."""
    stale_names: tuple[str, ...] = ()
    """Names under which readers would find labels of older images; such files are removed once these are complete."""
    holds_labels: bool = True

    def file_of(self, index: int) -> None:
        """Return None: all images share the files."""

    def is_ours(self, name: str) -> bool:
        """Return whether a file of this name is one of these."""
        return name in (*self.names, *self.stale_names)

    def existing(self) -> list[Path]:
        """Return those of these files that exist."""
        return [path for name in (*self.names, *self.stale_names) if os.path.lexists(path := self.folder / name)]

    def missing(self) -> list[range]:
        """Return all indices, or none if all files exist."""
        return [] if all(os.path.exists(self.folder / name) for name in self.names) else [self.indices]

    def discard_unfinished(self) -> None:
        """Do nothing: unfinished files are temporary files."""

    def write(self, batches: Iterable[Batch], existing: Existing) -> Generator[Batch, None, None]:
        """Write all images and yield each batch; the files appear after the last one. Memory use does not depend on their number.

        Raises OutputError if a file cannot be written; older files then stay unchanged.
        """
        if existing is Existing.resume and not self.missing():
            return
        paths = [self.folder / name for name in self.names]
        with ExitStack() as renames:
            temporaries = [renames.enter_context(whole_file(path, is_synced=False)) for path in paths]
            yield from self.write_all(temporaries, batches)
            # All files are on disk before the first is renamed, so that a full disk leaves older ones unchanged.
            for path, temporary in zip(paths, temporaries, strict=True):
                with output_errors(path):
                    sync(temporary)
        for name in self.stale_names:
            remove_file(self.folder / name, "an older file of other images")


_INDICES_AT_ONCE = 2**16


def npz_file(folder: Path, drawing: Drawing) -> SinglePassFiles:
    """Return the file `digits.npz`: `images` uint8 [count, H, W], `index` int64 [count] and, with classes, `labels`.

    Labels are int64 [count], or int64 [count, characters] for rows of text.
    """
    indices, (height, width) = drawing.selection.indices, drawing.size
    chunks = [indices[first : first + _INDICES_AT_ONCE] for first in range(0, len(indices), _INDICES_AT_ONCE)]

    def write_all(temporaries: Sequence[Path], batches: Iterable[Batch]) -> Generator[Batch, None, None]:
        with ZipFile(temporaries[0], "w", ZIP_DEFLATED) as archive:
            with _array_entry(archive, "images", "|u1", (len(indices), height, width)) as file:
                for batch in batches:
                    file.write(image_pixels(batch).data)
                    yield batch
            with _array_entry(archive, "index", "<i8", (len(indices),)) as file:
                for chunk in chunks:
                    file.write(np.array(chunk, "<i8").data)
            labels = drawing.labels(indices[:1])
            if labels is not None:
                with _array_entry(archive, "labels", "<i8", (len(indices), *labels.shape[1:])) as file:
                    for chunk in chunks:
                        file.write(np.ascontiguousarray(drawing.labels(chunk), "<i8").data)

    return SinglePassFiles(folder, indices, ("digits.npz",), write_all)


@contextmanager
def _array_entry(archive: ZipFile, name: str, dtype: str, shape: tuple[int, ...]) -> Iterator[IO[bytes]]:
    """Yield a new entry of an NPZ file, to which the caller writes the bytes of an array of this type and shape."""
    entry = ZipInfo(f"{name}.npy")  # whose date is 1980-01-01, so that equal images give equal bytes
    entry.compress_type = ZIP_DEFLATED
    with archive.open(entry, "w", force_zip64=True) as file:
        file.write(npy_header(dtype, shape))
        yield file


def gzip_files(plain: ArrayFiles) -> SinglePassFiles:
    """Return the same files, compressed, with `.gz` added to their names."""
    names = tuple(f"{file.name}.gz" for file in plain.files)

    def write_all(temporaries: Sequence[Path], batches: Iterable[Batch]) -> Generator[Batch, None, None]:
        with ExitStack() as stack:
            paths = (plain.folder / name for name in names)
            writers = [stack.enter_context(_compressed(*pair)) for pair in zip(temporaries, paths, strict=True)]
            for file, write in zip(plain.files, writers, strict=True):
                write(file.header)
            for batch in batches:
                for file, write in zip(plain.files, writers, strict=True):
                    write(file.contents(batch).data)
                yield batch

    return SinglePassFiles(plain.folder, plain.indices, names, write_all, tuple(f"{name}.gz" for name in plain.stale_names))


@contextmanager
def _compressed(temporary: Path, target: Path) -> Iterator[Callable[[bytes | memoryview], None]]:
    """Yield a function that compresses into a temporary file. Raises OutputError, which names the target."""
    # Without a name and a time, so that equal images give equal bytes.
    with (
        output_errors(target),
        temporary.open("wb") as file,
        GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as compressed,
    ):

        def write(data: bytes | memoryview) -> None:
            with output_errors(target):
                compressed.write(data)

        yield write
