"""Which files each format stands for, and what all of them can do."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from pocketgan.drawing import Drawing
from pocketgan.drawing_run import Existing, Format
from pocketgan.generator import Batch


class Files(Protocol):
    """The files that a drawing becomes in one format."""

    def existing(self) -> list[Path]:
        """Return the files that are there already and would be replaced. Raises OutputError if it cannot look."""

    def missing(self) -> list[range]:
        """Return the indices that a resumed run has yet to draw, in order. Raises OutputError if it cannot look."""

    def write(self, batches: Iterable[Batch], existing: Existing) -> Iterator[Batch]:
        """Write batches, of all indices or of those missing, and pass them on. Raises OutputError if that fails."""


def files_of(file_format: Format, folder: Path, drawing: Drawing) -> Files:
    """Return the files that a drawing becomes in a folder. Raises OutputError if the format does not hold it.

    Each format is imported when it is asked for: ten PNG files should not wait for what writes archives.
    """
    match file_format:
        case Format.png | Format.imagefolder:
            from pocketgan.output.png_files import PngFiles

            return PngFiles(folder, drawing, has_class_folders=file_format is Format.imagefolder)
        case Format.idx:
            from pocketgan.output.idx_files import idx_files

            return idx_files(folder, drawing)
        case Format.idx_gz:
            from pocketgan.output.gzip_files import GzipFiles
            from pocketgan.output.idx_files import idx_files

            return GzipFiles(idx_files(folder, drawing))
        case Format.npz:
            from pocketgan.output.npz_file import NpzFile

            return NpzFile(folder, drawing)
        case Format.npy:
            from pocketgan.output.npy_files import npy_files

            return npy_files(folder, drawing)
        case Format.raw:
            from pocketgan.output.npy_files import raw_files

            return raw_files(folder, drawing)
        case Format.webdataset:
            from pocketgan.output.tar_shards import TarShards

            return TarShards(folder, drawing)
