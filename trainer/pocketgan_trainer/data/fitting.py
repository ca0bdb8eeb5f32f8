"""Bringing pictures of any size to the one size that a network takes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pocketgan_trainer.data.image_source import ImageSource
from pocketgan_trainer.data.mnist_layout import lay_out_like_mnist
from pocketgan_trainer.data.resizing import resized

BRIGHT = 127
"""A border brighter than this on average shows that a picture is dark on white."""


@dataclass(frozen=True, eq=False)
class FittedImages:
    """Images of one size, and what was seen on the way."""

    images: NDArray[np.uint8]
    """[N, S, S]."""
    dark_on_white: int
    """How many had a bright border."""
    blank: int
    """How many have one grey value everywhere: black, where ink was looked for and none was found."""


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
    fitted[top : top + new_height, left : left + new_width] = resized(image, new_width, new_height)
    return fitted
