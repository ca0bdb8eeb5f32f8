"""Tar files of ten thousand images each, as WebDataset reads them: `digits-000000.tar`, `digits-000001.tar` and so on.

Format: the files of a sample stand side by side and have the same name up to the first dot; `.png` is the image, `.cls` the label
as a number, `.txt` a text (WebDataset's documentation, "The WebDataset Format").
"""

import os
import tarfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from itertools import groupby
from pathlib import Path

from pocketgan.drawing import Drawing
from pocketgan.drawing_run import Existing
from pocketgan.files import whole_file
from pocketgan.generator import Batch
from pocketgan.output.png_images import encoded

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
