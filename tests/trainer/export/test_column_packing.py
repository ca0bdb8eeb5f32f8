"""Several columns as one: the same numbers, on the same bytes, and only where it pays."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from pocketgan_trainer.export.column_packing import pack_columns
from pocketgan_trainer.export.layers import Convolution


def integer_convolution(channels_in: int, channels_out: int, size: int) -> Convolution:
    """Return a convolution whose weights are integers, so that sums of products are exact in any order."""
    random = np.random.default_rng(0)
    weight = random.integers(-9, 10, size=(channels_out, channels_in, size, size)).astype(np.float64)
    return Convolution(weight, random.integers(-9, 10, size=channels_out).astype(np.float64))


def convolved(
    image: NDArray[np.float64], weight: NDArray[np.float64], bias: NDArray[np.float64], padding: tuple[int, int]
) -> NDArray[np.float64]:
    """Return torch's convolution of an image [N, H, W, C], channels last."""
    channels_first = torch.from_numpy(image).permute(0, 3, 1, 2)
    result = functional.conv2d(channels_first, torch.from_numpy(weight), torch.from_numpy(bias), padding=padding)
    channels_last: NDArray[np.float64] = result.permute(0, 2, 3, 1).numpy()
    return channels_last


@pytest.mark.parametrize("size", [1, 3, 5, 7, 11])
@pytest.mark.parametrize(("channels_out", "columns"), [(1, 4), (4, 4), (5, 2), (8, 2), (9, 1), (48, 1)])
def test_a_packed_convolution_equals_the_plain_one_byte_for_byte(size: int, channels_out: int, columns: int) -> None:
    layer = integer_convolution(3, channels_out, size)
    image = np.random.default_rng(1).integers(0, 256, size=(2, 6, 12, 3)).astype(np.float64)
    packed = pack_columns(layer, width=12)
    assert packed.columns == columns
    padding = (packed.padding_rows, packed.padding_columns)
    result = convolved(image.reshape(2, 6, 12 // columns, 3 * columns), packed.weight, packed.bias, padding)
    expected = convolved(image, layer.weight, layer.bias, (layer.padding, layer.padding))
    np.testing.assert_array_equal(result.reshape(expected.shape), expected)


@pytest.mark.parametrize(("width", "columns"), [(28, 4), (14, 2), (7, 1), (6, 2), (1, 1)])
def test_only_a_divisor_of_the_width_is_taken(width: int, columns: int) -> None:
    assert pack_columns(integer_convolution(3, 1, 3), width).columns == columns


def test_without_packing_a_convolution_stays_as_it_is() -> None:
    layer = integer_convolution(3, 48, 3)
    packed = pack_columns(layer, width=28)
    np.testing.assert_array_equal(packed.weight, layer.weight)
    np.testing.assert_array_equal(packed.bias, layer.bias)
    assert (packed.columns, packed.padding_rows, packed.padding_columns) == (1, 1, 1)
