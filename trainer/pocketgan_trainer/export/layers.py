"""A trained generator as a list of plain layers: numbers in numpy, no torch, no batch normalization, no ONNX yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Dense:
    """A fully connected layer: [N, in] to [N, out]."""

    weight: Array
    """[out, in]"""
    bias: Array
    """[out]"""


@dataclass(frozen=True)
class ToImage:
    """Gives flat features [N, C*H*W] the shape [N, C, H, W]."""

    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class TransposedConvolution:
    """A transposed convolution on square kernels: [N, in, H, W] to [N, out, (H-1)*stride + k - cuts, and so for W]."""

    weight: Array
    """[in, out, k, k]"""
    bias: Array
    """[out]"""
    stride: int
    cut_before: int
    """Rows and columns of the full result that are cut off at the top and the left."""
    cut_after: int
    """The same at the bottom and the right; negative where zeros (plus bias) are added, as torch's output_padding does."""

    def output_size(self, input_size: int) -> int:
        """Return the output's height for the input's, or width for width."""
        kernel_size: int = self.weight.shape[2]
        return (input_size - 1) * self.stride + kernel_size - self.cut_before - self.cut_after


@dataclass(frozen=True)
class LeakyRelu:
    """x where x is positive, else slope * x."""

    slope: float


@dataclass(frozen=True)
class Tanh:
    """The generator's last activation: values from -1 to 1, of which 255 grey levels are made."""


Layer: TypeAlias = Dense | ToImage | TransposedConvolution | LeakyRelu | Tanh


def feeds_tanh(layers: Sequence[Layer], position: int) -> bool:
    """Say whether what layer `position` puts out goes into a tanh, with at most a change of shape between."""
    following = (layer for layer in layers[position + 1 :] if not isinstance(layer, ToImage))
    return isinstance(next(following, None), Tanh)
