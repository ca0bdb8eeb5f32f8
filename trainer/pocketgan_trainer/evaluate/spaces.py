"""The three spaces in which generated digits are compared with real ones: the features of two judges, and pixel components."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.evaluate.frechet import frechet_distance
from pocketgan_trainer.evaluate.judge import Judge, load_judge
from pocketgan_trainer.evaluate.pixel_components import PixelSpace, fit_pixel_space, project

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
    """Return how far two sets of images, of more than one each, are apart in each space; see `frechet.frechet_distance`."""
    return Distances(
        first_judge=frechet_distance(one.first_judge, other.first_judge),
        second_judge=frechet_distance(one.second_judge, other.second_judge),
        pixels=frechet_distance(one.pixels, other.pixels),
    )
