"""The score that chooses the best epoch: 1 for real digits, more for worse ones, and blind to nothing that matters."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from quick_evaluation import blurred

from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.data.split import TrainingSplit
from pocketgan_trainer.evaluate.distances import frechet_distance
from pocketgan_trainer.evaluate.judge import Assessment, Judge
from pocketgan_trainer.evaluate.validation_score import ValidationScore, validation_score

VALIDATION = 500

Damage = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


@pytest.fixture(scope="module")
def split(digits: Digits) -> TrainingSplit:
    """A split of the first 2,000 digits, in the proportions of a quarter."""
    images, labels = digits.images, digits.labels
    return TrainingSplit(
        training=Digits(images[:-VALIDATION], labels[:-VALIDATION]), validation=Digits(images[-VALIDATION:], labels[-VALIDATION:])
    )


@pytest.fixture(scope="module")
def score(first_judge: Judge, split: TrainingSplit) -> ValidationScore:
    """The score against the validation digits of the split."""
    return validation_score(first_judge, split)


def in_proportion(split: TrainingSplit) -> NDArray[np.uint8]:
    """Return the first training digits of each class, as many as there are among the validation digits."""
    training, counts = split.training, np.bincount(split.validation.labels, minlength=10)
    return np.concatenate([training.images[training.labels == digit][:count] for digit, count in enumerate(counts)])


def test_real_digits_of_the_same_classes_score_about_one(score: ValidationScore, split: TrainingSplit) -> None:
    assert 0.7 < score.of(in_proportion(split)) < 1.4


def test_real_digits_in_other_proportions_score_worse(score: ValidationScore, split: TrainingSplit) -> None:
    assert score.of(split.training.images[np.argsort(split.training.labels)[: 2 * VALIDATION]]) > 5


@pytest.mark.parametrize(
    "damage",
    [
        blurred,
        lambda images: images[np.arange(len(images)) // 10 * 10],
        lambda images: images[:, :, ::-1],
    ],
    ids=["blurred", "each ten times", "mirrored"],
)
def test_damaged_digits_score_worse(score: ValidationScore, split: TrainingSplit, damage: Damage) -> None:
    assert score.of(damage(in_proportion(split))) > 2


def test_labels_are_those_of_the_validation_digits(score: ValidationScore, split: TrainingSplit) -> None:
    assert score.labels.dtype == np.int64
    assert np.array_equal(score.labels, split.validation.labels)


class WatchedJudge(Judge):
    """The judge, and what it was shown."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.shown: list[NDArray[np.uint8]] = []

    def assess(self, images: NDArray[np.uint8]) -> Assessment:
        """Keep the images and judge them."""
        self.shown.append(images)
        return self._judge.assess(images)


def test_the_floor_is_the_distance_of_as_many_training_digits_of_each_class(first_judge: Judge, split: TrainingSplit) -> None:
    watched = WatchedJudge(first_judge)
    score = validation_score(watched, split)
    (sample,) = (shown for shown in watched.shown if shown is not split.validation.images)
    label_of = {image.tobytes(): int(label) for image, label in zip(split.training.images, split.training.labels, strict=True)}
    labels = [label_of[image.tobytes()] for image in sample]  # each of them is a training digit
    assert len({image.tobytes() for image in sample}) == VALIDATION
    assert np.array_equal(np.bincount(labels, minlength=10), np.bincount(split.validation.labels, minlength=10))
    validation = first_judge.assess(split.validation.images).features
    assert score.floor == pytest.approx(frechet_distance(first_judge.assess(sample).features, validation))
    assert score.of(sample) == pytest.approx(1)
