"""Fit pictures of any size to the input size of a network, unchanged or laid out like MNIST's digits."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pocketgan_trainer.data.source import ImageSource
from pocketgan_trainer.networks.canvas import CANVAS_SIZES

BRIGHT = 127
"""In grey levels. A picture whose border is brighter on average counts as dark on white."""
LEAST_CONTRAST = 16
"""The difference between background and ink, in grey levels, below which a picture counts as blank."""
_INK_SHARE = 0.2
"""The bounding box is that of the pixels with more than this share of the strongest ink. A lower share would include noise, a
higher one would cut off soft edges."""


@dataclass(frozen=True, eq=False)
class FittedImages:
    """Images of one size, and counts of what was found in them."""

    images: NDArray[np.uint8]
    """[N, S, S]."""
    dark_on_white: int
    """The number of pictures with a bright border."""
    blank: int
    """The number of images with a single grey value, such as black ones in which --like-mnist found no ink."""


def fit_pictures(source: ImageSource, size: int, like_mnist: bool) -> FittedImages:
    """Return all pictures of a source with `size` pixels along each side.

    Pictures that already have this size are not changed. Others keep their proportions and are padded evenly on both sides: with
    the brightness of the border if that is bright, else with black. With `like_mnist`, pictures with a bright border are inverted
    and all are laid out like MNIST's digits. Raises DataError if a picture cannot be read.
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
    """Return a picture [H, W] scaled to fit into [size, size] and padded."""
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

    The background becomes 0 and the strongest ink 255. The ink's bounding box is scaled so that its longer side is 20/28 of
    `size`, and placed so that its centre of mass is at size / 2, or as close to it as the image's edges allow. A picture without
    ink becomes all 0.
    """
    laid_out = np.zeros((size, size), dtype=np.uint8)
    ink = _ink(picture)
    peak = ink.max()
    if peak < LEAST_CONTRAST:
        return laid_out
    is_ink = ink > _INK_SHARE * peak
    rows, columns = np.flatnonzero(is_ink.any(axis=1)), np.flatnonzero(is_ink.any(axis=0))
    top, bottom, left, right = rows[0].item(), rows[-1].item() + 1, columns[0].item(), columns[-1].item() + 1
    scale = CANVAS_SIZES[size] / max(bottom - top, right - left)
    width, height = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    # In floating point, because a thin line may become very faint when it is scaled down.
    small = np.maximum(_resized(Image.fromarray(ink), width, height, (left, top, right, bottom)), 0)
    levels = np.rint(small * (255 / small.max())).astype(np.int64)
    y, x = _place(levels.sum(axis=1), size), _place(levels.sum(axis=0), size)
    laid_out[y : y + height, x : x + width] = levels
    return laid_out


def _ink(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return how far each pixel is above the background and its noise, both estimated from the border: float32 [H, W]."""
    border = np.concatenate([picture[0], picture[-1], picture[1:-1, 0], picture[1:-1, -1]])
    darkest, background = np.percentile(border, [5, 50])
    # Measured below the median, because ink that touches the border is above it.
    noise = background - darkest
    ink: NDArray[np.float32] = np.maximum(picture.astype(np.float32) - np.float32(background + noise), np.float32(0))
    return ink


def _place(mass: NDArray[np.int64], size: int) -> int:
    """Return the offset among `size` pixels that puts the centre of mass of a row of pixels at size / 2, as Placement does."""
    offsets = np.arange(size - len(mass))
    distances = mass.sum() * (size - 1 - 2 * offsets) - 2 * (mass @ np.arange(len(mass)))
    return int((distances > 0).sum())


def _resized(
    image: Image.Image, width: int, height: int, box: tuple[int, int, int, int] | None = None
) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Return the part `box` (left, top, right, bottom) of a picture, by default all of it, resized to [height, width].

    The result is uint8 for mode L, float32 for mode F.
    """
    left, top, right, bottom = box or (0, 0, *image.size)
    ratio = max((right - left) / width, (bottom - top) / height)
    # Averaging over areas keeps a black background black. Lanczos rings around edges, but is sharper when there are few pixels.
    resample = Image.Resampling.BOX if ratio >= 2 else Image.Resampling.LANCZOS
    return np.asarray(image.resize((width, height), resample, box=(left, top, right, bottom)))
