"""A generator that copies is found, real digits that nobody trained on pass, and the search finds what a slow one finds."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketgan_trainer.data.published import load_mnist
from pocketgan_trainer.errors import DataError
from pocketgan_trainer.evaluate import copying as module
from pocketgan_trainer.evaluate.copying import (
    HeldOut,
    Memorization,
    look_at_held_out,
    memorization,
    nearest_neighbours,
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
    return look_at_held_out(features[: -2 * COUNT], features[-COUNT:])


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
    first, again, other = (look_at_held_out(features[:1000], features[-500:], seed) for seed in (5, 5, 6))
    assert np.array_equal(first.centers, again.centers)
    assert not np.array_equal(first.centers, other.centers)


def test_held_out_digits_that_were_trained_on_are_an_error(training: Features) -> None:
    with pytest.raises(DataError, match="1500 of 1500 held-out images are training images"):
        look_at_held_out(training, training[:COUNT])


def test_the_search_finds_what_a_slow_one_finds(monkeypatch: pytest.MonkeyPatch, features: Features) -> None:
    queries, references = features[:70], features[100:400]
    monkeypatch.setattr(module, "_BLOCK_BYTES", 4 * 300 * 32)  # blocks of 32, 32 and 6 queries
    distances, indices = nearest_neighbours(queries, references)
    slow = np.linalg.norm(queries[:, None].astype(np.float64) - references[None], axis=2)
    np.testing.assert_array_equal(indices, slow.argmin(axis=1))
    np.testing.assert_allclose(distances, slow.min(axis=1), rtol=1e-5)


def test_resampled_ratios_scatter_like_those_of_fresh_sets_of_the_same_sizes() -> None:
    # Medians of N normal values scatter by 1.2533 / sqrt(N) of their deviation; their ratio by both together.
    held_out = (10 + np.random.default_rng(0).normal(size=4000)).astype(np.float32)
    scattered = resampled_ratios(held_out, 1000, seed=0).std(axis=0)
    assert scattered[0] == pytest.approx(1.2533 / 10 * np.sqrt(1 / 1000 + 1 / 4000), rel=0.15)
    assert scattered[1] > 2 * scattered[0]
