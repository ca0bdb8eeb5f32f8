"""Grids and integer weights: what is exact, what is rounded and by how much, and what can never saturate."""

import numpy as np
import pytest
import torch
from lively_generators import POCKET_LATENT_SIZE, lively_generator, lively_pocket
from torch import nn

from pocketgan.latents import LATENT_STEP, latents
from pocketgan_trainer.export import quantization
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.layers import (
    Array,
    ClassInput,
    Convolution,
    Dense,
    GreyLevels,
    LeakyRelu,
    PixelShuffle,
    Relu,
    Tanh,
    ToImage,
)
from pocketgan_trainer.export.quantization import (
    LATENT_GRID,
    LOGIT_GRID,
    PIXEL_GRID,
    Grid,
    best_grid,
    calibrate,
    integer_weights,
)

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


def pixels(
    doubled_logits: Array,
) -> Array:
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


@pytest.mark.parametrize("shape", [(10, 100), (6, 3, 2, 2)])
def test_weights_fill_seven_bits_in_every_channel(random: np.random.Generator, shape: tuple[int, ...]) -> None:
    weight = random.normal(size=shape) * np.logspace(-6, 6, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    integers = integer_weights(weight, np.zeros(shape[0]), LATENT_GRID)
    assert integers.values.dtype == np.int8
    assert integers.values.shape == shape
    largest = np.abs(integers.values.astype(int)).reshape(shape[0], -1).max(axis=1)
    np.testing.assert_array_equal(largest, 63)


def test_weights_are_rounded_by_at_most_half_a_step(random: np.random.Generator) -> None:
    weight = random.normal(size=(10, 100))
    integers = integer_weights(weight, np.zeros(10), LATENT_GRID)
    scales = integers.scales.astype(np.float64)[:, None]
    assert integers.scales.dtype == np.float32
    assert (np.abs(integers.values * scales - weight) <= scales / 2 * (1 + 1e-6)).all()


def test_no_pair_of_products_can_saturate_sixteen_bits(random: np.random.Generator) -> None:
    weight = np.sign(random.normal(size=(10, 100))) * random.choice([1.0, 0.999, 1e-3], size=(10, 100))
    values = integer_weights(weight, np.zeros(10), LATENT_GRID).values.astype(int)
    # The AVX2 kernel's sum of two products of a uint8 and a weight, at its largest; any two weights may be neighbours.
    largest_two = np.sort(np.abs(values), axis=1)[:, -2:].sum(axis=1)
    assert (255 * largest_two <= np.iinfo(np.int16).max).all()
    assert 255 * largest_two.max() > 0.9 * np.iinfo(np.int16).max  # and nothing is wasted


def test_outputs_that_share_a_channel_share_its_scale(random: np.random.Generator) -> None:
    weight, bias = random.normal(size=(12, 5)) * np.tile([1.0, 10.0, 100.0], 4)[:, None], random.normal(size=12)
    integers = integer_weights(weight, bias, LATENT_GRID, channels=3)
    assert integers.scales.shape == (3,)
    largest = np.abs(integers.values.astype(int)).max(axis=1).reshape(4, 3)
    np.testing.assert_array_equal(largest.max(axis=0), 63)  # of a channel's four outputs, one
    assert (largest.min(axis=0) < 63).all()
    scales = np.tile(integers.scales.astype(np.float64), 4)
    assert (np.abs(integers.values * scales[:, None] - weight) <= scales[:, None] / 2 * (1 + 1e-6)).all()
    units = scales * LATENT_GRID.scale
    assert (np.abs(integers.bias * units - bias) <= units / 2 * (1 + 1e-6)).all()


def test_bias_is_in_units_of_input_scale_times_weight_scale(random: np.random.Generator) -> None:
    weight, bias, grid = random.normal(size=(10, 100)), random.normal(size=10), Grid(0.0123, 40)
    integers = integer_weights(weight, bias, grid)
    unit = integers.scales.astype(np.float64) * grid.scale
    assert integers.bias.dtype == np.int32
    assert (np.abs(integers.bias * unit - bias) <= unit / 2 * (1 + 1e-9)).all()


def test_a_channel_of_zeros_stays_zero_and_keeps_its_bias() -> None:
    weight = np.array([[0.0, 0.0], [1.0, -1.0]])
    integers = integer_weights(weight, np.array([0.5, 0.5]), LATENT_GRID)
    np.testing.assert_array_equal(integers.values, [[0, 0], [63, -63]])
    assert np.isfinite(integers.scales).all()
    assert (integers.scales > 0).all()
    unit = integers.scales.astype(np.float64) * LATENT_GRID.scale
    np.testing.assert_allclose(integers.bias * unit, 0.5, rtol=1e-3)


@pytest.mark.parametrize("largest", [1e-3, 1e-9, 1e-12, 1e-30, 1e-45, 1e-300])
def test_a_channel_of_nearly_zeros_keeps_its_bias_too(largest: float) -> None:
    integers = integer_weights(np.array([[largest, 0.0]]), np.array([0.5]), LATENT_GRID)
    unit = integers.scales.astype(np.float64) * LATENT_GRID.scale
    np.testing.assert_allclose(integers.bias * unit, 0.5, rtol=1e-3)
    assert abs(int(integers.bias[0])) < 2**31 - 100 * 255 * 63  # products are added to it


def test_a_channel_of_nothing_at_all_has_a_scale_nevertheless() -> None:
    for weight in (0.0, 1e-300):
        integers = integer_weights(np.array([[weight]]), np.zeros(1), LATENT_GRID)
        assert (integers.values.item(), integers.bias.item(), integers.scales.item()) == (0, 0, 1)


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


@pytest.fixture
def few_calibration_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calibrate on 32 images instead of 512."""
    monkeypatch.setattr(quantization, "CALIBRATION_IMAGES", 32)


@pytest.mark.parametrize("preset", ["dcgan", "mlp"])
@pytest.mark.usefixtures("few_calibration_images")
def test_calibration_gives_each_layer_the_grid_of_its_kind(preset: str) -> None:
    layers = fold(lively_generator(preset))
    grids = calibrate(layers, 100)
    for position, (layer, grid) in enumerate(zip(layers, grids, strict=True)):
        if isinstance(layer, Tanh):
            assert grid == PIXEL_GRID
            assert grids[position - 1] == LOGIT_GRID
        elif isinstance(layer, ToImage):
            assert grid is None
        else:
            assert grid is not None
            assert grid.scale > 0


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.LeakyReLU(0.2)], ids=str)
@pytest.mark.usefixtures("few_calibration_images")
def test_calibration_of_a_pocket_generator_stores_relus_from_zero_and_the_pixel_last(activation: nn.Module) -> None:
    layers = fold(lively_pocket(activation=activation))
    grids = calibrate(layers, POCKET_LATENT_SIZE)
    assert grids[0] == LATENT_GRID
    (*_, last_convolution, grey_levels) = grids
    assert (last_convolution, grey_levels) == (PIXEL_GRID, None)
    for position, (layer, grid) in enumerate(zip(layers[:-2], grids, strict=False)):
        if isinstance(layer, ToImage | PixelShuffle | Relu):
            assert grid is None
        elif isinstance(layer, Dense | Convolution):
            assert grid is not None
            assert (grid.zero_point == 0) == isinstance(activation, nn.ReLU), position


@pytest.mark.usefixtures("few_calibration_images")
def test_the_range_before_a_relu_is_that_of_its_positive_values() -> None:
    dense = Dense(np.diag([1.0, 100.0]), np.array([0.0, -400.0]))  # the second is always negative
    grid, of_relu = calibrate([dense, Relu()], 2)
    assert of_relu is None
    assert grid is not None
    assert grid.zero_point == 0
    assert 1 < 255 * grid.scale < 4


@pytest.mark.usefixtures("few_calibration_images")
def test_calibration_sees_all_classes() -> None:
    # Each class puts out its own number; the latent counts for nothing.
    weight = np.hstack([np.zeros((1, 4)), np.arange(1.0, 11.0)[None] / 2])
    _, grid, *_ = calibrate([ClassInput(10, 2.0), Dense(weight, np.zeros(1)), ToImage(1, 1, 1), Relu(), GreyLevels()], 4)
    assert grid is not None
    assert 255 * grid.scale == pytest.approx(10.0, rel=1e-3)


@pytest.mark.usefixtures("few_calibration_images")
def test_calibration_covers_what_the_layers_put_out() -> None:
    weight = np.random.default_rng(1).normal(size=(20, 100))
    dense, grid_of_relu = Dense(weight, np.full(20, 3.0)), LeakyRelu(0.2)
    first, second = calibrate([dense, grid_of_relu], 100)
    assert first is not None
    assert second is not None
    outputs = latents(7, 0, 500, 100) @ weight.T + 3
    for grid, values in ((first, outputs), (second, np.where(outputs > 0, outputs, 0.2 * outputs))):
        low, high = grid.load(np.array([0, 255], dtype=np.uint8))
        inside = (values >= low) & (values <= high)
        assert inside.mean() > 0.99
        assert high - low < 2 * (values.max() - values.min())


@pytest.mark.usefixtures("few_calibration_images")
def test_calibration_is_the_same_every_time_and_leaves_the_random_state() -> None:
    layers, state = fold(lively_generator("mlp")), torch.get_rng_state()
    assert calibrate(layers, 100) == calibrate(layers, 100)
    assert torch.equal(torch.get_rng_state(), state)
