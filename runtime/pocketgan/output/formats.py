"""The table of output formats, from which the choices of `--format` and its help are made.

Only the standard library is imported at the top, because gan-gen reads this table whenever it starts; the code that writes a
format is imported when it is used. To add a format, add a row, and a file with a function that returns its `Files`.
"""

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from pocketgan.request import Existing

if TYPE_CHECKING:
    from pocketgan.drawing import Drawing
    from pocketgan.generator import Batch
    from pocketgan.series import Series


IMAGES_IN_SHARD = 10_000


class Files(Protocol):
    """The files of a drawing in one format."""

    @property
    def holds_labels(self) -> bool:
        """Whether these files contain the labels, so that no `labels.csv` is needed."""

    def file_of(self, index: int) -> str | None:
        """Return the path within the folder of an image that has a file to itself; None if images share files."""

    def is_ours(self, name: str) -> bool:
        """Return whether a file of this name, in the folder itself and not in a subfolder, is one of these."""

    def existing(self) -> Iterable[Path]:
        """Return the existing files that would be replaced. Raises OutputError if the folder cannot be read."""

    def missing(self) -> list[range]:
        """Return the indices that a resumed run has yet to draw, in order. Raises OutputError if a file cannot be read."""

    def discard_unfinished(self) -> None:
        """Remove unfinished files of a stopped run. Raises OutputError if that fails."""

    def write(self, batches: Iterable["Batch"], existing: Existing) -> Generator["Batch", None, None]:
        """Write batches, of all indices or of the missing ones, into the existing folder, and yield each one.

        A caller that stops early closes the generator. Raises OutputError if a file cannot be written.
        """


def _png(folder: Path, drawing: "Series") -> Files:
    from pocketgan.output.png import PngFiles

    return PngFiles(folder, drawing)


def _png_bytes(drawing: "Series", batch: "Batch") -> bytes:
    from pocketgan.output.png import png_bytes

    return b"".join(png_bytes(drawing, batch))


def _imagefolder(folder: Path, drawing: "Series") -> Files:
    from pocketgan.output.png import PngFiles

    return PngFiles(folder, drawing, has_class_folders=True)


def _idx(folder: Path, drawing: "Drawing") -> Files:
    from pocketgan.output.arrays import idx_files

    return idx_files(folder, drawing)


def _idx_gz(folder: Path, drawing: "Drawing") -> Files:
    from pocketgan.output.archives import gzip_files
    from pocketgan.output.arrays import idx_files

    return gzip_files(idx_files(folder, drawing))


def _npy(folder: Path, drawing: "Drawing") -> Files:
    from pocketgan.output.arrays import npy_files

    return npy_files(folder, drawing)


def _npz(folder: Path, drawing: "Drawing") -> Files:
    from pocketgan.output.archives import npz_file

    return npz_file(folder, drawing)


def _webdataset(folder: Path, drawing: "Series") -> Files:
    from pocketgan.output.shards import tar_shards

    return tar_shards(folder, drawing, IMAGES_IN_SHARD)


def _parquet(folder: Path, drawing: "Series") -> Files:
    from pocketgan.output.parquet import parquet_shards

    return parquet_shards(folder, drawing, IMAGES_IN_SHARD)


def _raw(folder: Path, drawing: "Drawing") -> Files:
    from pocketgan.output.arrays import raw_files

    return raw_files(folder, drawing)


def _raw_bytes(drawing: "Drawing", batch: "Batch") -> bytes:
    from pocketgan.output.arrays import image_pixels

    return image_pixels(batch).tobytes()


@dataclass(frozen=True)
class Row:
    """One output format."""

    name: str
    about: str
    """A short description for `--help`."""
    files: Callable[[Path, "Drawing"], Files]
    """Returns the files of a drawing in a folder. Raises OutputError if the format does not allow the drawing."""
    images_in_file: int | None = None
    """How many images a numbered file holds, of which the first has a multiple of it as index; None if files are not numbered."""
    to_bytes: Callable[["Drawing", "Batch"], bytes] | None = None
    """Returns the bytes of a batch for standard output; None if the format cannot be written there."""

    @property
    def is_named_by_index(self) -> bool:
        """Whether the file names are the images' indices, so that runs of several ranges may share a folder."""
        return self.images_in_file == 1


class Format(StrEnum):
    """The output formats, each by its name on the command line."""

    png = Row("png", "a PNG file for each image", _png, images_in_file=1, to_bytes=_png_bytes)
    imagefolder = Row("imagefolder", "the same in a folder for each class", _imagefolder, images_in_file=1)
    idx = Row("idx", "MNIST's IDX files", _idx)
    idx_gz = Row("idx.gz", "the same, compressed", _idx_gz)
    npy = Row("npy", "NPY files", _npy)
    npz = Row("npz", "one NPZ file", _npz)
    webdataset = Row("webdataset", "tar files for WebDataset", _webdataset, images_in_file=IMAGES_IN_SHARD)
    parquet = Row("parquet", "Parquet files for Hugging Face datasets", _parquet, images_in_file=IMAGES_IN_SHARD)
    raw = Row("raw", "pixels alone", _raw, to_bytes=_raw_bytes)

    row: Row

    def __new__(cls, row: Row) -> Self:
        """Return a member whose value is the name of its row."""
        member = str.__new__(cls, row.name)
        member._value_ = row.name
        member.row = row
        return member


STREAMED = tuple(member for member in Format if member.row.to_bytes is not None)
"""The formats that can be written to standard output."""
