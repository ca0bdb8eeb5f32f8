"""Which training images are held out for validation, and choosing images of given classes at random."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.data.images import TrainingImages
from pocketgan_trainer.data.published import MNIST, Digits
from pocketgan_trainer.errors import DataError

VALIDATION_DIGITS = 5_000
FEWEST_KEPT = 20
"""A tenth of the fewest images that are trained on: of fewer, a score by which to choose would be a matter of luck."""
_SPLIT_SEED = 0


@dataclass(frozen=True, eq=False)
class TrainingSplit:
    """The training images in two parts, which share no image."""

    training: Digits
    """What the networks learn from: 55,000 of MNIST."""
    validation: Digits
    """What is kept back, its classes mixed, so that the first of them are of as many classes as all."""


def split_validation(digits: Digits) -> TrainingSplit:
    """Return the digits in two parts, the last VALIDATION_DIGITS and those before; both are views, nothing is copied.

    Raises DataError if there are none before.
    """
    if len(digits) <= VALIDATION_DIGITS:
        message = f"{len(digits)} digits cannot be split: expected more than the {VALIDATION_DIGITS} that are kept for validation"
        raise DataError(message)
    return TrainingSplit(
        training=Digits(digits.images[:-VALIDATION_DIGITS], digits.labels[:-VALIDATION_DIGITS]),
        validation=Digits(digits.images[-VALIDATION_DIGITS:], digits.labels[-VALIDATION_DIGITS:]),
    )


def split_images(images: TrainingImages) -> TrainingSplit:
    """Return the training images in two parts, which share no image: of MNIST as `split_validation` does.

    Of others a tenth is kept back, VALIDATION_DIGITS at most, drawn at random but always the same, and of no class more than
    half. Images without classes get the label 0. Raises DataError if that leaves fewer than FEWEST_KEPT.
    """
    labels = np.zeros(len(images), np.int64) if images.labels is None else images.labels
    if images.name == MNIST.name:
        return split_validation(Digits(images.images, labels))
    order = np.random.Generator(np.random.Philox(_SPLIT_SEED)).permutation(len(images))
    # The number of images of its class that come before each image in that order.
    rank = np.empty(len(images), np.int64)
    for label in np.unique(labels):
        of_class = order[labels[order] == label]
        rank[of_class] = np.arange(len(of_class))
    may_go = rank < np.bincount(labels)[labels] // 2
    # Not sorted: images often come class by class.
    kept = order[may_go[order]][: min(VALIDATION_DIGITS, len(images) // 10)]
    if len(kept) < FEWEST_KEPT:
        found = f"only {len(kept)} of {len(images):,} images in {len(images.classes):,} classes can be kept back"
        message = (
            f"{found} to choose the best epoch by, half of each class at most: expected at least {FEWEST_KEPT}; add images, join "
            "classes, or leave out labels"
        )
        raise DataError(message)
    rest = np.setdiff1d(np.arange(len(images)), kept)
    return TrainingSplit(training=Digits(images.images[rest], labels[rest]), validation=Digits(images.images[kept], labels[kept]))


def rows_of_classes(labels: NDArray[np.integer], wanted: NDArray[np.integer], random: np.random.Generator) -> NDArray[np.int64]:
    """Return different rows of `labels` [N], of which row i is of class `wanted[i]`: int64 [len(wanted)].

    Raises ValueError if there are fewer of a class than are wanted.
    """
    rows = np.empty(len(wanted), dtype=np.int64)
    for label in np.unique(wanted):
        places = np.flatnonzero(wanted == label)
        rows[places] = random.choice(np.flatnonzero(labels == label), len(places), replace=False)
    return rows
