"""Writes sheets of a run's images: the first ones, or each with more and more of a trait."""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgan.contact_sheet import SHOWN_HEIGHT, contact_sheet
from pocketgan.drawing import Drawing
from pocketgan.errors import OutputError
from pocketgan.files import whole_file
from pocketgan.request import Grid
from pocketgan.series import Series

_LARGEST_SCALE = 4
_MOST_PIXELS = 2**26
_GAP = 2
STEPS = 10
"""How many values of a trait, or hands, a sheet of steps shows."""
MOST_VARIED = 10
"""The most images that it shows."""


def shown_scale(height: int) -> int:
    """Return the factor by which images of this height are enlarged for display, 1 to 4; large ones keep their size."""
    return max(1, min(_LARGEST_SCALE, SHOWN_HEIGHT // height))


def check_sheet(drawing: Series, images: int) -> None:
    """Raise OutputError if a sheet of this number of images would not fit into the memory of a small device."""
    height, width = drawing.size
    if images * (height + _GAP) * (width + _GAP) > _MOST_PIXELS:
        raise OutputError(
            f"a grid of {images:,} images of {height}x{width} is too large: expected at most {_MOST_PIXELS:,} pixels in all"
        )


def shown_images(drawing: Series, grid: Grid) -> int:
    """Return how many images a grid shows."""
    return min(grid.columns * grid.rows, len(drawing.indices))


def write_sheet(target: Path, drawing: Series, grid: Grid) -> None:
    """Write the first images of a drawing on one sheet, row by row, with fewer rows if the images do not fill it.

    Raises OutputError if the file cannot be written.
    """
    first = drawing.indices[: grid.columns * grid.rows]
    write_grid(target, np.concatenate([batch.images for batch in drawing.batches(first)]), grid.columns)


def write_steps(target: Path, drawing: Drawing, what: str) -> None:
    """Write a sheet with a row for each of the first images: by one hand after the other, or with more and more of a trait.

    Raises RequestError if the model cannot draw chosen traits, and OutputError if the file cannot be written.
    """
    rows = (drawing.varied(range(index, index + 1), what, STEPS)[0] for index in drawing.indices[:MOST_VARIED])
    write_grid(target, np.concatenate(list(rows)), STEPS)


def write_grid(target: Path, images: NDArray[np.uint8], columns: int) -> None:
    """Write images uint8 [N, H, W] as one PNG sheet with this number of columns. Raises OutputError if it cannot be written."""
    count, height, width = images.shape
    fitting = math.isqrt(_MOST_PIXELS // (count * (height + _GAP) * (width + _GAP))) or 1
    with whole_file(target) as temporary:
        contact_sheet(images, columns, min(shown_scale(height), fitting), _GAP).save(temporary, format="PNG")
