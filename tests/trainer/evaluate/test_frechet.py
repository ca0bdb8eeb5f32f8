"""The Frechet distance against closed forms, and its floor against simulation."""

import numpy as np
import pytest
from expected_floor import expected_floor
from numpy.typing import NDArray

from pocketgan.latents import latents
from pocketgan_trainer.evaluate.distances import distance_of_gaussians, frechet_distance


def gaussian(seed: int, rows: int, spectrum: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return normal features with these variances."""
    drawn = np.random.default_rng(seed).standard_normal((rows, len(spectrum))) * np.sqrt(spectrum)
    return drawn.astype(np.float32)


def test_one_feature_has_the_unbiased_variance() -> None:
    one, other = np.array([[0.0], [2.0]], np.float32), np.array([[0.0], [0.0]], np.float32)
    # Means 1 and 0; variances 2, by N - 1, and 0.
    assert frechet_distance(one, other) == pytest.approx(1 + 2, rel=1e-12)


def test_distance_of_correlated_gaussians_has_a_closed_form_in_two_dimensions() -> None:
    covariance, other = np.array([[2.0, 0.6], [0.6, 1.0]]), np.array([[1.0, -0.7], [-0.7, 3.0]])
    # The trace of the root of a 2x2 matrix M with positive eigenvalues is sqrt(tr M + 2 sqrt(det M)).
    product = covariance @ other
    cross = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
    expected = np.trace(covariance) + np.trace(other) - 2 * cross + 5
    found = distance_of_gaussians(np.zeros(2), covariance, np.array([1.0, 2.0]), other)
    assert found == pytest.approx(expected, rel=1e-12)


def test_a_set_is_at_no_distance_from_itself() -> None:
    features = gaussian(0, 500, np.linspace(0, 2, 20))
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(features, features[::-1]) == pytest.approx(0, abs=1e-6)


def test_distance_does_not_suffer_from_features_far_from_zero() -> None:
    # In steps of 1/32, to which 1024 can be added without rounding.
    one, other = latents(0, 0, 3000, 8), latents(1, 0, 3000, 8)
    far = frechet_distance(one + np.float32(1024), other + np.float32(1024))
    assert far == pytest.approx(frechet_distance(one, other), rel=1e-6)


@pytest.mark.parametrize(
    ("spectrum", "tolerance"), [(np.ones(16), 0.04), (1 / np.arange(1, 17), 0.1)], ids=["equal", "falling as 1/i"]
)
def test_floor_is_what_two_samples_of_one_gaussian_score_on_average(spectrum: NDArray[np.float64], tolerance: float) -> None:
    measured = [frechet_distance(gaussian(seed, 1000, spectrum), gaussian(seed + 99, 3000, spectrum)) for seed in range(40)]
    assert expected_floor(np.diag(spectrum), 1000, 3000) == pytest.approx(np.mean(measured), rel=tolerance)


def test_floor_of_equal_variances_has_a_closed_form() -> None:
    # The means give F l, the covariances F (F + 1) l / 4.
    floor = expected_floor(3 * np.eye(128), 10_000, 60_000)
    assert floor == pytest.approx((1 / 10_000 + 1 / 60_000) * 3 * (128 + 128 * 129 / 4), rel=1e-12)
    assert floor / 3 == pytest.approx(0.497, abs=5e-4)


def test_floor_does_not_depend_on_the_axes_nor_on_features_that_never_vary() -> None:
    spectrum = np.linspace(0.5, 3, 6)
    axes, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((8, 8)))
    turned = axes @ np.diag([*spectrum, 0, 0]) @ axes.T
    assert expected_floor(turned, 100, 200) == pytest.approx(expected_floor(np.diag(spectrum), 200, 100), rel=1e-9)


def test_distance_is_that_of_other_programs() -> None:
    one, other = latents(0, 0, 1000, 8), latents(1, 0, 1000, 8) * np.float32(1.25) + np.float32(0.25)
    # torch-fidelity 0.4.0 gives 1.06049149, torchmetrics 1.9.0 gives 1.0605, from the same features.
    assert frechet_distance(other, one) == pytest.approx(1.06049149, rel=1e-6)
