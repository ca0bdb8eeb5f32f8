"""How far generated images are from real ones in plain pixels: a cheap score to choose a checkpoint by.

It is the Frechet distance between two Gaussians (D. Dowson, B. Landau, "The Frechet distance between multivariate normal
distributions", 1982), fitted in the leading principal components of the real images. It is not the Inception FID, and its value
means nothing outside this data set; lower is better.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COMPONENTS = 64


@dataclass(frozen=True)
class PixelSpace:
    """The principal components of a set of real images, and the Gaussian that those images make in them."""

    center: NDArray[np.float64]
    """The mean image, float64 [H * W], pixels from 0 to 1."""
    components: NDArray[np.float64]
    """The leading components, float64 [H * W, COMPONENTS], orthonormal columns."""
    variances: NDArray[np.float64]
    """The real images' variance along each component, float64 [COMPONENTS]; their covariance there is diagonal."""


def fit_pixel_space(images: NDArray[np.uint8]) -> PixelSpace:
    """Return the space of real images uint8 [N, H, W]; N must exceed COMPONENTS."""
    # float32 for the one large product: 60,000 images would take 376 MB in float64.
    pixels = images.reshape(len(images), -1).astype(np.float32) / 255
    center = pixels.mean(axis=0, dtype=np.float64)
    pixels -= center.astype(np.float32)
    covariance = (pixels.T @ pixels).astype(np.float64) / (len(pixels) - 1)
    variances, components = np.linalg.eigh(covariance)
    return PixelSpace(center, components[:, : -COMPONENTS - 1 : -1], variances[: -COMPONENTS - 1 : -1])


def pixel_frechet(space: PixelSpace, images: NDArray[np.uint8]) -> float:
    """Return the Frechet distance of images uint8 [N, H, W] to the real ones of `space`; pixels count from 0 to 1."""
    pixels = images.reshape(len(images), -1) / 255.0
    projected = (pixels - space.center) @ space.components
    mean = projected.mean(axis=0)
    covariance = np.cov(projected, rowvar=False)
    # tr sqrt(R C) with R diagonal: sqrt(R)^(1/2) C sqrt(R)^(1/2) is symmetric and has the same eigenvalues.
    deviations = np.sqrt(space.variances)
    eigenvalues = np.linalg.eigvalsh(deviations[:, None] * covariance * deviations[None, :])
    cross = np.sqrt(np.clip(eigenvalues, 0, None)).sum()
    return float(mean @ mean + space.variances.sum() + np.trace(covariance) - 2 * cross)
