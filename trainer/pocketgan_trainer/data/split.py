"""Which training images are held out for validation, and choosing images of given classes at random."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.data.images import TrainingImages
from pocketgan_trainer.data.published import MNIST, Digits
from pocketgan_trainer.errors import DataError

VALIDATION_DIGITS = 5_000
FEWEST_VALIDATION = 20
"""A tenth of the fewest training images: a score on fewer images would be too noisy to choose an epoch by."""
_SPLIT_SEED = 0


@dataclass(frozen=True, eq=False)
class TrainingSplit:
    """The training images in two parts, which share no image."""

    training: Digits
    """What the networks learn from: 55,000 of MNIST."""
    validation: Digits
    """The held-out images, in random order, so that the first few already show all classes."""


def split_validation(digits: Digits) -> TrainingSplit:
    """Return the digits in two parts, the last VALIDATION_DIGITS and those before; both are views, nothing is copied.

    Raises DataError if there are none before.
    """
    if len(digits) <= VALIDATION_DIGITS:
        message = (
            f"{len(digits)} digits cannot be split: expected more than the {VALIDATION_DIGITS} that are held out for validation"
        )
        raise DataError(message)
    return TrainingSplit(
        training=Digits(digits.images[:-VALIDATION_DIGITS], digits.labels[:-VALIDATION_DIGITS]),
        validation=Digits(digits.images[-VALIDATION_DIGITS:], digits.labels[-VALIDATION_DIGITS:]),
    )


def split_images(images: TrainingImages) -> TrainingSplit:
    """Return the training images in two parts, which share no image: of MNIST as `split_validation` does.

    Of other data a tenth is held out, VALIDATION_DIGITS at most and no more than half of each class, drawn at random with a fixed
    seed. Images without classes get the label 0. Raises DataError if fewer than FEWEST_VALIDATION can be held out.
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
    held_out = order[may_go[order]][: min(VALIDATION_DIGITS, len(images) // 10)]
    if len(held_out) < FEWEST_VALIDATION:
        found = f"only {len(held_out)} of {len(images):,} images in {len(images.classes):,} classes can be held out"
        message = (
            f"{found} to choose the best epoch by, half of each class at most: expected at least {FEWEST_VALIDATION}; add "
            "images, join classes, or leave out labels"
        )
        raise DataError(message)
    rest = np.setdiff1d(np.arange(len(images)), held_out)
    return TrainingSplit(
        training=Digits(images.images[rest], labels[rest]), validation=Digits(images.images[held_out], labels[held_out])
    )


def rows_of_classes(labels: NDArray[np.integer], wanted: NDArray[np.integer], random: np.random.Generator) -> NDArray[np.int64]:
    """Return different rows of `labels` [N], of which row i is of class `wanted[i]`: int64 [len(wanted)].

    Raises ValueError if there are fewer of a class than are wanted.
    """
    rows = np.empty(len(wanted), dtype=np.int64)
    for label in np.unique(wanted):
        places = np.flatnonzero(wanted == label)
        rows[places] = random.choice(np.flatnonzero(labels == label), len(places), replace=False)
    return rows
