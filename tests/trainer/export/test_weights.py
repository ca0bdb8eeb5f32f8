"""Integer weights: the moments of their inputs, small errors, no neighbours that saturate, and a bias that fits."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pocketgan.latents import LATENT_STEP
from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.layers import Array
from pocketgan_trainer.export.weights import InputMoments, IntegerWeights, input_moments, integer_weights, largest_neighbour_sum


@pytest.fixture
def random() -> np.random.Generator:
    """Random numbers that are the same in every run."""
    return np.random.default_rng(0)


def independent(products: int) -> InputMoments:
    """Return the moments of exact inputs that are independent of each other, with mean 0 and variance 1."""
    zeros, ones = np.zeros(products), np.eye(products)
    return InputMoments(zeros, zeros, ones, ones)


def rounded(
    weight: Array, bias: Array | None = None, input_scale: float = LATENT_STEP, channels: int | None = None
) -> IntegerWeights:
    """Return weights that are rounded for independent inputs."""
    products = weight[0].size
    return integer_weights(weight, np.zeros(len(weight)) if bias is None else bias, input_scale, independent(products), channels)


def samples(values: NDArray[np.float64], kernel_size: int, before: int, after: int) -> NDArray[np.float64]:
    """Return the inputs of each product, sample by sample: for each position, the pixels under the kernel, channels last."""
    padded = np.pad(values, ((0, 0), (0, 0), (before, after), (before, after)))
    found = []
    for image in padded:
        for row in range(padded.shape[2] - kernel_size + 1):
            for column in range(padded.shape[3] - kernel_size + 1):
                window = image[:, row : row + kernel_size, column : column + kernel_size]
                found.append(window.transpose(1, 2, 0).ravel())
    return np.array(found)


@pytest.mark.parametrize(
    ("shape", "kernel_size", "pads"),
    [
        ((77, 5), 1, (0, 0)),
        ((40, 3, 4, 6), 1, (0, 0)),
        ((40, 3, 4, 6), 2, (1, 0)),
        ((40, 3, 4, 6), 3, (1, 2)),
    ],
)
def test_moments_are_numpys_of_features_or_of_the_pixels_under_the_kernel(
    random: np.random.Generator, shape: tuple[int, ...], kernel_size: int, pads: tuple[int, int]
) -> None:
    exact = random.normal(size=shape) + 1
    quantized = np.rint(exact * 4) / 4
    moments = input_moments(torch.from_numpy(quantized), torch.from_numpy(exact), kernel_size, pads)
    of_quantized, of_exact = (values if len(shape) == 2 else samples(values, kernel_size, *pads) for values in (quantized, exact))
    count = of_exact.shape[1]
    assert count == kernel_size**2 * shape[1]
    np.testing.assert_allclose(moments.quantized_mean, of_quantized.mean(axis=0))
    np.testing.assert_allclose(moments.exact_mean, of_exact.mean(axis=0))
    together = np.cov(np.hstack([of_quantized, of_exact]).T, bias=True)
    np.testing.assert_allclose(moments.covariance, together[:count, :count], atol=1e-12)
    np.testing.assert_allclose(moments.cross_covariance, together[count:, :count], atol=1e-12)


def neighbour_sums(values: NDArray[np.int8]) -> list[int]:
    """Return the sums of two neighbouring weights: a convolution goes through the pixels with their channels side by side."""
    if values.ndim == 2:
        values = values[:, :, None, None]
    _, inputs, height, width = values.shape
    places = [(channel, row, column) for row in range(height) for column in range(width) for channel in range(inputs)]
    return [int(kernel[one]) + int(kernel[other]) for kernel in values for one, other in pairwise(places)]


@pytest.mark.parametrize("shape", [(10, 100), (6, 4, 3, 3), (6, 3, 3, 3)])
def test_weights_lose_little_in_every_channel(random: np.random.Generator, shape: tuple[int, ...]) -> None:
    weight = random.normal(size=shape) * np.logspace(-6, 6, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    integers = rounded(weight)
    assert integers.values.dtype == np.int8
    assert integers.values.shape == shape
    assert integers.scales.dtype == np.float32
    axes = tuple(range(1, len(shape)))
    unit = np.abs(weight).max(axis=axes, keepdims=True) / 63
    # Seven bits need no care for neighbours, and lose four times as much as eight.
    seven_bits = np.square(np.rint(weight / unit) * unit - weight).sum(axis=axes)
    loss = np.square(integers.dequantized() - weight).sum(axis=axes)
    assert (loss < 1.1 * seven_bits).all()
    assert (loss / seven_bits).mean() < 0.6


@pytest.mark.parametrize("shape", [(10, 101), (6, 4, 3, 3), (4, 1, 3, 3), (5, 1)])
def test_no_neighbours_can_saturate_sixteen_bits(random: np.random.Generator, shape: tuple[int, ...]) -> None:
    extremes = random.choice([1.0, 0.999, -1.0, 1e-3], size=shape)
    for weight in (random.normal(size=shape), np.ones(shape), -np.ones(shape), extremes):
        integers = rounded(weight)
        largest = largest_neighbour_sum(integers.values)
        assert largest == max((abs(number) for number in neighbour_sums(integers.values)), default=0)
        # Inputs go up to 255. Products of different signs cannot add up to more than one of them.
        assert 255 * largest <= np.iinfo(np.int16).max
        assert np.abs(integers.values.astype(int)).max() <= 127


def test_neighbours_use_all_eight_bits_if_only_one_of_them_is_large() -> None:
    weight = np.array([[127.0, 1.0, -127.0, 0.0, 60.0, 68.0]]) / 128
    integers = rounded(weight)
    np.testing.assert_array_equal(integers.values, [[127, 1, -127, 0, 60, 68]])
    assert integers.scales.item() == 1 / 128


def test_two_large_neighbours_of_one_sign_share_the_excess() -> None:
    # The other outputs of the channel are whole numbers, which would lose more with another scale than the two weights do.
    others = (np.arange(2000) % 23 * np.tile([1.0, -1.0], 1000)).reshape(250, 8)
    weight = np.vstack([[127.0, 0.0, 100.0, 40.0, 0.0, -90.0, -39.0, 0.0], others])
    integers = rounded(weight, channels=1)
    np.testing.assert_array_equal(integers.values[0], [127, 0, 94, 34, 0, -90, -38, 0])
    np.testing.assert_array_equal(integers.values[1:], others)


def test_the_scale_grows_instead_if_all_weights_are_large() -> None:
    integers = rounded(np.ones((1, 50)))
    assert set(integers.values.ravel().tolist()) <= {63, 64}
    np.testing.assert_allclose(integers.dequantized(), 1, rtol=0.01)


def test_outputs_that_share_a_channel_share_its_scale_which_is_the_unit_of_the_bias(random: np.random.Generator) -> None:
    weight, bias = random.normal(size=(12, 5)) * np.repeat([1.0, 10.0, 100.0], 4)[:, None], random.normal(size=12)
    integers = rounded(weight, bias, input_scale=0.0123, channels=3)
    assert integers.scales.shape == (3,)
    largest = np.abs(integers.values.astype(int)).max(axis=1).reshape(3, 4)
    assert (largest.max(axis=1) >= 63).all()  # of a channel's four outputs, one
    assert (largest.min(axis=1) < largest.max(axis=1)).all()
    scales = np.repeat(integers.scales.astype(np.float64), 4)
    # Within half a step, except where neighbours of one sign were too large and share the excess.
    is_nearest = np.abs(integers.dequantized() - weight) <= scales[:, None] / 2 * (1 + 1e-6)
    assert is_nearest.mean() > 0.8
    units = scales * 0.0123
    assert integers.bias.dtype == np.int32
    assert (np.abs(integers.bias * units - bias) <= units / 2 * (1 + 1e-6)).all()
    np.testing.assert_allclose(integers.dequantized_bias(0.0123), integers.bias * units)


def test_the_bias_corrects_the_mean_error_of_the_weights(random: np.random.Generator) -> None:
    weight, bias, exact_mean, quantized_mean = (random.normal(size=size) for size in ((10, 50), 10, 50, 50))
    ones = np.eye(50)
    integers = integer_weights(weight, bias, LATENT_STEP, InputMoments(quantized_mean, exact_mean, ones, ones))
    on_average = integers.dequantized() @ quantized_mean + integers.dequantized_bias(LATENT_STEP)
    units = integers.scales.astype(np.float64) * LATENT_STEP
    assert (np.abs(on_average - (weight @ exact_mean + bias)) <= units / 2 * (1 + 1e-6)).all()


def test_an_input_that_is_stored_too_small_gets_larger_weights(random: np.random.Generator) -> None:
    weight, zeros, ones = random.normal(size=(10, 50)), np.zeros(50), np.eye(50)
    # Each stored value is half the true one: its variance is a quarter, its covariance with the true one half.
    integers = integer_weights(weight, np.zeros(10), LATENT_STEP, InputMoments(zeros, zeros, ones, ones * 2))
    ratio = (integers.dequantized() * weight).sum() / np.square(weight).sum()
    assert ratio == pytest.approx((2 + 0.01) / (1 + 0.01), rel=0.01)


def test_an_input_that_never_varies_gets_no_weight_and_the_bias_covers_it(random: np.random.Generator) -> None:
    weight, means, varying = random.normal(size=(10, 50)), np.full(50, 3.0), np.diag(np.arange(50) != 7).astype(np.float64)
    # Behind a ReLU that is always 0, it can have any size.
    weight[:, 7] *= 1000
    integers = integer_weights(weight, np.ones(10), LATENT_STEP, InputMoments(means, means, varying, varying))
    assert (integers.values[:, 7] == 0).all()
    others = np.delete(weight, 7, axis=1)
    assert np.abs(np.delete(integers.dequantized(), 7, axis=1) - others).mean() < 0.01 * others.std()
    on_average = integers.dequantized() @ means + integers.dequantized_bias(LATENT_STEP)
    np.testing.assert_allclose(on_average, weight @ means + 1, rtol=1e-3)


def test_few_samples_do_not_lead_away_from_the_trained_weights(random: np.random.Generator) -> None:
    weight, seen, unseen = random.normal(size=(10, 50)), random.normal(size=(40, 50)), random.normal(size=(1000, 50))
    noise = random.normal(size=(40, 50)) / 10
    stored, covariance = seen + noise, np.cov((seen + noise).T, bias=True)
    centered = seen - seen.mean(axis=0)
    cross_covariance = centered.T @ (stored - stored.mean(axis=0)) / len(seen)
    moments = InputMoments(stored.mean(axis=0), seen.mean(axis=0), covariance, cross_covariance)
    integers = integer_weights(weight, np.zeros(10), LATENT_STEP, moments)
    difference = unseen @ (integers.dequantized() - weight).T + integers.dequantized_bias(LATENT_STEP)
    assert difference.std() < 0.25 * (unseen @ weight.T).std()


def test_a_single_large_weight_is_clipped_where_that_loses_least() -> None:
    # With a step of 1/127, 3,000 weights of 0.49 steps would all become 0; with 0.9 of that, they are above half a step.
    weight = np.full((50, 60), 0.49) * np.tile([1.0, -1.0], 30)
    weight[0, 0] = 127
    integers = rounded(weight / 127, channels=1)
    assert integers.scales.item() == pytest.approx(0.9 / 127)
    assert (np.abs(integers.values) == 1).sum() == 2999


@pytest.mark.parametrize("largest", [1e-3, 1e-6, 1e-12])
def test_a_mean_output_that_is_much_larger_than_the_weights_still_fits(largest: float) -> None:
    weight, means, ones = np.array([[largest, -largest / 3]]), np.array([5.0, 5.0]), np.eye(2)
    true_means = np.array([5e5 / largest, 0.0])
    integers = integer_weights(weight, np.zeros(1), LATENT_STEP, InputMoments(means, true_means, ones, ones))
    on_average = integers.dequantized() @ means + integers.dequantized_bias(LATENT_STEP)
    np.testing.assert_allclose(on_average, 5e5, rtol=1e-6)
    assert abs(int(integers.bias[0])) < 2**31 - 100 * 255 * 127  # products are added to it


def test_weights_that_no_float32_scale_can_hold_are_refused() -> None:
    with pytest.raises(ExportError, match="weights are too large for float32: the training has diverged"):
        rounded(np.array([[1e41, 1.0]]))


@pytest.mark.parametrize("largest", [0, 1e-3, 1e-12, 1e-45, 1e-300])
def test_a_channel_of_nearly_zeros_keeps_its_bias(largest: float) -> None:
    integers = rounded(np.array([[largest, 0.0], [1.0, -1.0]]), np.array([0.5, 0.5]))
    np.testing.assert_array_equal(integers.values[1], [127, -127])
    assert (integers.scales > 0).all()
    np.testing.assert_allclose(integers.dequantized_bias(LATENT_STEP), 0.5, rtol=1e-3)
    assert abs(int(integers.bias[0])) < 2**31 - 100 * 255 * 127  # products are added to it


def test_a_channel_of_zeros_without_a_bias_has_a_scale_of_one() -> None:
    for weight in (0.0, 1e-300):
        integers = rounded(np.array([[weight]]))
        assert (integers.values.item(), integers.bias.item(), integers.scales.item()) == (0, 0, 1)
