"""A whole evaluation in a few seconds: fewer digits, coarse judges, and networks that nobody trains."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketgan_trainer.data.published import Digits, load_mnist
from pocketgan_trainer.evaluate import copying, distances, evaluation, image_set
from pocketgan_trainer.evaluate.evaluation import Evaluation, EvaluationOptions, evaluate
from pocketgan_trainer.evaluate.judge import Assessment, Judge, JudgeName
from pocketgan_trainer.evaluate.sources import FixedSource, Source, open_source
from pocketgan_trainer.evaluate.spaces import Spaces, fit_pixel_space
from pocketgan_trainer.evaluate.two_samples import BUDGETS, DETECTORS, Detector

COUNT = 1_000
TRAINING_DIGITS = 2_000
REAL_SAMPLES = 2
OPTIONS = EvaluationOptions(count=COUNT, seeds=2, told_apart=True, cas=True, classifier_seeds=2)
TWO_SAMPLE_ACCURACY, REAL_TWO_SAMPLE_ACCURACY = 0.75, 0.5
"""What the first network, which nobody trains, would get with seed 0 and the largest budget; each further seed 0.01 more."""
SECOND_GAIN = 0.1
"""What the second network gets more."""
HALVED_LOSS = 0.03
"""What either network gets less for each half of the budget."""
GENERATED_ACCURACY, REAL_ACCURACY = 0.97, 0.99


class CoarseJudge(Judge):
    """Has the brightest pixel in each block of 4x4 or 7x7 as features, and judges by the digits' mean images."""

    def __init__(self, name: JudgeName, block: int, digits: Digits) -> None:
        self.name = name
        self._block = block
        self._means = np.stack([self._blocks(digits.images[digits.labels == label]).mean(axis=0) for label in range(10)])

    def assess(self, images: NDArray[np.uint8]) -> Assessment:
        """Return features and probabilities."""
        features = self._blocks(images)
        nearness = np.exp(-((features[:, None] - self._means) ** 2).sum(axis=2))
        return Assessment(features, (nearness / nearness.sum(axis=1, keepdims=True)).astype(np.float32))

    def _blocks(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        size = 28 // self._block
        brightest: NDArray[np.uint8] = images.reshape(len(images), size, self._block, size, self._block).max(axis=(2, 4))
        return brightest.reshape(len(images), -1).astype(np.float32) / np.float32(255)


@cache
def few_digits() -> tuple[Digits, Digits]:
    """Return a train split of 2,000 digits and the 5,000 of validation, and a test split of 1,500."""
    training, test = load_mnist(), load_mnist(split="test")
    # At random, because writers come one after the other, and two kinds of them in turn.
    chosen = np.random.default_rng(0).permutation(len(training) - 5_000)[:TRAINING_DIGITS]
    rows = np.concatenate([chosen, np.arange(len(training) - 5_000, len(training))])
    some = np.random.default_rng(0).permutation(len(test))[:1_500]
    return Digits(training.images[rows], training.labels[rows]), Digits(test.images[some], test.labels[some])


def coarse_spaces(training_images: NDArray[np.uint8]) -> Spaces:
    """Return spaces of coarse judges."""
    digits = few_digits()[0]
    return Spaces(CoarseJudge("first", 4, digits), CoarseJudge("second", 7, digits), fit_pixel_space(training_images, 40))


def blurred(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return images averaged with their four neighbours, twice."""
    values = images.astype(np.float64)
    for _ in range(2):
        values = (values + sum(np.roll(values, shift, axis) for shift in (-1, 1) for axis in (1, 2))) / 5
    return np.rint(values).astype(np.uint8)


def three_sources() -> list[Source]:
    """Return other real digits, the same blurred (both with classes), and the bundled mlp, which has none."""
    training = load_mnist()
    rows = np.random.default_rng(0).permutation(len(training) - 5_000)[TRAINING_DIGITS : TRAINING_DIGITS + 3_000]
    others, labels = training.images[rows], training.labels[rows].astype(np.int64)
    real, soft = FixedSource("other|digits.npz", others, labels, "0" * 64), FixedSource("blurred", blurred(others), labels)
    return [real, soft, open_source("mlp", threads=1)]


@contextmanager
def quick_measurements() -> Iterator[None]:
    """Replace what takes long while the block runs: judges, resampling, and the training of networks."""

    def two_sample_test(
        first: NDArray[np.uint8], second: NDArray[np.uint8], detector: Detector, budget: int, seed: int, tested: int = 5_000
    ) -> float:
        assert len(first) == len(second)
        largest = REAL_TWO_SAMPLE_ACCURACY if tested == evaluation.REAL_TWO_SAMPLE_TESTED else TWO_SAMPLE_ACCURACY
        change = SECOND_GAIN * DETECTORS.index(detector) - HALVED_LOSS * math.log2(BUDGETS[-1] / budget)
        return largest + change + seed / 100

    def classifier_accuracy(images: NDArray[np.uint8], labels: NDArray[np.int64], test: Digits, seed: int = 0) -> float:
        assert len(images) == len(labels)
        return (GENERATED_ACCURACY if len(images) == evaluation.CLASSIFIER_IMAGES else REAL_ACCURACY) + seed / 100

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_set, "open_spaces", coarse_spaces)
        patch.setattr(evaluation, "REAL_SAMPLES", REAL_SAMPLES)
        patch.setattr(distances, "SUBSETS", 2)
        patch.setattr(copying, "RESAMPLES", 100)
        patch.setattr(evaluation, "two_sample_test", two_sample_test)
        patch.setattr(evaluation, "classifier_accuracy", classifier_accuracy)
        patch.setattr(evaluation, "TWO_SAMPLE_IMAGES", 900)
        patch.setattr(evaluation, "REAL_TWO_SAMPLE_TESTED", 400)
        patch.setattr(evaluation, "CLASSIFIER_IMAGES", 1_200)
        yield


@cache
def quick_evaluation() -> Evaluation:
    """Return an evaluation of the three sources; computed once for all tests."""
    training, test = few_digits()
    with quick_measurements():
        return evaluate(three_sources(), OPTIONS, training, test, lambda words, work: None)
