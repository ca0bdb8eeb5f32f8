"""The three spaces in which images are compared: the features of two judges, and pixel components."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.evaluate.judge import Judge, load_judge

SpaceName: TypeAlias = Literal["first_judge", "second_judge", "pixels"]

PIXEL_COMPONENTS = 128
SPACES: dict[SpaceName, str] = {
    "first_judge": "first judge's features",
    "second_judge": "second judge's features",
    "pixels": f"{PIXEL_COMPONENTS} pixel components",
}
"""Each space by its name in JSON, with its name in tables."""
_BLOCK_IMAGES = 5_000


@dataclass(frozen=True, eq=False)
class Coordinates:
    """N images, their coordinates in each space, and which digits the first judge takes them for."""

    pixels: NDArray[np.uint8]
    """The images themselves, [N, 28, 28]."""
    features: Mapping[SpaceName, NDArray[np.float32]]
    """By space: [N, 64], [N, 128] and [N, PIXEL_COMPONENTS]."""
    probabilities: NDArray[np.float32]
    """[N, 10]"""

    def at(self, rows: NDArray[np.int64]) -> "Coordinates":
        """Return those of the images with these indices."""
        features = {name: features[rows] for name, features in self.features.items()}
        return Coordinates(self.pixels[rows], features, self.probabilities[rows])


@dataclass(frozen=True, eq=False)
class Spaces:
    """Computes the coordinates of images in each space."""

    first_judge: Judge
    second_judge: Judge
    """For reports only: nothing is ever chosen by it."""
    pixels: "PixelSpace"

    def locate(self, images: NDArray[np.uint8]) -> Coordinates:
        """Return the coordinates of images uint8 [N, 28, 28], N > 0."""
        first = self.first_judge.assess(images)
        features: dict[SpaceName, NDArray[np.float32]] = {
            "first_judge": first.features,
            "second_judge": self.second_judge.assess(images).features,
            "pixels": project(self.pixels, images),
        }
        return Coordinates(images, features, first.probabilities)


def open_spaces(training_images: NDArray[np.uint8]) -> Spaces:
    """Return the spaces, their pixel components fitted on training digits uint8 [N, 28, 28]. Raises JudgeError."""
    return Spaces(load_judge("first"), load_judge("second"), fit_pixel_space(training_images, PIXEL_COMPONENTS))


@dataclass(frozen=True, eq=False)
class PixelSpace:
    """The principal components of a set of real images: a space without a judge, so a generator cannot have learned from one."""

    center: NDArray[np.float64]
    """The mean image, float64 [H * W], pixels from 0 to 1."""
    components: NDArray[np.float64]
    """The leading components, float64 [H * W, components], orthonormal columns."""


def fit_pixel_space(images: NDArray[np.uint8], components: int) -> PixelSpace:
    """Return the space of the leading `components` of real images uint8 [N, H, W]; N must exceed `components`."""
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
    blocks = [
        (images[first : first + _BLOCK_IMAGES].reshape(-1, len(space.center)) / 255.0 - space.center) @ space.components
        for first in range(0, len(images), _BLOCK_IMAGES)
    ]
    return np.concatenate(blocks).astype(np.float32)
