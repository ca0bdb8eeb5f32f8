"""What one call of gan-gen is asked to draw, and where to."""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from reprlib import repr as shortened

from pocketgan.errors import RequestError
from pocketgan.session import Provider

LARGEST_HEIGHT = 512
"""Pixels that images may be enlarged to: batches of larger ones would take too much memory."""


class Format(StrEnum):
    """What the images are written as."""

    png = "png"
    imagefolder = "imagefolder"
    idx = "idx"
    idx_gz = "idx.gz"
    npz = "npz"
    npy = "npy"
    webdataset = "webdataset"
    raw = "raw"


STREAMED = (Format.png, Format.raw)
"""The formats that can be written to standard output."""


NAMED_BY_INDEX = (Format.png, Format.imagefolder)
"""The formats whose file names tell the images' indices, so that runs of several ranges may share a folder."""


class Existing(StrEnum):
    """What is done about files that are there already."""

    refuse = "refuse"
    overwrite = "overwrite"
    resume = "resume"
    """They are kept if they are of the same run, which is then completed."""


@dataclass(frozen=True)
class Selection:
    """Which images, or rows of text, and what they look like: with the model, all that their pixels depend on."""

    seed: int
    start: int
    """Index of the first image or row."""
    count: int
    names: tuple[str, ...] | None
    """Names of the classes that are drawn in turn; None for all of them."""
    text: str | None
    """What each row shows, one image a character; None for images."""
    truncation: float
    height: int | None
    """Pixels that images are enlarged or reduced to; None for the model's own."""
    is_inverted: bool

    @property
    def indices(self) -> range:
        """The indices of all images or rows."""
        return range(self.start, self.start + self.count)


@dataclass(frozen=True)
class Grid:
    """How many images a sheet shows."""

    columns: int
    rows: int

    def __str__(self) -> str:
        return f"{self.columns}x{self.rows}"


_GRID = re.compile(r"([1-9][0-9]{0,3})x([1-9][0-9]{0,3})", re.IGNORECASE)


def parse_grid(spec: str) -> Grid:
    """Return the grid that is written as `10x5`: ten columns, five rows. Raises RequestError if it is none."""
    match = _GRID.fullmatch(spec)
    if not match:
        raise RequestError(f"{shortened(spec)} is no grid: expected columns and rows of 1 to 9999 each, such as 10x10")
    return Grid(int(match[1]), int(match[2]))


@dataclass(frozen=True)
class DrawingRun:
    """A selection of images, who draws them, and what becomes of them."""

    model: str | None
    """A name or a path; None for `model.onnx` here, else the bundled default."""
    provider: Provider
    threads: int | None
    """None for the CPUs that this process may use."""
    selection: Selection
    folder: Path | None
    """Where the files go, made if it is not there; None for no files."""
    file_format: Format
    existing: Existing
    grid: Grid | None
    """The first images on a sheet beside the files."""
    has_walk: bool
    """Whether an animation of the first images is made beside the files."""
    to_stdout: bool
    """Whether the images go to standard output, which is only for `folder` None."""
    is_shown: bool
    """Whether the first images are shown in the terminal."""
    is_quiet: bool
    has_report: bool
    """Whether a report for programs goes to standard output at the end."""
