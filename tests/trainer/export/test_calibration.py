"""Quantization loses at most half a step, and calibration gives each layer's output the range that it needs."""

import numpy as np
import pytest
import torch
from lively_generators import POCKET_LATENT_SIZE, lively_generator, lively_pocket
from torch import nn

from pocketgan.latents import LATENT_STEP, latents
from pocketgan_trainer.export import calibration
from pocketgan_trainer.export.calibration import (
    LATENT_QUANTIZATION,
    LOGIT_QUANTIZATION,
    PIXEL_QUANTIZATION,
    Quantization,
    best_quantization,
    calibrate,
)
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.layers import (
    Array,
    ClassInput,
    Dense,
    GreyLevels,
    Relu,
    ToImage,
)

ALL_INTEGERS = np.arange(256, dtype=np.uint8)
ENDS = np.array([0, 255], dtype=np.uint8)


@pytest.mark.parametrize(
    "quantization", [Quantization(0.1, 0), Quantization(0.1, 255), Quantization(0.013, 77), LATENT_QUANTIZATION], ids=str
)
def test_integers_come_back_and_numbers_lose_at_most_half_a_step(quantization: Quantization) -> None:
    np.testing.assert_array_equal(quantization.quantize(quantization.dequantize(ALL_INTEGERS)), ALL_INTEGERS)
    low, high = quantization.dequantize(ENDS)
    values = np.linspace(low, high, 10_001)
    error = np.abs(quantization.dequantize(quantization.quantize(values)) - values)
    assert error.max() <= quantization.scale / 2 * (1 + 1e-9)
    # Padding with zeros must add nothing.
    assert quantization.dequantize(quantization.quantize(np.zeros(1)))[0] == 0


@pytest.mark.parametrize(
    ("quantization", "values", "stored"),
    [
        (Quantization(0.5, 10), [-500, -5.5, 123, 1000], [0, 0, 255, 255]),
        (Quantization(1.0, 100), [0.5, 1.5, 2.5, -0.5], [100, 102, 102, 100]),
        (PIXEL_QUANTIZATION, list(ALL_INTEGERS / 255), list(ALL_INTEGERS)),
    ],
    ids=["the nearest end of the range", "ties to even", "grey levels"],
)
def test_numbers_are_stored_as_in_onnx(quantization: Quantization, values: list[float], stored: list[int]) -> None:
    np.testing.assert_array_equal(quantization.quantize(np.array(values)), stored)


def test_latents_are_stored_exactly() -> None:
    latent = latents(seed=0, start=0, count=2000, size=100).astype(np.float64)
    assert (latent.min(), latent.max()) == (-127 * LATENT_STEP, 127 * LATENT_STEP)
    np.testing.assert_array_equal(LATENT_QUANTIZATION.dequantize(LATENT_QUANTIZATION.quantize(latent)), latent)


def pixels(doubled_logits: Array) -> Array:
    """Return 255 * sigmoid, rounded."""
    return np.rint(255 / (1 + np.exp(-doubled_logits)))


def test_the_range_of_logits_ends_where_pixels_become_black_or_white() -> None:
    low, high = LOGIT_QUANTIZATION.dequantize(ENDS)
    assert set(pixels(np.linspace(high, high + 30, 1000))) == {255}
    assert set(pixels(np.linspace(low - 30, low, 1000))) == {0}
    # Two steps further in there are grey levels; the integer below the lowest is not used.
    assert pixels(high - 2 * LOGIT_QUANTIZATION.scale) < 255
    assert pixels(low + 3 * LOGIT_QUANTIZATION.scale) > 0


def test_constant_scales_are_float32_numbers() -> None:
    # The file holds float32: another number would not be the one that was calibrated with.
    for quantization in (LATENT_QUANTIZATION, LOGIT_QUANTIZATION, PIXEL_QUANTIZATION):
        assert float(np.float32(quantization.scale)) == quantization.scale


@pytest.mark.parametrize(
    ("low", "high"), [(-1.0, 3.0), (0.5, 3.0), (-3.0, -0.5), (-1e-6, 1e-6), (0.0, 0.0), (-1e4, 1e5)], ids=str
)
def test_the_best_quantization_spans_the_values_and_zero(low: float, high: float) -> None:
    values = np.linspace(low, high, 1000)
    best = best_quantization(values)
    assert best.scale > 0
    assert 0 <= best.zero_point <= 255
    # Evenly spread values have no tails to cut off.
    step = (max(high, 0) - min(low, 0)) / 255
    assert np.abs(best.dequantize(best.quantize(values)) - values).max() <= 0.501 * step + 0.001 * (high - low)
    assert float(np.float32(best.scale)) == best.scale


def mean_square_error(quantization: Quantization, values: Array) -> float:
    """Return the mean square error of stored values."""
    return float(np.mean((quantization.dequantize(quantization.quantize(values)) - values) ** 2))


def of_whole_range(values: Array) -> Quantization:
    """Return the quantization that spans all values."""
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    scale = float(np.float32((high - low) / 255))
    return Quantization(scale, round(-low / scale))


def test_the_best_quantization_leaves_outliers_out_and_is_never_worse_than_the_whole_range() -> None:
    random = np.random.default_rng(0)
    values = np.concatenate([random.normal(size=1_000_000), [10.0, -10.0]])
    best, whole = best_quantization(values), of_whole_range(values)
    assert best.scale < whole.scale
    assert mean_square_error(best, values) < 0.5 * mean_square_error(whole, values)
    for values in (random.normal(size=5000), random.uniform(size=5000), random.exponential(size=5000), np.array([-3.0, 7.0])):
        error = mean_square_error(best_quantization(values), values)
        assert error <= mean_square_error(of_whole_range(values), values) * (1 + 1e-9)


@pytest.fixture(autouse=True)
def few_calibration_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calibrate on 32 images instead of 512."""
    monkeypatch.setattr(calibration, "CALIBRATION_IMAGES", 32)


ANY, FROM_ZERO = "any", "from zero"
CONVOLUTION = [FROM_ZERO, None]
LEAKY_CONVOLUTION = [ANY, ANY]


@pytest.mark.parametrize(
    ("generator", "expected"),
    [
        (lively_generator("mlp"), [ANY, ANY, ANY, ANY, LOGIT_QUANTIZATION, PIXEL_QUANTIZATION, None]),
        (
            lively_generator("narrow-dcgan"),
            [ANY, ANY, None, *LEAKY_CONVOLUTION * 2, LOGIT_QUANTIZATION, PIXEL_QUANTIZATION],
        ),
        (
            lively_pocket(),
            [LATENT_QUANTIZATION, FROM_ZERO, None, None, *[*CONVOLUTION, None] * 2, *CONVOLUTION, PIXEL_QUANTIZATION, None],
        ),
        (
            lively_pocket(activation=nn.LeakyReLU(0.2)),
            [LATENT_QUANTIZATION, ANY, None, ANY, *[*LEAKY_CONVOLUTION, None] * 2, *LEAKY_CONVOLUTION, PIXEL_QUANTIZATION, None],
        ),
    ],
    ids=["mlp", "narrow-dcgan", "pocket", "leaky-pocket"],
)
def test_each_layer_gets_the_quantization_of_its_kind(generator: nn.Module, expected: list[Quantization | str | None]) -> None:
    layers = fold(generator)
    found = calibrate(layers, POCKET_LATENT_SIZE if isinstance(layers[0], ClassInput) else 100)
    constants = (None, LATENT_QUANTIZATION, LOGIT_QUANTIZATION, PIXEL_QUANTIZATION)
    assert [one if one in constants else ANY if one.zero_point else FROM_ZERO for one in found] == expected


def test_the_range_before_a_relu_is_that_of_its_positive_values() -> None:
    dense = Dense(np.diag([1.0, 100.0]), np.array([0.0, -400.0]))  # the second is always negative
    quantization, of_relu = calibrate([dense, Relu()], 2)
    assert of_relu is None
    assert quantization is not None
    assert quantization.zero_point == 0
    assert 1 < 255 * quantization.scale < 4


def test_calibration_sees_all_classes() -> None:
    # The output is a number of the class; the latent does not matter.
    weight = np.hstack([np.zeros((1, 4)), np.arange(1.0, 11.0)[None] / 2])
    _, quantization, *_ = calibrate([ClassInput(10, 2.0), Dense(weight, np.zeros(1)), ToImage(1, 1, 1), Relu(), GreyLevels()], 4)
    assert quantization is not None
    assert 255 * quantization.scale == pytest.approx(10.0, rel=1e-3)


def test_calibration_is_the_same_every_time_and_leaves_the_random_state() -> None:
    layers, state = fold(lively_generator("mlp")), torch.get_rng_state()
    assert calibrate(layers, 100) == calibrate(layers, 100)
    assert torch.equal(torch.get_rng_state(), state)
