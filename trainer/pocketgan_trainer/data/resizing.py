"""Enlarging and reducing one picture, by the filter that suits the ratio."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def resized(
    image: Image.Image, width: int, height: int, box: tuple[int, int, int, int] | None = None
) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Return the part `box` (left, top, right, bottom) of a picture, by default all, in another size: [height, width].

    The type is that of the picture's mode: uint8 of L, float32 of F.
    """
    left, top, right, bottom = box or (0, 0, *image.size)
    ratio = max((right - left) / width, (bottom - top) / height)
    # Means over areas leave a black background black; Lanczos rings around edges, but stays sharp where pixels are few.
    resample = Image.Resampling.BOX if ratio >= 2 else Image.Resampling.LANCZOS
    return np.asarray(image.resize((width, height), resample, box=(left, top, right, bottom)))
