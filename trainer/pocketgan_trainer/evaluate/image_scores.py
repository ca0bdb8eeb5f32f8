"""Every figure of one set of images that needs no training, and the same figures of real digits, to set them beside."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.data.mnist import Digits
from pocketgan_trainer.evaluate.class_figures import ClassFigures, class_figures
from pocketgan_trainer.evaluate.kernel_distance import kernel_distance
from pocketgan_trainer.evaluate.memorization import Memorization, memorization
from pocketgan_trainer.evaluate.neighbours import Neighbourhood, compare_neighbourhoods, nearest_neighbour_accuracy
from pocketgan_trainer.evaluate.sources import CLASSES
from pocketgan_trainer.evaluate.spaces import Coordinates, Distances, Spaces, frechet_distances, open_spaces

_SUBSET_SEED = 0


@dataclass(frozen=True)
class Comparison:
    """How N images and N test digits differ; in the first judge's features where it does not say otherwise."""

    frechet: Distances
    kernel_distance: float
    neighbourhood: Neighbourhood
    nearest_neighbour_accuracy: float
    """How often the nearest other image tells of which set an image is; 0.5 for real digits from the same writers."""
    nearest_neighbour_accuracy_pixels: float
    """The same in the pixel components."""


@dataclass(frozen=True)
class ImageScores:
    """The figures of N images."""

    against_test: Comparison
    training_frechet: Distances
    """To all training digits."""
    classes: ClassFigures
    """By the first judge."""
    memorization: Memorization
    """In the first judge's features; the test digits are those that nobody could have memorized."""


@dataclass(frozen=True, eq=False)
class Reference:
    """Real digits, looked at once, that images are compared with."""

    spaces: Spaces
    labels: NDArray[np.int64]
    """The classes of the N test digits, in their order: what is asked of a generator. int64 [N]"""
    test: Coordinates
    """Of those test digits."""
    training: Coordinates
    """Of all training digits."""

    @property
    def proportions(self) -> NDArray[np.float64]:
        """The share of each class in `labels`, float64 [10]."""
        return np.bincount(self.labels, minlength=CLASSES) / len(self.labels)


def choose_test_digits(test: Digits, count: int) -> Digits:
    """Return `count` test digits: all of them, or so many in their order, chosen at random once for ever."""
    if count == len(test):
        return test
    rows = np.sort(np.random.Generator(np.random.Philox(_SUBSET_SEED)).choice(len(test), count, replace=False))
    return Digits(test.images[rows], test.labels[rows])


def open_reference(training: Digits, test: Digits) -> Reference:
    """Return a reference of these digits. Raises JudgeError if a judge cannot be loaded."""
    spaces = open_spaces(training.images)
    return Reference(
        spaces=spaces,
        labels=test.labels.astype(np.int64),
        test=spaces.locate(test.images),
        training=spaces.locate(training.images),
    )


def score_images(reference: Reference, images: Coordinates, has_classes: bool, seed: int) -> ImageScores:
    """Return the figures of N images at these coordinates, image i asked for as `reference.labels[i]` if it `has_classes`.

    `seed` is that of the random choices in kernel distance and memorization.
    """
    return ImageScores(
        against_test=_compare_with_test(reference, images, seed),
        training_frechet=frechet_distances(images, reference.training),
        classes=class_figures(images.probabilities, reference.proportions, reference.labels if has_classes else None),
        memorization=memorization(images.first_judge, reference.training.first_judge, reference.test.first_judge, seed),
    )


def score_real(reference: Reference, sample: Coordinates, validation: Coordinates, seed: int) -> ImageScores:
    """Return what real digits score, figure by figure the best that can be asked of a generator.

    Against the test digits it is N training digits of the same classes, the `sample`. To the training digits it is the test
    digits, and so it is for what the judge makes of the classes: it was trained on the others. For memorization it is the
    validation digits, which are neither.
    """
    return ImageScores(
        against_test=_compare_with_test(reference, sample, seed),
        training_frechet=frechet_distances(reference.test, reference.training),
        classes=class_figures(reference.test.probabilities, reference.proportions, reference.labels),
        memorization=memorization(validation.first_judge, reference.training.first_judge, reference.test.first_judge, seed),
    )


def _compare_with_test(reference: Reference, images: Coordinates, seed: int) -> Comparison:
    test = reference.test
    return Comparison(
        frechet=frechet_distances(images, test),
        kernel_distance=kernel_distance(images.first_judge, test.first_judge, seed),
        neighbourhood=compare_neighbourhoods(test.first_judge, images.first_judge),
        nearest_neighbour_accuracy=nearest_neighbour_accuracy(images.first_judge, test.first_judge),
        nearest_neighbour_accuracy_pixels=nearest_neighbour_accuracy(images.pixels, test.pixels),
    )
