"""Files that are a header and then so many bytes for each image, in order: what a stopped run wrote of them can be continued."""

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketgan.drawing_run import Existing
from pocketgan.files import open_new_file, open_to_continue, output_errors, remove_file
from pocketgan.generator import Batch


@dataclass(frozen=True)
class ArrayFile:
    """One such file: what stands in it."""

    name: str
    header: bytes
    image_bytes: int
    """Bytes for each image: its pixels, or its label."""
    contents: Callable[[Batch], NDArray[Any]]
    """Returns what is written of a batch: [n, ...], C-contiguous."""


@dataclass(frozen=True)
class ArrayFiles:
    """Files that belong together, such as images and their labels. They get their names when all are complete.

    Until then each is `.NAME.part`, which a stopped or killed run leaves and a resumed one goes on with.
    """

    folder: Path
    indices: range
    files: tuple[ArrayFile, ...]
    others: tuple[str, ...] = ()
    """Names of files that readers would take for part of these, which they are not: they go when these come."""
    holds_labels: bool = True

    def file_of(self, index: int) -> None:
        """Return None: all images share the files."""

    def is_ours(self, name: str) -> bool:
        """Return whether it is one of the names."""
        return name in self._names()

    def existing(self) -> list[Path]:
        """Return the files that are there by one of the names."""
        return [path for name in self._names() if os.path.lexists(path := self.folder / name)]

    def missing(self) -> list[range]:
        """Return the indices that are not in all of the files yet. Raises OutputError if these cannot be read, or continued."""
        rest = self.indices[self._images_done() :]
        return [rest] if rest else []

    def discard_unfinished(self) -> None:
        """Remove the parts that a stopped run has left. Raises OutputError if that fails."""
        for name in self._names():
            remove_file(self.folder / _part_name(name), "a file that a stopped run left unfinished")

    def write(self, batches: Iterable[Batch], existing: Existing) -> Generator[Batch, None, None]:
        """Write the images of the batches, all or those that were missing, and pass the batches on.

        The files appear after the last batch. Memory does not grow with their number. Raises OutputError if a file cannot be
        written; what was written stays for a resumed run.
        """
        done = self._images_done() if existing is Existing.resume else 0
        is_kept = {file.name: existing is Existing.resume and self._is_complete(file) for file in self.files}
        unfinished = [file for file in self.files if not is_kept[file.name]]
        # All are closed, and so known to be complete, before the first gets its name.
        with ExitStack() as stack:
            writers = [stack.enter_context(self._continued(file, done)) for file in unfinished]
            for batch in batches:
                for file, write in zip(unfinished, writers, strict=True):
                    write(file.contents(batch).data)
                yield batch
        for file in unfinished:
            with output_errors(self.folder / file.name):
                self._part(file).replace(self.folder / file.name)
        for name in self.others:
            remove_file(self.folder / name, "an older file of other images")

    def _names(self) -> tuple[str, ...]:
        return (*(file.name for file in self.files), *self.others)

    def _images_done(self) -> int:
        """Return how many images all of the files hold."""
        return min(len(self.indices) if self._is_complete(file) else self._images_in_part(file) for file in self.files)

    def _is_complete(self, file: ArrayFile) -> bool:
        """Return whether a file has its name and size, and no other is begun in its place."""
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
    def _continued(self, file: ArrayFile, done: int) -> Iterator[Callable[[memoryview], None]]:
        """Yield what writes into an unfinished file after its first `done` images; at the end it is complete, on the disk."""
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
    """Return the images of a batch as they lie in a file: uint8 [n, H, W], C-contiguous."""
    return np.ascontiguousarray(batch.images)
