"""Array files, compressed with gzip: written in one go, since a compressed file cannot be continued."""

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from gzip import GzipFile
from pathlib import Path

from pocketgan.drawing_run import Existing
from pocketgan.files import output_errors, remove_file, whole_file
from pocketgan.generator import Batch
from pocketgan.output.array_files import ArrayFiles


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
