"""Figures of nearest neighbours: against slow, obvious code, and in which direction faults move them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketgan.latents import latents
from pocketgan_trainer.evaluate import distances
from pocketgan_trainer.evaluate.distances import (
    ManifoldOverlap,
    compare_manifolds,
    estimate_manifold,
    nearest_neighbour_accuracy,
    nearest_neighbours,
)


def distance(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the distance of two rows."""
    return float(np.sqrt(((one.astype(np.float64) - other) ** 2).sum()))


def mean(values: list[bool]) -> float:
    """Return the share of those that are true."""
    return sum(values) / len(values)


def slow_radius(rows: NDArray[np.float32], index: int, k: int) -> float:
    """Return the distance from a row to its k-th nearest other row."""
    return sorted(distance(rows[index], row) for other, row in enumerate(rows) if other != index)[k - 1]


def slow_overlap(real: NDArray[np.float32], generated: NDArray[np.float32]) -> ManifoldOverlap:
    """Return the four figures as their papers write them."""
    real3, real5 = ([slow_radius(real, index, k) for index in range(len(real))] for k in (3, 5))
    generated3 = [slow_radius(generated, index, 3) for index in range(len(generated))]
    return ManifoldOverlap(
        precision=mean([any(distance(g, r) <= ball for r, ball in zip(real, real3, strict=True)) for g in generated]),
        recall=mean([any(distance(r, g) <= ball for g, ball in zip(generated, generated3, strict=True)) for r in real]),
        density=sum(distance(g, r) < ball for g in generated for r, ball in zip(real, real5, strict=True)) / (5 * len(generated)),
        coverage=mean([any(distance(r, g) < ball for g in generated) for r, ball in zip(real, real5, strict=True)]),
    )


def slow_accuracy(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Return how often the nearest other row is of the same set, row by row."""
    rows, sets = np.concatenate([first, second]), [0] * len(first) + [1] * len(second)
    scores = []
    for index, row in enumerate(rows):
        others = [(distance(row, rows[other]), sets[other]) for other in range(len(rows)) if other != index]
        nearest = {kind: min(far for far, of in others if of == kind) for kind in (0, 1)}
        own, foreign = nearest[sets[index]], nearest[1 - sets[index]]
        scores.append(1.0 if own < foreign else 0.5 if own == foreign else 0.0)
    return float(np.mean(scores))


def compare(real: NDArray[np.float32], generated: NDArray[np.float32]) -> ManifoldOverlap:
    """Return how generated rows [N, F] lie among real rows [M, F]."""
    return compare_manifolds(estimate_manifold(real), estimate_manifold(generated))


def accuracy(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Return how often the nearest other row is of the same set."""
    return nearest_neighbour_accuracy(estimate_manifold(first), estimate_manifold(second))


def grid_rows(seed: int, rows: int, step: float) -> NDArray[np.float32]:
    """Return rows on a coarse grid, so that many are equal and many distances too."""
    return (np.round(latents(seed, 0, rows, 2) / step) * step).astype(np.float32)


@pytest.mark.parametrize("step", [1 / 32, 0.5], ids=["rows apart", "rows and distances that are equal"])
def test_figures_are_those_of_slow_code(step: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "_BLOCK_BYTES", 4 * 17 * 45)  # several blocks and a last one that is smaller
    real, generated = grid_rows(0, 60, step), grid_rows(1, 45, step) + np.float32(0.5)
    found, expected = compare(real, generated), slow_overlap(real, generated)
    for name in ("precision", "recall", "density", "coverage"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name)), name
    assert len({found.precision, found.recall, found.density, found.coverage}) == 4
    assert accuracy(real[:45], generated) == pytest.approx(slow_accuracy(real[:45], generated))


def test_figures_are_those_of_other_programs() -> None:
    real, generated = latents(0, 0, 1000, 8), latents(1, 0, 1000, 8) * np.float32(1.25) + np.float32(0.25)
    # prdc 0.2: precision and recall with nearest_k=3, density and coverage with 5; torch-fidelity 0.4.0: the same two first.
    expected = ManifoldOverlap(precision=0.681, recall=0.977, density=0.566, coverage=0.852)
    assert compare(real, generated) == expected


def test_copies_have_perfect_figures_and_an_accuracy_of_zero() -> None:
    real = latents(0, 0, 500, 8) * np.float32(0.37)  # the products of coordinates are not exact
    figures = compare(real, real.copy())
    assert (figures.precision, figures.recall, figures.coverage) == (1, 1, 1)
    assert accuracy(real, real.copy()) == 0


def test_rows_that_are_equal_in_both_sets_count_half() -> None:
    pairs = np.repeat(latents(0, 0, 50, 8), 2, axis=0)
    assert accuracy(pairs, pairs.copy()) == 0.5


def test_distances_do_not_suffer_from_features_far_from_zero() -> None:
    real, generated = latents(0, 0, 300, 8), latents(1, 0, 300, 8)
    far = compare(real + np.float32(1024), generated + np.float32(1024))
    assert far == compare(real, generated)


def test_sets_of_different_size_are_refused() -> None:
    with pytest.raises(ValueError, match="the sets have 10 and 11 rows; expected as many in both"):
        accuracy(latents(0, 0, 10, 4), latents(1, 0, 11, 4))


def test_the_search_finds_what_a_slow_one_finds(monkeypatch: pytest.MonkeyPatch, images: NDArray[np.uint8]) -> None:
    pixels: NDArray[np.float32] = images[:400, ::4, ::4].reshape(-1, 49).astype(np.float32) / np.float32(255)
    queries, references = pixels[:70], pixels[100:]
    monkeypatch.setattr(distances, "_BLOCK_BYTES", 4 * 300 * 32)  # blocks of 32, 32 and 6 queries
    found, indices = nearest_neighbours(queries, references)
    slow = np.linalg.norm(queries[:, None].astype(np.float64) - references[None], axis=2)
    assert found.dtype == np.float32
    assert indices.dtype == np.int64
    np.testing.assert_array_equal(indices, slow.argmin(axis=1))
    np.testing.assert_allclose(found, slow.min(axis=1), rtol=1e-5)


def test_the_distance_of_a_copy_is_exactly_zero() -> None:
    rows = latents(0, 0, 200, 8) * np.float32(0.37) + 100
    found, indices = nearest_neighbours(rows[50:60], rows)
    assert found.tolist() == [0] * 10
    assert indices.tolist() == list(range(50, 60))
