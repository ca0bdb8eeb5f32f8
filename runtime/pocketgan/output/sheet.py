"""Contact sheets: many small images in one picture."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pocketgan.drawing import Drawing
from pocketgan.errors import OutputError
from pocketgan.files import whole_file
from pocketgan.request import Grid
from pocketgan.series import Series

if TYPE_CHECKING:
    from PIL.Image import Image  # imported where it is used, because PNG files of single images do not need Pillow

# Small images are enlarged to about this height; large ones keep their size.
_SHOWN_HEIGHT = 112
_LARGEST_SCALE = 4
_MOST_PIXELS = 2**26
_GAP = 2
STEPS = 10
"""How many values of a trait, or hands, a sheet of steps shows."""
MOST_VARIED = 10
"""The most images that it shows."""


def shown_scale(height: int) -> int:
    """Return the factor by which images of this height are enlarged for display, 1 to 4."""
    return max(1, min(_LARGEST_SCALE, _SHOWN_HEIGHT // height))


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
    first = drawing.indices[:MOST_VARIED]
    write_grid(target, np.concatenate(list(drawing.varied(first, what, STEPS))), STEPS)


def write_grid(target: Path, images: NDArray[np.uint8], columns: int) -> None:
    """Write images uint8 [N, H, W] as one PNG sheet with this number of columns. Raises OutputError if it cannot be written."""
    count, height, width = images.shape
    fitting = math.isqrt(_MOST_PIXELS // (count * (height + _GAP) * (width + _GAP))) or 1
    with whole_file(target) as temporary:
        contact_sheet(images, columns, min(shown_scale(height), fitting), _GAP).save(temporary, format="PNG")


def contact_sheet(images: NDArray[np.uint8], columns: int | None = None, scale: int = 2, gap: int = 2) -> "Image":
    """Lay images out on one grey sheet, row by row from the top left.

    `images` is uint8 [N, H, W] with N >= 1; `columns` defaults to the nearest square; each pixel becomes `scale` by `scale`
    pixels, with `gap` dark grey pixels around each image.
    """
    from PIL import Image

    count, height, width = images.shape
    columns = min(count, columns or math.ceil(math.sqrt(count)))
    rows = -(-count // columns)
    cell_height, cell_width = height * scale + gap, width * scale + gap
    sheet = np.full((rows * cell_height + gap, columns * cell_width + gap), 48, dtype=np.uint8)
    enlarged = images.repeat(scale, axis=1).repeat(scale, axis=2)
    for position, image in enumerate(enlarged):
        row, column = divmod(position, columns)
        top, left = gap + row * cell_height, gap + column * cell_width
        sheet[top : top + height * scale, left : left + width * scale] = image
    return Image.fromarray(sheet)
