"""Generators with one fault each, made of real digits: the metric for that fault finds it.

All in the first judge's features, and measured against what real digits score.
"""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from expected_floor import expected_floor
from numpy.typing import NDArray

from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.evaluate.distances import (
    Manifold,
    ManifoldOverlap,
    compare_manifolds,
    estimate_manifold,
    frechet_distance,
    kernel_distance,
    nearest_neighbour_accuracy,
)
from pocketgan_trainer.evaluate.figures import accuracy, class_divergence
from pocketgan_trainer.evaluate.image_set import confusion_matrix
from pocketgan_trainer.evaluate.judge import Assessment, Judge

COUNT = 2_000


@dataclass(frozen=True, eq=False)
class RealDigits:
    """Real digits in two disjoint parts of COUNT, and what the second one scores against the first."""

    features: NDArray[np.float32]
    manifold: Manifold
    other_features: NDArray[np.float32]
    proportions: NDArray[np.float64]
    frechet: float
    kernel: float
    overlap: ManifoldOverlap


@pytest.fixture(scope="module")
def real(test_assessment: Assessment, test_digits: Digits) -> RealDigits:
    """Digits 0, 2, 4 ... and 1, 3, 5 ... of the first 2 COUNT test digits: neighbours in the file are of the same writer."""
    one, other = test_assessment.features[0 : 2 * COUNT : 2], test_assessment.features[1 : 2 * COUNT : 2]
    manifold = estimate_manifold(one)
    return RealDigits(
        features=one,
        manifold=manifold,
        other_features=other,
        proportions=np.bincount(test_digits.labels, minlength=10) / len(test_digits),
        frechet=frechet_distance(other, one),
        kernel=kernel_distance(other, one),
        overlap=compare_manifolds(manifold, estimate_manifold(other)),
    )


def divergence(assessment: Assessment, rows: NDArray[np.int64], real: RealDigits) -> float:
    """Return the divergence of the digits judged in these rows from real digits' proportions."""
    histogram = np.bincount(assessment.probabilities[rows].argmax(axis=1), minlength=10)
    return class_divergence(histogram.tolist(), real.proportions)


def test_real_digits_are_near_the_floor_of_all_metrics(real: RealDigits) -> None:
    covariance = np.cov(real.features, rowvar=False)
    assert real.frechet < 2 * expected_floor(covariance, COUNT, COUNT)
    assert real.frechet < 0.01 * np.trace(covariance)
    assert abs(real.kernel) < 0.01 * kernel_distance(real.features, np.zeros_like(real.features))
    assert real.overlap.coverage == pytest.approx(1 - 2**-5, abs=0.03)
    assert real.overlap.density == pytest.approx(1, abs=0.1)
    assert nearest_neighbour_accuracy(real.manifold, estimate_manifold(real.other_features)) == pytest.approx(0.5, abs=0.06)


def test_a_generator_of_one_class_loses_recall_and_coverage(
    real: RealDigits, test_assessment: Assessment, test_digits: Digits
) -> None:
    ones = np.flatnonzero(test_digits.labels[2 * COUNT :] == 1) + 2 * COUNT
    features = test_assessment.features[ones]
    figures = compare_manifolds(real.manifold, estimate_manifold(features))
    assert figures.recall < 0.3 * real.overlap.recall
    assert figures.coverage < 0.3 * real.overlap.coverage
    assert frechet_distance(features, real.features) > 50 * real.frechet
    assert divergence(test_assessment, ones, real) == pytest.approx(math.log(1 / real.proportions[1]), rel=0.02)


def test_a_missing_class_lowers_coverage_by_its_share_and_shows_in_the_divergence(
    real: RealDigits, test_assessment: Assessment, test_digits: Digits
) -> None:
    kept = np.flatnonzero(test_digits.labels[2 * COUNT :] != 4)[:COUNT] + 2 * COUNT
    features = test_assessment.features[kept]
    figures = compare_manifolds(real.manifold, estimate_manifold(features))
    assert 0.05 < real.overlap.coverage - figures.coverage < 0.15
    assert figures.recall < real.overlap.recall - 0.03
    assert frechet_distance(features, real.features) > 3 * real.frechet
    assert divergence(test_assessment, kept, real) == pytest.approx(math.log(1 / (1 - real.proportions[4])), rel=0.2)


def test_blurred_digits_lose_density_and_are_told_apart(real: RealDigits, first_judge: Judge, test_digits: Digits) -> None:
    pixels = test_digits.images[1 : 2 * COUNT : 2].astype(np.float64)
    for _ in range(3):
        pixels = (pixels + sum(np.roll(pixels, shift, axis) for shift in (-1, 1) for axis in (1, 2))) / 5
    features = first_judge.assess(np.rint(pixels).astype(np.uint8)).features
    figures = compare_manifolds(real.manifold, estimate_manifold(features))
    assert figures.density < 0.8 * real.overlap.density
    assert figures.coverage < real.overlap.coverage - 0.05
    assert frechet_distance(features, real.features) > 5 * real.frechet
    assert kernel_distance(features, real.features) > 5 * abs(real.kernel)
    assert nearest_neighbour_accuracy(real.manifold, estimate_manifold(features)) > 0.6


def test_repeated_digits_lose_coverage_and_recall(real: RealDigits) -> None:
    repeated = np.repeat(real.other_features[: COUNT // 20], 20, axis=0)
    figures = compare_manifolds(real.manifold, estimate_manifold(repeated))
    assert figures.precision > 0.9 * real.overlap.precision
    assert figures.coverage < 0.5 * real.overlap.coverage
    assert figures.recall < 0.1 * real.overlap.recall


def test_shuffled_labels_ruin_the_accuracy_and_leave_the_histogram(
    real: RealDigits, test_assessment: Assessment, test_digits: Digits
) -> None:
    asked, judged = test_digits.labels[:COUNT], test_assessment.probabilities[:COUNT].argmax(axis=1)
    assert accuracy(confusion_matrix(asked, judged)) > 0.99
    wrong = confusion_matrix(np.random.default_rng(0).permutation(asked), judged)
    assert accuracy(wrong) == pytest.approx((real.proportions**2).sum(), abs=0.03)
    np.testing.assert_array_equal(wrong.sum(axis=0), np.bincount(judged, minlength=10))
