"""The Frechet ratio of a run: 1 for real digits, more for worse ones, and blind to nothing that matters."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from quick_evaluation import blurred

from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.data.split import TrainingSplit
from pocketgan_trainer.evaluate import frechet_ratio as module
from pocketgan_trainer.evaluate.distances import frechet_distance
from pocketgan_trainer.evaluate.frechet_ratio import FrechetRatio, frechet_ratio
from pocketgan_trainer.evaluate.judge import Assessment, Judge

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
def ratio(first_judge: Judge, split: TrainingSplit) -> FrechetRatio:
    """The ratio for the split."""
    return frechet_ratio(first_judge, split)


def in_proportion(split: TrainingSplit) -> NDArray[np.uint8]:
    """Return the first training digits of each class, as many as there are among the validation digits."""
    training, counts = split.training, np.bincount(split.validation.labels, minlength=10)
    return np.concatenate([training.images[training.labels == digit][:count] for digit, count in enumerate(counts)])


def test_real_digits_of_the_same_classes_score_about_one(ratio: FrechetRatio, split: TrainingSplit) -> None:
    assert 0.7 < ratio.of(in_proportion(split)) < 1.4


def test_real_digits_in_other_proportions_score_worse(ratio: FrechetRatio, split: TrainingSplit) -> None:
    assert ratio.of(split.training.images[np.argsort(split.training.labels)[: 2 * VALIDATION]]) > 5


@pytest.mark.parametrize(
    "damage",
    [
        blurred,
        lambda images: images[np.arange(len(images)) // 10 * 10],
        lambda images: images[:, :, ::-1],
    ],
    ids=["blurred", "each ten times", "mirrored"],
)
def test_damaged_digits_score_worse(ratio: FrechetRatio, split: TrainingSplit, damage: Damage) -> None:
    assert ratio.of(damage(in_proportion(split))) > 2


def test_labels_are_those_of_the_validation_digits(ratio: FrechetRatio, split: TrainingSplit) -> None:
    assert ratio.labels.dtype == np.int64
    assert np.array_equal(ratio.labels, split.validation.labels)


class WatchedJudge(Judge):
    """The judge, and what it was shown."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.shown: list[NDArray[np.uint8]] = []

    def assess(self, images: NDArray[np.uint8]) -> Assessment:
        """Keep the images and judge them."""
        self.shown.append(images)
        return self._judge.assess(images)


@pytest.mark.parametrize("most", [600, 20_000])
def test_both_sets_are_of_different_training_digits_in_the_classes_proportions(
    first_judge: Judge, split: TrainingSplit, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(module, "REFERENCE_IMAGES", most)
    watched, training = WatchedJudge(first_judge), split.training
    ratio = frechet_ratio(watched, split)
    reference, sample = watched.shown
    label_of = {image.tobytes(): int(label) for image, label in zip(training.images, training.labels, strict=True)}
    assert len(reference) == min(most, len(training) - VALIDATION)
    assert len({image.tobytes() for part in watched.shown for image in part}) == len(reference) + VALIDATION
    wanted = np.bincount(split.validation.labels, minlength=10)
    assert np.array_equal(np.bincount([label_of[image.tobytes()] for image in sample], minlength=10), wanted)
    labels = np.array([label_of[image.tobytes()] for image in reference])
    features = first_judge.assess(reference).features
    expected = sum(share * features[labels == digit].mean(axis=0) for digit, share in enumerate(wanted / VALIDATION))
    assert ratio.mean == pytest.approx(expected, abs=1e-4)
    assert ratio.of(sample) == pytest.approx(1)


def test_as_many_of_each_class_are_an_ordinary_frechet_distance(first_judge: Judge, digits: Digits) -> None:
    rows = np.concatenate([np.flatnonzero(digits.labels == digit)[:120] for digit in range(10)])
    equal = Digits(digits.images[rows], digits.labels[rows])
    few = Digits(digits.images[rows[::6]], digits.labels[rows[::6]])
    watched = WatchedJudge(first_judge)
    ratio = frechet_ratio(watched, TrainingSplit(equal, few))
    reference, sample = (first_judge.assess(images).features for images in watched.shown)
    assert ratio.floor == pytest.approx(frechet_distance(sample, reference), rel=1e-6)


def test_a_class_without_other_training_images_leaves_a_ratio(first_judge: Judge, split: TrainingSplit) -> None:
    training, validation = split.training, split.validation
    rare = int((validation.labels == 7).sum())
    kept = np.concatenate([np.flatnonzero(training.labels != 7), np.flatnonzero(training.labels == 7)[:rare]])
    ratio = frechet_ratio(first_judge, TrainingSplit(Digits(training.images[kept], training.labels[kept]), validation))
    assert ratio.of(in_proportion(split)) == pytest.approx(1, abs=0.3)
