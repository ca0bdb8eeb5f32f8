"""Every figure of one set of images that needs no training, and the same figures of real digits."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.data.published import CLASSES, Digits
from pocketgan_trainer.data.split import TrainingSplit
from pocketgan_trainer.evaluate.copying import HeldOut, Memorization, look_at_held_out, memorization
from pocketgan_trainer.evaluate.distances import (
    Crowd,
    Neighbourhood,
    compare_neighbourhoods,
    kernel_distance,
    look_around,
    nearest_neighbour_accuracy,
)
from pocketgan_trainer.evaluate.spaces import Coordinates, Distances, Spaces, frechet_distances, open_spaces


@dataclass(frozen=True)
class ClassFigures:
    """What a judge makes of the classes of N generated images."""

    histogram: tuple[int, ...]
    """How many images the judge takes for each digit, 10 counts that sum to N."""
    divergence: float
    """Kullback-Leibler divergence of those shares from the expected proportions, in nats; 0 if they are equal.

    Labels drawn at random score 9 / 2N on average; infinite if a digit is there that is not expected at all.
    """
    accuracy_of_class: tuple[float, ...] | None
    """Share of the images asked for as each digit that the judge takes for it; nan for a digit never asked for.

    None where nobody asked for a digit.
    """
    accuracy: float | None
    """The same share of all images; None where nobody asked for a digit."""


def class_figures(
    probabilities: NDArray[np.float32],
    expected_proportions: NDArray[np.float64],
    asked: NDArray[np.uint8] | NDArray[np.int64] | None,
) -> ClassFigures:
    """Return the figures for a judge's probabilities [N, 10], N above 0, of images that were asked for as labels `asked` [N].

    The judge's digit is its most probable one. `expected_proportions` [10] are not negative and sum to 1.
    """
    classes = len(expected_proportions)
    judged = probabilities.argmax(axis=1)
    histogram = np.bincount(judged, minlength=classes)
    accuracy_of_class, accuracy = None, None
    if asked is not None:
        right = judged == asked
        asked_of_class = np.bincount(asked, minlength=classes)
        right_of_class = np.bincount(asked[right], minlength=classes)
        shares = np.divide(right_of_class, asked_of_class, out=np.full(classes, np.nan), where=asked_of_class > 0)
        accuracy_of_class, accuracy = tuple(shares.tolist()), float(right.mean())
    return ClassFigures(
        histogram=tuple(histogram.tolist()),
        divergence=_divergence(histogram / len(judged), expected_proportions),
        accuracy_of_class=accuracy_of_class,
        accuracy=accuracy,
    )


def _divergence(proportions: NDArray[np.float64], expected: NDArray[np.float64]) -> float:
    """Return sum p log(p / q) over the classes with p above 0; infinite where such a q is 0."""
    there = proportions > 0
    if (expected[there] == 0).any():
        return float("inf")
    return float((proportions[there] * np.log(proportions[there] / expected[there])).sum())


_SUBSET_SEED = 0


@dataclass(frozen=True)
class Comparison:
    """How N images and N test digits differ; in the first judge's features where it does not say otherwise."""

    frechet: Distances
    kernel_distance: float
    neighbourhood: Neighbourhood
    nearest_neighbour_accuracy: float
    """How often the nearest other image tells of which set an image is; 0.5 for real digits from the same writers."""
    nearest_neighbour_accuracy_second_judge: float
    """The same in the second judge's features."""
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
    """In the first judge's features, beside the validation digits."""


@dataclass(frozen=True, eq=False)
class Crowds:
    """N images among themselves, in each space."""

    first_judge: Crowd
    second_judge: Crowd
    pixels: Crowd


@dataclass(frozen=True, eq=False)
class Reference:
    """Real digits, looked at once, that images are compared with."""

    spaces: Spaces
    labels: NDArray[np.int64]
    """The classes of the N test digits, in their order: what is asked of a generator. int64 [N]"""
    test: Coordinates
    """Of those test digits."""
    test_crowds: Crowds
    """Those test digits among themselves."""
    training: Coordinates
    """Of the training digits, without those of validation."""
    held_out: HeldOut
    """The validation digits, beside those training digits."""

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


def open_reference(split: TrainingSplit, test: Digits) -> Reference:
    """Return a reference of these digits. Raises JudgeError if a judge cannot be loaded."""
    spaces = open_spaces(split.training.images)
    training, validation = spaces.locate(split.training.images), spaces.locate(split.validation.images)
    tested = spaces.locate(test.images)
    return Reference(
        spaces=spaces,
        labels=test.labels.astype(np.int64),
        test=tested,
        test_crowds=_crowds(tested),
        training=training,
        held_out=look_at_held_out(training.first_judge, validation.first_judge),
    )


def score_images(reference: Reference, images: Coordinates, has_classes: bool, seed: int) -> ImageScores:
    """Return the figures of N images at these coordinates, image i asked for as `reference.labels[i]` if it `has_classes`.

    `seed` is that of the random choices in kernel distance and memorization's bands.
    """
    return ImageScores(
        against_test=_compare_with_test(reference, images, seed),
        training_frechet=frechet_distances(images, reference.training),
        classes=class_figures(images.probabilities, reference.proportions, reference.labels if has_classes else None),
        memorization=memorization(images.first_judge, reference.held_out, seed),
    )


def score_real(reference: Reference, samples: Sequence[Coordinates]) -> tuple[ImageScores, ...]:
    """Return what real digits score, once for each of the samples, N training digits of the classes of the test digits.

    That is what a generator of the training digits' quality scores, and also one that copies them: the judges know them by heart
    in either case. Against the test digits each sample is compared. To the training digits, in what the judge makes of the
    classes, and in memorization it is the test digits themselves, the same for every sample: they are by other writers, which
    memorization tells, so only its bands are worth showing.
    """
    test = reference.test
    training_frechet = frechet_distances(test, reference.training)
    classes = class_figures(test.probabilities, reference.proportions, reference.labels)
    remembered = memorization(test.first_judge, reference.held_out)
    return tuple(
        ImageScores(_compare_with_test(reference, sample, seed), training_frechet, classes, remembered)
        for seed, sample in enumerate(samples)
    )


def _compare_with_test(reference: Reference, images: Coordinates, seed: int) -> Comparison:
    test, crowds = reference.test_crowds, _crowds(images)
    return Comparison(
        frechet=frechet_distances(images, reference.test),
        kernel_distance=kernel_distance(images.first_judge, reference.test.first_judge, seed),
        neighbourhood=compare_neighbourhoods(test.first_judge, crowds.first_judge),
        nearest_neighbour_accuracy=nearest_neighbour_accuracy(crowds.first_judge, test.first_judge),
        nearest_neighbour_accuracy_second_judge=nearest_neighbour_accuracy(crowds.second_judge, test.second_judge),
        nearest_neighbour_accuracy_pixels=nearest_neighbour_accuracy(crowds.pixels, test.pixels),
    )


def _crowds(images: Coordinates) -> Crowds:
    return Crowds(look_around(images.first_judge), look_around(images.second_judge), look_around(images.pixels))
