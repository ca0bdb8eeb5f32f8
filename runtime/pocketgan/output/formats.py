"""Which files each format stands for, and what all of them can do."""

from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Protocol

from pocketgan.drawing import Drawing
from pocketgan.generator import Batch
from pocketgan.request import Existing, Format


class Files(Protocol):
    """The files that a drawing becomes in one format."""

    @property
    def holds_labels(self) -> bool:
        """Whether labels stand in these files, so that no others need tell them."""

    def file_of(self, index: int) -> str | None:
        """Return the path within the folder of the file that is one image; None if images share files."""

    def is_ours(self, name: str) -> bool:
        """Return whether a file in the folder itself that has this name would be one of these."""

    def existing(self) -> Iterable[Path]:
        """Return the files that are there already and would be replaced. Raises OutputError if it cannot look."""

    def missing(self) -> list[range]:
        """Return the indices that a resumed run has yet to draw, in order. Raises OutputError if it cannot look."""

    def discard_unfinished(self) -> None:
        """Remove what a stopped run has written of files that are not complete. Raises OutputError if that fails."""

    def write(self, batches: Iterable[Batch], existing: Existing) -> Generator[Batch, None, None]:
        """Write batches, of all indices or of those missing, into the folder, which is there, and pass them on.

        Whoever does not take all of them closes the generator. Raises OutputError if that fails.
        """


def files_of(file_format: Format, folder: Path, drawing: Drawing) -> Files:
    """Return the files that a drawing becomes in a folder. Raises OutputError if the format does not hold it.

    Each format is imported when it is asked for: ten PNG files should not wait for what writes archives.
    """
    match file_format:
        case Format.png | Format.imagefolder:
            from pocketgan.output.png import PngFiles

            return PngFiles(folder, drawing, has_class_folders=file_format is Format.imagefolder)
        case Format.idx:
            from pocketgan.output.arrays import idx_files

            return idx_files(folder, drawing)
        case Format.idx_gz:
            from pocketgan.output.archives import GzipFiles
            from pocketgan.output.arrays import idx_files

            return GzipFiles(idx_files(folder, drawing))
        case Format.npz:
            from pocketgan.output.archives import NpzFile

            return NpzFile(folder, drawing)
        case Format.npy:
            from pocketgan.output.arrays import npy_files

            return npy_files(folder, drawing)
        case Format.raw:
            from pocketgan.output.arrays import raw_files

            return raw_files(folder, drawing)
        case Format.webdataset:
            from pocketgan.output.archives import TarShards

            return TarShards(folder, drawing)
