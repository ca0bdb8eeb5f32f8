"""Brings pictures of any size to the size that a network takes, as they are or laid out like MNIST's digits."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pocketgan_trainer.data.source import ImageSource

BRIGHT = 127
"""A border brighter than this on average shows that a picture is dark on white."""
BOX_SHARE = 20 / 28
"""Of the image's side: the longer side of the box that MNIST's digits are scaled to fit."""
LEAST_CONTRAST = 16
"""In grey levels between background and ink: below, a picture counts as blank."""
_INK_SHARE = 0.2
"""Of the strongest ink: the box is that of the pixels with more. A lower share would let noise in, a higher one cut soft edges
off."""


@dataclass(frozen=True, eq=False)
class FittedImages:
    """Images of one size, and what was found in them."""

    images: NDArray[np.uint8]
    """[N, S, S]."""
    dark_on_white: int
    """The number of images that had a bright border."""
    blank: int
    """The number of images that have one grey value everywhere, such as black where --like-mnist found no ink."""


def fit_pictures(source: ImageSource, size: int, like_mnist: bool) -> FittedImages:
    """Return all pictures of a source with `size` pixels along each side.

    They keep their proportions and are padded evenly on both sides: with black, or where the border is bright, with its
    brightness. With `like_mnist` those with a bright border are inverted, and all laid out as MNIST's digits. Pictures that have
    the size are taken as they are. Raises DataError if a picture cannot be read.
    """
    if isinstance(source.pictures, np.ndarray) and source.pictures.shape[1:] == (size, size) and not like_mnist:
        images: NDArray[np.uint8] = source.pictures
        return FittedImages(images, int(np.count_nonzero(border_brightness(images) > BRIGHT)), _count_blank(images))
    fitted = np.empty((source.count, size, size), dtype=np.uint8)
    dark_on_white = 0
    for place, picture in enumerate(source.pictures):
        brightness = float(border_brightness(picture))
        is_bright = brightness > BRIGHT
        dark_on_white += is_bright
        if like_mnist:
            fitted[place] = lay_out_like_mnist(255 - picture if is_bright else picture, size)
        else:
            fitted[place] = _fit(picture, size, round(brightness) if is_bright else 0)
    return FittedImages(fitted, dark_on_white, _count_blank(fitted))


def border_brightness(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the mean of the outermost pixels of images [..., H, W]: float64 [...]."""
    edges = (images[..., 0, :], images[..., -1, :], images[..., 1:-1, 0], images[..., 1:-1, -1])
    return np.asarray(np.concatenate(edges, axis=-1).mean(axis=-1), dtype=np.float64)


def _count_blank(images: NDArray[np.uint8]) -> int:
    return int(np.count_nonzero(images.max(axis=(1, 2)) == images.min(axis=(1, 2))))


def _fit(picture: NDArray[np.uint8], size: int, padding: int) -> NDArray[np.uint8]:
    """Return a picture [H, W] within [size, size], as large as it fits."""
    height, width = picture.shape
    if (height, width) == (size, size):
        return picture
    scale = size / max(height, width)
    new_height, new_width = max(1, round(height * scale)), max(1, round(width * scale))
    image = Image.fromarray(picture)
    fitted = np.full((size, size), padding, dtype=np.uint8)
    top, left = (size - new_height) // 2, (size - new_width) // 2
    fitted[top : top + new_height, left : left + new_width] = _resized(image, new_width, new_height)
    return fitted


def lay_out_like_mnist(picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return a picture of light ink on a dark background, uint8 [H, W], in MNIST's layout: uint8 [size, size].

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
    small = np.maximum(_resized(Image.fromarray(ink), width, height, (left, top, right, bottom)), 0)
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


def _resized(
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
