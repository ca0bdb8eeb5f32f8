"""What one call of gan-gen is asked to draw, and where to."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pocketgan.session import Provider

LARGEST_HEIGHT = 512
"""Pixels that images may be enlarged to: batches of larger ones would take too much memory."""


class Format(StrEnum):
    """What the images are written as."""

    png = "png"
    npz = "npz"
    idx = "idx"
    idx_gz = "idx.gz"


@dataclass(frozen=True)
class DrawingRun:
    """Images, or rows of text, and the files they are to become."""

    model: str | None
    """A name or a path; None for `model.onnx` here, else the bundled default."""
    provider: Provider
    threads: int | None
    """None for the CPUs that this process may use."""
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
    folder: Path
    """Where the files go; made if it is not there."""
    file_format: Format
    has_sheet: bool
    """Whether the first images are written on one sheet, too."""
    may_overwrite: bool
    is_quiet: bool
