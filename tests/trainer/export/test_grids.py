"""Grids: what is exact, what is rounded and by how much."""

import numpy as np
import pytest

from pocketgan.latents import LATENT_STEP, latents
from pocketgan_trainer.export.grids import LATENT_GRID, LOGIT_GRID, PIXEL_GRID, Grid, best_grid
from pocketgan_trainer.export.layers import Array

GRIDS = [Grid(0.1, 0), Grid(0.1, 255), Grid(0.013, 77), Grid(2.5, 128), LATENT_GRID, LOGIT_GRID, PIXEL_GRID]
ALL_INTEGERS = np.arange(256, dtype=np.uint8)


@pytest.fixture
def random() -> np.random.Generator:
    """Random numbers that are the same in every run."""
    return np.random.default_rng(0)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_every_integer_comes_back(grid: Grid) -> None:
    np.testing.assert_array_equal(grid.store(grid.load(ALL_INTEGERS)), ALL_INTEGERS)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_within_the_range_the_error_is_at_most_half_a_step(grid: Grid) -> None:
    low, high = grid.load(np.array([0, 255], dtype=np.uint8))
    values = np.linspace(low, high, 10_001)
    assert np.abs(grid.load(grid.store(values)) - values).max() <= grid.scale / 2 * (1 + 1e-9)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_beyond_the_range_the_nearest_end_is_stored(grid: Grid) -> None:
    low, high = grid.load(np.array([0, 255], dtype=np.uint8))
    values = np.array([low - 1000 * grid.scale, low - grid.scale, high + grid.scale, high + 1000 * grid.scale])
    np.testing.assert_array_equal(grid.store(values), [0, 0, 255, 255])


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_zero_is_exact(grid: Grid) -> None:
    # Padding with zeros must add nothing.
    assert grid.load(grid.store(np.zeros(1)))[0] == 0


def test_ties_go_to_the_even_integer_as_in_onnx() -> None:
    np.testing.assert_array_equal(Grid(1.0, 100).store(np.array([0.5, 1.5, 2.5, -0.5])), [100, 102, 102, 100])


def test_latents_are_stored_exactly() -> None:
    latent = latents(seed=0, start=0, count=2000, size=100).astype(np.float64)
    assert (latent.min(), latent.max()) == (-127 * LATENT_STEP, 127 * LATENT_STEP)
    np.testing.assert_array_equal(LATENT_GRID.load(LATENT_GRID.store(latent)), latent)


def pixels(doubled_logits: Array) -> Array:
    """Return 255 * sigmoid, rounded."""
    return np.rint(255 / (1 + np.exp(-doubled_logits)))


def test_logits_beyond_their_range_are_black_or_white_anyway() -> None:
    low, high = LOGIT_GRID.load(np.array([0, 255], dtype=np.uint8))
    assert set(pixels(np.linspace(high, high + 30, 1000))) == {255}
    assert set(pixels(np.linspace(low - 30, low, 1000))) == {0}


def test_the_range_of_logits_is_no_wider_than_that_needs() -> None:
    low, high = LOGIT_GRID.load(np.array([1, 255], dtype=np.uint8))
    # Two steps further in there are grey levels.
    assert pixels(np.array([high - 2 * LOGIT_GRID.scale]))[0] < 255
    assert pixels(np.array([low + 2 * LOGIT_GRID.scale]))[0] > 0


def test_a_logit_of_zero_is_a_medium_grey() -> None:
    assert pixels(LOGIT_GRID.load(np.array([128], dtype=np.uint8)))[0] in (127, 128)


def test_stored_pixels_are_the_grey_levels() -> None:
    np.testing.assert_array_equal(PIXEL_GRID.store(np.arange(256) / 255), ALL_INTEGERS)


def test_constant_scales_are_float32_numbers() -> None:
    # Else the file, which holds float32, would mean other numbers than those that were reckoned with.
    for grid in (LATENT_GRID, LOGIT_GRID, PIXEL_GRID):
        assert float(np.float32(grid.scale)) == grid.scale


@pytest.mark.parametrize(
    ("low", "high"), [(-1.0, 3.0), (0.5, 3.0), (-3.0, -0.5), (-1e-6, 1e-6), (0.0, 0.0), (-1e4, 1e5)], ids=str
)
def test_best_grid_spans_the_values_and_zero(low: float, high: float) -> None:
    values = np.linspace(low, high, 1000)
    grid = best_grid(values)
    assert grid.scale > 0
    assert 0 <= grid.zero_point <= 255
    # With evenly spread values there are no tails to cut off.
    step = (max(high, 0) - min(low, 0)) / 255
    assert np.abs(grid.load(grid.store(values)) - values).max() <= 0.501 * step + 0.001 * (high - low)
    assert float(np.float32(grid.scale)) == grid.scale


def mean_square_error(grid: Grid, values: Array) -> float:
    """Return what storing the values loses."""
    return float(np.mean((grid.load(grid.store(values)) - values) ** 2))


def min_max_grid(values: Array) -> Grid:
    """Return the grid that spans all values."""
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    scale = float(np.float32((high - low) / 255))
    return Grid(scale, round(-low / scale))


def test_best_grid_leaves_outliers_out(random: np.random.Generator) -> None:
    values = np.concatenate([random.normal(size=1_000_000), [10.0, -10.0]])
    grid = best_grid(values)
    assert grid.scale < min_max_grid(values).scale
    assert mean_square_error(grid, values) < 0.5 * mean_square_error(min_max_grid(values), values)


def test_best_grid_is_never_worse_than_the_whole_range(random: np.random.Generator) -> None:
    for values in (random.normal(size=5000), random.uniform(size=5000), random.exponential(size=5000), np.array([-3.0, 7.0])):
        assert mean_square_error(best_grid(values), values) <= mean_square_error(min_max_grid(values), values) * (1 + 1e-9)
