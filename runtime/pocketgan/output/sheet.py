"""One sheet with the first images, for people."""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgan.drawing import Drawing
from pocketgan.drawing_run import Grid
from pocketgan.errors import OutputError
from pocketgan.files import whole_file

# Small images are enlarged to about this height, large ones are shown as they are.
_SHOWN_HEIGHT = 112
_LARGEST_SCALE = 4
_MOST_PIXELS = 2**26
_GAP = 2


def shown_scale(height: int) -> int:
    """Return how many times as large images of a height are shown to people: 1 to 4."""
    return max(1, min(_LARGEST_SCALE, _SHOWN_HEIGHT // height))


def check_sheet(drawing: Drawing, grid: Grid) -> None:
    """Raise OutputError if a sheet would have more pixels than fit into the memory of a small device."""
    height, width = drawing.size
    images = min(grid.columns * grid.rows, drawing.selection.count)
    if images * (height + _GAP) * (width + _GAP) > _MOST_PIXELS:
        raise OutputError(
            f"a grid of {images:,} images of {height}x{width} is too large: expected at most {_MOST_PIXELS:,} pixels in all"
        )


def write_sheet(target: Path, drawing: Drawing, grid: Grid) -> None:
    """Write the first images of a drawing on one sheet, row by row; it has fewer rows if they do not fill it.

    Raises OutputError if the file cannot be written.
    """
    first = drawing.selection.indices[: grid.columns * grid.rows]
    write_grid(target, np.concatenate([batch.images for batch in drawing.batches(first)]), grid.columns)


def write_grid(target: Path, images: NDArray[np.uint8], columns: int) -> None:
    """Write images uint8 [N, H, W] as one sheet of so many columns, a PNG file. Raises OutputError if that fails."""
    from pocketgan.pictures import contact_sheet  # and Pillow with it, which PNG files do without

    count, height, width = images.shape
    fitting = math.isqrt(_MOST_PIXELS // (count * (height + _GAP) * (width + _GAP))) or 1
    with whole_file(target) as temporary:
        contact_sheet(images, columns, min(shown_scale(height), fitting), _GAP).save(temporary, format="PNG")
