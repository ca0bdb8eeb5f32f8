"""Shards: numbered files with the same number of images each, such as WebDataset's. A resumed run draws the missing ones.

Equal images give equal bytes.
"""

import os
import tarfile
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import groupby
from pathlib import Path

from pocketgan.files import whole_file
from pocketgan.generator import Batch
from pocketgan.output.png import encoded
from pocketgan.request import Existing
from pocketgan.series import Series


@dataclass(frozen=True)
class Sample:
    """One image or row of text."""

    index: int
    png: bytes
    label: int | None
    """The label of an image; None for rows of text and for models without classes."""


@dataclass(frozen=True)
class Shards:
    """The shards of a drawing. Number n contains the images from index n times `images_in_shard` on."""

    folder: Path
    drawing: Series
    images_in_shard: int
    suffix: str
    open_shard: Callable[[Path], AbstractContextManager[Callable[[Sample], None]]]
    """Opens a new file, yields a function that adds samples to it, and completes the file."""
    holds_labels: bool = True

    def file_of(self, index: int) -> None:
        """Return None: images share files."""

    def is_ours(self, name: str) -> bool:
        """Return whether a file of this name is a shard of these indices."""
        return name in {self._path(number).name for number in self._numbers()}

    def existing(self) -> list[Path]:
        """Return the existing shards of these indices."""
        return [path for number in self._numbers() if os.path.lexists(path := self._path(number))]

    def missing(self) -> list[range]:
        """Return the indices of the shards that do not exist. A shard exists only when it is complete."""
        return [self._indices(number) for number in self._numbers() if not os.path.exists(self._path(number))]

    def discard_unfinished(self) -> None:
        """Do nothing: unfinished files are temporary files."""

    def write(self, batches: Iterable[Batch], existing: Existing) -> Generator[Batch, None, None]:
        """Write images into their shards and yield each batch.

        The batches cover whole shards, as `missing` returns them; one batch may span several shards. Images are encoded in as
        many threads as draw them. Raises OutputError if a shard cannot be written; earlier ones are complete.
        """
        with closing(self._samples(batches)) as samples:
            for number, of_shard in groupby(samples, lambda pair: pair[0].index // self.images_in_shard):
                with whole_file(self._path(number)) as temporary, self.open_shard(temporary) as add:
                    for sample, complete in of_shard:
                        add(sample)
                        if complete is not None:
                            yield complete

    def _samples(self, batches: Iterable[Batch]) -> Generator[tuple[Sample, Batch | None], None, None]:
        """Yield the samples of batches, each with None, but the last one of each batch with that batch."""
        with closing(encoded(self.drawing, batches)) as pngs_of_batches:
            for batch, pngs in pngs_of_batches:
                for offset, png in enumerate(pngs):
                    labels = batch.labels
                    label = int(labels[offset]) if labels is not None and labels.ndim == 1 else None
                    yield Sample(batch.start + offset, png, label), batch if offset == len(pngs) - 1 else None

    def _numbers(self) -> range:
        indices = self.drawing.indices
        return range(indices[0] // self.images_in_shard, indices[-1] // self.images_in_shard + 1)

    def _indices(self, number: int) -> range:
        """Return the indices of a shard."""
        indices = self.drawing.indices
        first, stop = number * self.images_in_shard, (number + 1) * self.images_in_shard
        return range(max(first, indices.start), min(stop, indices.stop))

    def _path(self, number: int) -> Path:
        return self.folder / f"digits-{number:06d}.{self.suffix}"


def tar_shards(folder: Path, drawing: Series, images_in_shard: int) -> Shards:
    """Return the tar files of a drawing: `00000007.png` for each image, and its label as `.cls` or its text as `.txt`."""

    @contextmanager
    def open_shard(temporary: Path) -> Iterator[Callable[[Sample], None]]:
        with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:

            def add(sample: Sample) -> None:
                _add(tar, f"{sample.index:08d}.png", sample.png)
                text = drawing.text(sample.index)
                if text is not None:
                    _add(tar, f"{sample.index:08d}.txt", text.encode())
                elif sample.label is not None:
                    _add(tar, f"{sample.index:08d}.cls", str(sample.label).encode())

            yield add

    return Shards(folder, drawing, images_in_shard, "tar", open_shard)


def _add(tar: tarfile.TarFile, name: str, contents: bytes) -> None:
    entry = tarfile.TarInfo(name)  # without an owner or a time
    entry.size = len(contents)
    tar.addfile(entry, BytesIO(contents))
