"""Several columns as one: the same numbers, on the same bytes, and only where it pays."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from pocketgan_trainer.export.column_packing import pack_columns
from pocketgan_trainer.export.integer_weights import IntegerWeights, largest_neighbour_sum


def integer_convolution(channels_in: int, channels_out: int, size: int) -> IntegerWeights:
    """Return the weights of a convolution, each output with a scale of its own."""
    random = np.random.default_rng(0)
    return IntegerWeights(
        values=random.integers(-9, 10, size=(channels_out, channels_in, size, size)).astype(np.int8),
        scales=random.uniform(1, 2, size=channels_out).astype(np.float32),
        bias=random.integers(-9, 10, size=channels_out).astype(np.int32),
    )


def convolved(image: NDArray[np.float64], weights: IntegerWeights, padding: tuple[int, int]) -> NDArray[np.float64]:
    """Return torch's convolution of an image [N, H, W, C], channels last, in units of the scales."""
    channels_first = torch.from_numpy(image).permute(0, 3, 1, 2)
    values, bias = (torch.from_numpy(integers.astype(np.float64)) for integers in (weights.values, weights.bias))
    result = functional.conv2d(channels_first, values, bias, padding=padding)
    channels_last: NDArray[np.float64] = result.permute(0, 2, 3, 1).numpy()
    return channels_last


@pytest.mark.parametrize("size", [1, 3, 5, 7, 11])
@pytest.mark.parametrize(("channels_out", "columns"), [(1, 4), (4, 4), (5, 2), (8, 2), (9, 1), (48, 1)])
def test_a_packed_convolution_equals_the_plain_one_byte_for_byte(size: int, channels_out: int, columns: int) -> None:
    weights = integer_convolution(3, channels_out, size)
    image = np.random.default_rng(1).integers(0, 256, size=(2, 6, 12, 3)).astype(np.float64)
    packed = pack_columns(weights, width=12)
    assert packed.columns == columns
    padding = (packed.padding_rows, packed.padding_columns)
    result = convolved(image.reshape(2, 6, 12 // columns, 3 * columns), packed.weights, padding) * packed.weights.scales
    expected = convolved(image, weights, (size // 2, size // 2)) * weights.scales
    np.testing.assert_array_equal(result.reshape(expected.shape), expected)
    assert largest_neighbour_sum(packed.weights.values) <= largest_neighbour_sum(weights.values)


@pytest.mark.parametrize(("width", "columns"), [(28, 4), (14, 2), (7, 1), (6, 2), (1, 1)])
def test_only_a_divisor_of_the_width_is_taken(width: int, columns: int) -> None:
    assert pack_columns(integer_convolution(3, 1, 3), width).columns == columns


def test_without_packing_a_convolution_stays_as_it_is() -> None:
    weights = integer_convolution(3, 48, 3)
    packed = pack_columns(weights, width=28)
    np.testing.assert_array_equal(packed.weights.values, weights.values)
    np.testing.assert_array_equal(packed.weights.scales, weights.scales)
    np.testing.assert_array_equal(packed.weights.bias, weights.bias)
    assert (packed.columns, packed.padding_rows, packed.padding_columns) == (1, 1, 1)
