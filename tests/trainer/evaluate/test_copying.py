"""A generator that copies is found and real digits pass; C_T against slow code and known answers."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketgan_trainer.data.published import load_mnist
from pocketgan_trainer.errors import DataError
from pocketgan_trainer.evaluate.copying import (
    HeldOut,
    Memorization,
    assign_cells,
    copying_score,
    find_centers,
    mann_whitney_z,
    measure_held_out,
    memorization,
    resampled_ratios,
)

Features = NDArray[np.float32]

COUNT = 1500


@pytest.fixture(scope="module")
def features() -> Features:
    """7,500 training digits of MNIST as 7x7 thumbnails, float32 [7500, 49], pixels from 0 to 1."""
    images = load_mnist().images[:7500].astype(np.float32) / 255
    return images.reshape(-1, 7, 4, 7, 4).mean(axis=(2, 4)).reshape(-1, 49)


@pytest.fixture(scope="module")
def training(features: Features) -> Features:
    return features[: -2 * COUNT]


@pytest.fixture(scope="module")
def held_out(features: Features) -> HeldOut:
    return measure_held_out(features[: -2 * COUNT], features[-COUNT:])


@pytest.fixture(scope="module")
def others(features: Features) -> Features:
    """More real digits that are neither trained on nor held out: what a perfect generator would draw."""
    return features[-2 * COUNT : -COUNT]


@pytest.fixture(scope="module")
def of_real_digits(held_out: HeldOut, others: Features) -> Memorization:
    return memorization(others, held_out)


def is_copied(found: Memorization) -> bool:
    """Return whether either ratio lies below its band."""
    return found.nearest_ratio_median < found.band_median[0] or found.nearest_ratio_low < found.band_low[0]


def noisy(features: Features, deviation: float) -> Features:
    return (features + deviation * np.random.default_rng(0).normal(size=features.shape)).astype(np.float32)


def test_real_digits_pass(of_real_digits: Memorization) -> None:
    assert not is_copied(of_real_digits)
    assert of_real_digits.nearest_ratio_median == pytest.approx(1, abs=0.05)
    assert abs(of_real_digits.copying_score) < 3
    assert of_real_digits.copying_band[0] < of_real_digits.copying_score < of_real_digits.copying_band[1]


def test_the_bands_hold_one_and_are_narrow(of_real_digits: Memorization) -> None:
    for low, high in (of_real_digits.band_median, of_real_digits.band_low):
        assert 0.8 < low < 1 < high < 1.25
    assert np.diff(of_real_digits.band_low) > np.diff(of_real_digits.band_median)


def test_a_copy_cat_is_found(training: Features, held_out: HeldOut) -> None:
    copied = memorization(noisy(training[:COUNT], 0.01), held_out)
    assert copied.copying_score < -3
    assert copied.copying_score < copied.copying_band[0]
    assert copied.nearest_ratio_median < 0.5
    assert copied.nearest_ratio_low < 0.7
    assert is_copied(copied)


def test_a_few_copies_among_honest_digits_are_found(training: Features, held_out: HeldOut, others: Features) -> None:
    mixed = others.copy()
    mixed[:45] = noisy(training[:45], 0.01)  # 3 %
    found = memorization(mixed, held_out)
    assert found.nearest_ratio_median >= found.band_median[0]
    assert found.nearest_ratio_low < found.band_low[0]
    assert is_copied(found)


def test_digits_far_from_the_training_set_are_no_copies(training: Features, held_out: HeldOut, others: Features) -> None:
    far = memorization(noisy(others, 0.2), held_out)
    assert far.nearest_ratio_median > far.band_median[1]
    assert far.nearest_ratio_low > far.band_low[1]
    assert far.copying_score > 3
    assert not is_copied(far)


def test_closest_pairs_are_generated_and_training_images(training: Features, held_out: HeldOut, others: Features) -> None:
    generated = others.copy()
    for rank, (index, copied) in enumerate([(700, 42), (3, 4000), (1200, 7)]):
        generated[index] = training[copied] + np.float32(0.001 * rank)
    pairs = memorization(generated, held_out).closest_pairs
    assert pairs.shape == (20, 2)
    assert pairs[:3].tolist() == [[700, 42], [3, 4000], [1200, 7]]
    distances = np.linalg.norm(generated[pairs[:, 0]] - training[pairs[:, 1]], axis=1)
    assert (np.diff(distances) >= 0).all()
    assert distances[0] == 0


def test_one_seed_gives_one_band(held_out: HeldOut, others: Features) -> None:
    first, again, other = (memorization(others[:500], held_out, seed=seed) for seed in (5, 5, 6))
    assert (first.band_median, first.band_low) == (again.band_median, again.band_low)
    assert first.band_median != other.band_median
    assert first.nearest_ratio_median == other.nearest_ratio_median
    assert first.copying_score == other.copying_score


def test_one_seed_gives_the_same_cells(features: Features) -> None:
    first, again, other = (measure_held_out(features[:1000], features[-500:], seed) for seed in (5, 5, 6))
    assert np.array_equal(first.centers, again.centers)
    assert not np.array_equal(first.centers, other.centers)


def test_held_out_digits_that_were_trained_on_are_an_error(training: Features) -> None:
    with pytest.raises(DataError, match="1500 of 1500 held-out images are training images"):
        measure_held_out(training, training[:COUNT])


def test_resampled_ratios_scatter_like_those_of_fresh_sets_of_the_same_sizes() -> None:
    # Medians of N normal values scatter by 1.2533 / sqrt(N) of their deviation; their ratio by both together.
    held_out = (10 + np.random.default_rng(0).normal(size=4000)).astype(np.float32)
    scattered = resampled_ratios(held_out, 1000, seed=0).std(axis=0)
    assert scattered[0] == pytest.approx(1.2533 / 10 * np.sqrt(1 / 1000 + 1 / 4000), rel=0.15)
    assert scattered[1] > 2 * scattered[0]


def random_values(count: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random(count).astype(np.float32)


def one_cell(count: int) -> NDArray[np.int64]:
    return np.zeros(count, dtype=np.int64)


def z_by_pairs(first: list[float], second: list[float]) -> float:
    """Return the Z-score from all pairs and, for the variance, from all values' ranks."""
    wins = sum((a > b) + (a == b) / 2 for a in first for b in second)
    excess = wins - len(first) * len(second) / 2
    excess = math.copysign(max(abs(excess) - 0.5, 0), excess)
    values = first + second
    ranks = [sum(other < value for other in values) + sum(other == value for other in values) / 2 for value in values]
    # The sum of the first sample's ranks, drawn without replacement from all ranks, has this variance.
    mean = sum(ranks) / len(ranks)
    spread = sum((rank - mean) ** 2 for rank in ranks) / (len(ranks) - 1)
    return excess / math.sqrt(len(first) * len(second) / len(values) * spread)


@pytest.mark.parametrize("levels", [1000, 5])
def test_z_equals_the_count_of_pairs(levels: int) -> None:
    random = np.random.default_rng(levels)
    first, second = random.integers(0, levels, 30), random.integers(0, levels, 45) + levels // 5
    expected = z_by_pairs(first.tolist(), second.tolist())
    assert mann_whitney_z(first.astype(np.float32), second.astype(np.float32)) == pytest.approx(expected, rel=1e-9)


def test_z_of_equal_values_is_zero() -> None:
    assert mann_whitney_z(np.ones(5, np.float32), np.ones(7, np.float32)) == 0


def test_cells_weigh_as_many_held_out_images_as_they_hold() -> None:
    generated, generated_cells = random_values(200, 0), np.repeat([0, 1], 100)
    held_out, held_out_cells = random_values(400, 1), np.repeat([0, 1], [300, 100])
    scores = [mann_whitney_z(generated[generated_cells == cell], held_out[held_out_cells == cell]) for cell in (0, 1)]
    copying = copying_score(generated, generated_cells, held_out, held_out_cells)
    assert copying.score == pytest.approx(0.75 * scores[0] + 0.25 * scores[1])
    assert copying.deviation == pytest.approx(math.hypot(0.75, 0.25))


@pytest.mark.parametrize(("generated_there", "counts"), [(19, False), (20, True)])
def test_cells_with_few_generated_images_do_not_count(generated_there: int, counts: bool) -> None:
    generated = np.concatenate([random_values(100, 0), np.zeros(generated_there, np.float32)])
    cells = np.repeat([0, 1], [100, generated_there])
    held_out, held_out_cells = 1 + random_values(200, 1), np.repeat([0, 1], 100)
    copying = copying_score(generated, cells, held_out, held_out_cells)
    only_first = mann_whitney_z(generated[:100], held_out[:100])
    assert (copying.score == pytest.approx(only_first)) == (not counts)
    assert copying.deviation == pytest.approx(math.sqrt(0.5) if counts else 1)


def test_too_few_generated_images_for_any_cell_are_an_error() -> None:
    with pytest.raises(DataError, match="no cell holds 20 of the 19 generated images"):
        copying_score(random_values(19, 0), one_cell(19), random_values(50, 1), one_cell(50))


def test_cells_are_those_of_the_nearest_centres() -> None:
    random = np.random.default_rng(0)
    features, centers = random.normal(size=(200, 5)).astype(np.float32), random.normal(size=(7, 5)).astype(np.float32)
    expected = [min(range(7), key=lambda cell: math.dist(feature, centers[cell])) for feature in features]
    assert assign_cells(features, centers).tolist() == expected


def test_clear_clusters_are_found() -> None:
    random = np.random.default_rng(0)
    truth = np.repeat(np.arange(6), 40)
    features = (20 * np.eye(6)[truth] + random.normal(size=(240, 6))).astype(np.float32)
    cells = assign_cells(features, find_centers(features, 6, seed=0))
    assert len(set(zip(truth.tolist(), cells.tolist(), strict=True))) == 6
    assert len(set(cells.tolist())) == 6


def test_centres_are_the_means_of_their_cells() -> None:
    features = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
    centers = find_centers(features, 5, seed=0)
    cells = assign_cells(features, centers)
    np.testing.assert_allclose(centers, [features[cells == cell].mean(axis=0) for cell in range(5)], atol=1e-5)


def test_fewer_different_points_than_cells_leave_cells_empty() -> None:
    features = np.repeat(np.eye(3, dtype=np.float32), 10, axis=0)
    centers = find_centers(features, 5, seed=0)
    assert np.isfinite(centers).all()
    np.testing.assert_allclose(centers[assign_cells(features, centers)], features)
