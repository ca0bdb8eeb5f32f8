"""Laying out a picture of a character as MNIST's digits are: scaled to fit a box, and centred by its mass.

MNIST's page (http://yann.lecun.com/exdb/mnist/) says: "The original black and white (bilevel) images from NIST were size
normalized to fit in a 20x20 pixel box while preserving their aspect ratio. [...] the images were centered in a 28x28 image by
computing the center of mass of the pixels, and translating the image so as to position this point at the center of the 28x28
field."
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pocketgan_trainer.data.resizing import resized

BOX_SHARE = 20 / 28
LEAST_CONTRAST = 16
"""In grey levels between background and ink: below, a picture counts as blank."""
_INK_SHARE = 0.2
"""Of the strongest ink: what is weaker neither makes the box larger nor is outside it kept. Less would let noise in, more would
cut soft edges off."""


def lay_out_like_mnist(picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return a picture of light ink on a dark background, uint8 [H, W], as MNIST would have it: uint8 [size, size].

    The background becomes 0 and the strongest ink 255. The ink's bounding box is scaled so that its longer side has 20 of 28
    parts of `size`, and placed so that its centre of mass is at pixel size / 2, as far as it stays inside. All is 0 if there is
    no ink.
    """
    laid_out = np.zeros((size, size), dtype=np.uint8)
    ink = _ink(picture)
    peak = ink.max()
    if peak < LEAST_CONTRAST:
        return laid_out
    is_ink = ink > _INK_SHARE * peak
    rows, columns = np.flatnonzero(is_ink.any(axis=1)), np.flatnonzero(is_ink.any(axis=0))
    top, bottom, left, right = rows[0].item(), rows[-1].item() + 1, columns[0].item(), columns[-1].item() + 1
    scale = round(BOX_SHARE * size) / max(bottom - top, right - left)
    width, height = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    # In floating point, because a pen's thin line may be all but nothing after it is made small.
    small = np.maximum(resized(Image.fromarray(ink), width, height, (left, top, right, bottom)), 0)
    y, x = _place(small.sum(axis=1), size), _place(small.sum(axis=0), size)
    laid_out[y : y + height, x : x + width] = np.rint(small * (255 / small.max()))
    return laid_out


def _ink(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return how far each pixel is above the background and its noise, as the picture's border shows them: float32 [H, W]."""
    border = np.concatenate([picture[0], picture[-1], picture[1:-1, 0], picture[1:-1, -1]])
    darkest, background = np.percentile(border, [5, 50])
    # Downwards, since ink that touches the border is upwards.
    noise = background - darkest
    ink: NDArray[np.float32] = np.maximum(picture.astype(np.float32) - np.float32(background + noise), np.float32(0))
    return ink


def _place(mass: NDArray[np.floating], size: int) -> int:
    """Return where a row of pixels of these masses begins among `size` pixels, so that its centre of mass is at size / 2."""
    centre = float(mass @ np.arange(len(mass))) / float(mass.sum())
    return min(max(round(size / 2 - centre), 0), size - len(mass))
