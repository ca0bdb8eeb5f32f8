"""The three spaces in which images are compared: the features of two judges, and pixel components."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.evaluate.distances import frechet_distance
from pocketgan_trainer.evaluate.judge import Judge, load_judge

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


PIXEL_COMPONENTS = 128


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Where N images lie in each space, and what the first judge takes them for."""

    first_judge: NDArray[np.float32]
    """[N, 64]"""
    second_judge: NDArray[np.float32]
    """[N, 128]"""
    pixels: NDArray[np.float32]
    """[N, PIXEL_COMPONENTS]"""
    probabilities: NDArray[np.float32]
    """[N, 10]"""

    def at(self, rows: NDArray[np.int64]) -> "Coordinates":
        """Return those of some of the images."""
        return Coordinates(self.first_judge[rows], self.second_judge[rows], self.pixels[rows], self.probabilities[rows])


@dataclass(frozen=True)
class Distances:
    """The Frechet distance between the same two sets of images in each space."""

    first_judge: float
    second_judge: float
    pixels: float


@dataclass(frozen=True, eq=False)
class Spaces:
    """What it takes to find an image's place in each space."""

    first_judge: Judge
    second_judge: Judge
    """For reports only: nothing is ever chosen by it."""
    pixels: PixelSpace

    def locate(self, images: NDArray[np.uint8]) -> Coordinates:
        """Return the coordinates of images uint8 [N, 28, 28], N > 0."""
        seen = self.first_judge.look(images)
        return Coordinates(
            first_judge=seen.features,
            second_judge=self.second_judge.look(images).features,
            pixels=project(self.pixels, images),
            probabilities=seen.probabilities,
        )


def open_spaces(training_images: NDArray[np.uint8]) -> Spaces:
    """Return the spaces, their pixel components fitted on training digits uint8 [N, 28, 28]. Raises JudgeError."""
    return Spaces(load_judge("first"), load_judge("second"), fit_pixel_space(training_images, PIXEL_COMPONENTS))


def frechet_distances(one: Coordinates, other: Coordinates) -> Distances:
    """Return how far two sets of images, of more than one each, are apart in each space; see `frechet_distance`."""
    return Distances(
        first_judge=frechet_distance(one.first_judge, other.first_judge),
        second_judge=frechet_distance(one.second_judge, other.second_judge),
        pixels=frechet_distance(one.pixels, other.pixels),
    )
