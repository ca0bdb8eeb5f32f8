"""The kernel distance against a slow loop, and that it is 0 on average for samples of one kind."""

from itertools import permutations, product

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketgan.latents import latents
from pocketgan_trainer.evaluate import distances as module
from pocketgan_trainer.evaluate.distances import kernel_distance


def slow_discrepancy(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the unbiased squared discrepancy of two sets, pair by pair."""

    def kernel(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
        return float((sum(float(x) * float(y) for x, y in zip(a, b, strict=True)) / len(a) + 1) ** 3)

    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    within = mean([kernel(a, b) for a, b in permutations(one, 2)]) + mean([kernel(a, b) for a, b in permutations(other, 2)])
    return within - 2 * mean([kernel(a, b) for a, b in product(one, other)])


def test_distance_of_small_sets_is_that_of_a_slow_loop() -> None:
    one, other = latents(0, 0, 12, 5), latents(1, 0, 12, 5) * np.float32(1.5) + 1
    assert kernel_distance(one, other) == pytest.approx(slow_discrepancy(one, other), rel=1e-9)
    assert kernel_distance(one, other) == pytest.approx(kernel_distance(other, one), rel=1e-9)


def test_large_sets_are_compared_by_random_subsets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SUBSETS", 3)
    monkeypatch.setattr(module, "SUBSET_SIZE", 8)
    one, other = latents(0, 0, 40, 4), latents(1, 0, 30, 4) + 1
    stream = np.random.default_rng(5)
    expected = [
        slow_discrepancy(one[stream.choice(40, 8, replace=False)], other[stream.choice(30, 8, replace=False)]) for _ in range(3)
    ]
    assert kernel_distance(one, other, seed=5) == pytest.approx(np.mean(expected), rel=1e-9)
    assert kernel_distance(one, other, seed=5) == kernel_distance(one, other, seed=5) != kernel_distance(one, other, seed=6)


def test_the_smaller_set_decides_how_large_the_subsets_are() -> None:
    one, other = latents(0, 0, 300, 4), latents(1, 0, 6, 4) + 3
    assert kernel_distance(one, other) > 10 * abs(kernel_distance(one, latents(2, 0, 300, 4)))


def test_samples_of_one_kind_score_zero_on_average_and_often_below(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SUBSETS", 1)
    scores = [kernel_distance(latents(2 * seed, 0, 60, 6), latents(2 * seed + 1, 0, 60, 6)) for seed in range(300)]
    standard_error = np.std(scores) / np.sqrt(len(scores))
    assert abs(np.mean(scores)) < 3 * standard_error
    # What the diagonal would add, were it kept: the mean of (x.x / F + 1)^3 - 1 over 60, twice, is far more than 3 errors.
    assert 6 * standard_error < 2 * 7 / 60
    assert 0.35 < np.mean(np.array(scores) < 0) < 0.75


def test_distance_is_that_of_other_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SUBSETS", 2)  # all alike: a subset is the whole set here
    one, other = latents(0, 0, 1000, 8), latents(1, 0, 1000, 8) * np.float32(1.25) + np.float32(0.25)
    # torch-fidelity 0.4.0 gives 0.41201009 in float32, torchmetrics 1.9.0 gives 0.4120, from the same features.
    assert kernel_distance(other, one) == pytest.approx(0.41201009, rel=1e-6)
