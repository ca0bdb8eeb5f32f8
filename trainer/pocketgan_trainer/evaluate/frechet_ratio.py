"""The figure that a run is followed by: how far its images as a whole are from the training images, as a ratio to real ones.

It is the Frechet distance in a judge's features between generated images and training images, divided by that of as many other
training images of the same classes: real images score 1.0, plus or minus a fifth. Neither test images nor the second judge are
used. Nor are validation images: those of MNIST are by other writers, and lie nearly seven times as far from the training digits
as other training digits do, which would hide how far generated ones do (docs/experiments.md).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.data.split import TrainingSplit, rows_of_classes
from pocketgan_trainer.evaluate.distances import distance_of_gaussians, mean_and_covariance
from pocketgan_trainer.evaluate.judge import ImageJudge

REFERENCE_IMAGES = 20_000
"""The most training images that generated ones are compared with."""
_SAMPLE_SEED = 0
# Below this a distance is a rounding error: of images that hardly differ at all.
_LEAST_DISTANCE = 1e-9


@dataclass(frozen=True, eq=False)
class FrechetRatio:
    """Compares images with the training images."""

    judge: ImageJudge
    labels: NDArray[np.int64]
    """The classes of the validation images, int64 [N]: what to draw for a ratio, where classes can be asked for."""
    mean: NDArray[np.float64]
    """Of the features of training images in the proportions of these classes, by the judge, float64 [F]."""
    covariance: NDArray[np.float64]
    """The same, float64 [F, F]."""
    floor: float
    """The distance of N other training images of these classes."""

    def of(self, images: NDArray[np.uint8]) -> float:
        """Return the ratio of images uint8 [N, S, S]; lower is better, 1.0 is real."""
        return self.of_features(self.judge.assess(images).features)

    def of_features(self, features: NDArray[np.float32]) -> float:
        """Return the ratio of images with these features by the judge, float32 [N, F]."""
        return max(0.0, distance_of_gaussians(*mean_and_covariance(features), self.mean, self.covariance)) / self.floor


def frechet_ratio(judge: ImageJudge, split: TrainingSplit) -> FrechetRatio:
    """Return the ratio for the classes of `split`'s validation images.

    A class whose training images all belong to the sample of real ones is missing from those that images are compared with.
    """
    training, labels = split.training, split.validation.labels.astype(np.int64)
    random = np.random.Generator(np.random.Philox(_SAMPLE_SEED))
    sample = rows_of_classes(training.labels, labels, random)
    others = np.setdiff1d(np.arange(len(training)), sample)
    others = random.choice(others, min(len(others), REFERENCE_IMAGES), replace=False)
    of_class, wanted = (np.bincount(some, minlength=training.labels.max() + 1) for some in (training.labels[others], labels))
    weights = (wanted / np.maximum(of_class, 1))[training.labels[others]]
    mean, covariance = mean_and_covariance(judge.assess(training.images[others]).features, weights)
    distance = distance_of_gaussians(*mean_and_covariance(judge.assess(training.images[sample]).features), mean, covariance)
    return FrechetRatio(judge, labels, mean, covariance, max(_LEAST_DISTANCE, distance))
