"""A set of images to measure, the real digits that it is compared with, and what several figures have in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.data.published import CLASSES, Digits
from pocketgan_trainer.data.split import TrainingSplit
from pocketgan_trainer.evaluate.copying import HeldOut, Memorization, measure_held_out, memorization
from pocketgan_trainer.evaluate.distances import Manifold, ManifoldOverlap, compare_manifolds, estimate_manifold
from pocketgan_trainer.evaluate.handwriting import handwriting_of_some
from pocketgan_trainer.evaluate.spaces import Coordinates, SpaceName, Spaces, open_spaces
from pocketgan_trainer.evaluate.texture import count_neighbours
from pocketgan_trainer.evaluate.topology import count_topologies, euler_numbers

_SUBSET_SEED = 0


@dataclass(frozen=True, eq=False)
class Reference:
    """The real digits that images are compared with, and what is computed from them once."""

    spaces: Spaces
    labels: NDArray[np.int64]
    """The classes of the N test digits, in their order, int64 [N]: those that a generator is asked for."""
    test: Coordinates
    """Of those test digits."""
    test_manifolds: Mapping[SpaceName, Manifold]
    """Of those test digits, in each space."""
    test_neighbours: NDArray[np.uint16]
    """Of those test digits, see `texture.count_neighbours`."""
    test_topologies: NDArray[np.int64]
    """Of those test digits, see `topology.count_topologies`."""
    test_handwriting: NDArray[np.float64]
    """Of some of those test digits, see `handwriting.handwriting_of_some`."""
    training: Coordinates
    """Of the training digits, without those of validation."""
    held_out: HeldOut
    """How near the validation digits come to those training digits, in the first judge's features."""

    @property
    def proportions(self) -> NDArray[np.float64]:
        """The share of each class in `labels`, float64 [10]."""
        return np.bincount(self.labels, minlength=CLASSES) / len(self.labels)


def choose_digits(digits: Digits, count: int) -> Digits:
    """Return `count` of the digits in their order, if there are more: a random choice that is always the same."""
    if count >= len(digits):
        return digits
    rows = np.sort(np.random.Generator(np.random.Philox(_SUBSET_SEED)).choice(len(digits), count, replace=False))
    return Digits(digits.images[rows], digits.labels[rows])


def open_reference(split: TrainingSplit, test: Digits) -> Reference:
    """Return a reference of these digits. Raises JudgeError if a judge cannot be loaded."""
    spaces = open_spaces(split.training.images)
    training, validation = spaces.locate(split.training.images), spaces.locate(split.validation.images)
    tested = spaces.locate(test.images)
    return Reference(
        spaces=spaces,
        labels=test.labels.astype(np.int64),
        test=tested,
        test_manifolds=_manifolds(tested),
        test_neighbours=count_neighbours(tested.pixels),
        test_topologies=count_topologies(euler_numbers(tested.pixels), test.labels, CLASSES),
        test_handwriting=handwriting_of_some(tested.pixels),
        training=training,
        held_out=measure_held_out(training.features["first_judge"], validation.features["first_judge"]),
    )


@dataclass(frozen=True, eq=False)
class ImageSet:
    """N images to measure. What several figures need is computed once."""

    reference: Reference
    images: Coordinates
    has_classes: bool
    """Whether image i was asked for as `reference.labels[i]`."""
    seed: int
    """Of the random choices in kernel distance and memorization's bands."""

    @cached_property
    def manifolds(self) -> Mapping[SpaceName, Manifold]:
        """In each space."""
        return _manifolds(self.images)

    @cached_property
    def overlap(self) -> ManifoldOverlap:
        """With the test digits, in the first judge's features."""
        return compare_manifolds(self.reference.test_manifolds["first_judge"], self.manifolds["first_judge"])

    @cached_property
    def memorization(self) -> Memorization:
        """In the first judge's features, compared with the validation digits."""
        return memorization(self.images.features["first_judge"], self.reference.held_out, self.seed)

    @cached_property
    def handwriting(self) -> NDArray[np.float64]:
        """Of some of the images, see `handwriting.handwriting_of_some`."""
        return handwriting_of_some(self.images.pixels)

    @cached_property
    def judged(self) -> NDArray[np.int64]:
        """The digit that the first judge finds most probable, of each image, int64 [N]."""
        judged: NDArray[np.int64] = self.images.probabilities.argmax(axis=1)
        return judged

    @property
    def requested(self) -> NDArray[np.int64]:
        """The digit that each image was asked for, or judged as, if it could not be asked for, int64 [N]."""
        return self.reference.labels if self.has_classes else self.judged

    @cached_property
    def histogram(self) -> tuple[int, ...]:
        """The number of images judged as each digit, 10 counts that sum to N."""
        return tuple(np.bincount(self.judged, minlength=CLASSES).tolist())

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """The number of images by the digit asked for (rows) and the digit judged (columns), int64 [10, 10]."""
        return confusion_matrix(self.reference.labels, self.judged)


def _manifolds(images: Coordinates) -> Mapping[SpaceName, Manifold]:
    return {space: estimate_manifold(features) for space, features in images.features.items()}


def confusion_matrix(requested: NDArray[np.integer], judged: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many images asked for as each digit (rows) are judged as each digit (columns), int64 [10, 10]; both are [N]."""
    counts = np.bincount(requested.astype(np.int64) * CLASSES + judged, minlength=CLASSES**2)
    return counts.reshape(CLASSES, CLASSES)
