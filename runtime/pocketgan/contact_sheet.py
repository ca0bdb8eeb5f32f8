"""Contact sheets: many small images in one picture."""

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image  # imported where it is used, because PNG files of single images do not need Pillow

SHOWN_HEIGHT = 112
"""Small images are enlarged to about this height where they are shown."""


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
