"""Images as numbers without any judge: their coordinates along the principal components of real images.

Whatever a generator learned from a judge does not help it here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BLOCK_IMAGES = 5_000


@dataclass(frozen=True, eq=False)
class PixelSpace:
    """The principal components of a set of real images."""

    center: NDArray[np.float64]
    """The mean image, float64 [H * W], pixels from 0 to 1."""
    components: NDArray[np.float64]
    """The leading components, float64 [H * W, components], orthonormal columns."""


def fit_pixel_space(images: NDArray[np.uint8], components: int) -> PixelSpace:
    """Return the space of so many leading components of real images uint8 [N, H, W]; N must exceed `components`."""
    # float32 for the one large product: 60,000 images would take 376 MB in float64.
    pixels = images.reshape(len(images), -1).astype(np.float32)
    pixels /= 255
    center = pixels.mean(axis=0, dtype=np.float64)
    pixels -= center.astype(np.float32)
    covariance = (pixels.T @ pixels).astype(np.float64) / (len(pixels) - 1)
    _, axes = np.linalg.eigh(covariance)
    return PixelSpace(center, axes[:, : -components - 1 : -1])


def project(space: PixelSpace, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the coordinates of images uint8 [N, H, W] in the space, float32 [N, components]; pixels count from 0 to 1."""
    blocks = [_project(space, images[first : first + _BLOCK_IMAGES]) for first in range(0, len(images), _BLOCK_IMAGES)]
    return np.concatenate(blocks).astype(np.float32)


def _project(space: PixelSpace, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the coordinates in float64, of all images at once."""
    projected: NDArray[np.float64] = (images.reshape(len(images), -1) / 255.0 - space.center) @ space.components
    return projected
