"""Histograms, divergences and accuracies of classes, by hand."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketgan_trainer.evaluate.figures import class_figures

UNIFORM = np.full(10, 0.1)


def sure_of(labels: list[int]) -> NDArray[np.float32]:
    """Return probabilities of a judge who is nearly sure of these digits."""
    return (0.01 + 0.9 * np.eye(10)[labels]).astype(np.float32)


def test_the_most_probable_digit_counts() -> None:
    figures = class_figures(sure_of([3, 3, 7, 0]), UNIFORM, None)
    assert figures.histogram == (1, 0, 0, 2, 0, 0, 0, 1, 0, 0)
    assert (figures.accuracy, figures.accuracy_of_class) == (None, None)


def test_divergence_is_zero_in_the_expected_proportions() -> None:
    expected = np.array([4, 3, 1, 0, 0, 0, 0, 0, 1, 1]) / 10
    assert class_figures(sure_of([0, 0, 0, 0, 1, 1, 1, 2, 8, 9]), expected, None).divergence == pytest.approx(0, abs=1e-15)


def test_divergence_of_one_class_and_of_a_missing_class_have_closed_forms() -> None:
    assert class_figures(sure_of([4] * 20), UNIFORM, None).divergence == pytest.approx(math.log(10))
    nine_classes = list(range(9)) * 5
    assert class_figures(sure_of(nine_classes), UNIFORM, None).divergence == pytest.approx(math.log(10 / 9))


def test_divergence_is_of_the_judged_from_the_expected_and_not_the_other_way() -> None:
    figures = class_figures(sure_of([0, 1, 1, 1]), np.array([0.5, 0.5, 0, 0, 0, 0, 0, 0, 0, 0]), None)
    assert figures.divergence == pytest.approx(0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5))


def test_a_digit_that_is_not_expected_at_all_is_infinitely_far() -> None:
    assert class_figures(sure_of([0, 1]), np.eye(10)[0], None).divergence == math.inf


def test_divergence_of_random_labels_is_the_documented_floor() -> None:
    stream = np.random.default_rng(0)
    drawn = [class_figures(sure_of(stream.integers(0, 10, 500).tolist()), UNIFORM, None).divergence for _ in range(400)]
    assert np.mean(drawn) == pytest.approx(9 / (2 * 500), rel=0.1)


@pytest.mark.parametrize("asked", [np.array([1, 1, 1, 1, 2, 2, 3], label_type) for label_type in (np.uint8, np.int64)])
def test_accuracy_is_the_share_of_those_asked_for(asked: NDArray[np.uint8] | NDArray[np.int64]) -> None:
    figures = class_figures(sure_of([1, 1, 1, 3, 2, 1, 3]), UNIFORM, asked)
    assert figures.accuracy == pytest.approx(5 / 7)
    assert figures.accuracy_of_class is not None
    np.testing.assert_allclose(figures.accuracy_of_class, [math.nan, 0.75, 0.5, 1, *[math.nan] * 6])
    assert figures.histogram == (0, 4, 1, 2, 0, 0, 0, 0, 0, 0)
