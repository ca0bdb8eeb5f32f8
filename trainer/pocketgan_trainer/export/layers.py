"""A trained generator as a list of plain layers: numpy arrays, no torch, no batch normalization, no ONNX yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pocketgan.latents import latents

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class ClassInput:
    """Appends the asked class to the latent: [N, size] to [N, size + classes], `value` at the label's place, else zeros."""

    classes: int
    value: float


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
class Convolution:
    """A convolution of stride 1 on square kernels of odd size, padded with zeros: [N, in, H, W] to [N, out, H, W]."""

    weight: Array
    """[out, in, k, k]"""
    bias: Array
    """[out]"""

    @property
    def padding(self) -> int:
        """Rows and columns of zeros on each side."""
        kernel_size: int = self.weight.shape[2]
        return kernel_size // 2


@dataclass(frozen=True)
class PixelShuffle:
    """Makes an image of factor**2 times as many channels `factor` times as large: [N, C*f*f, H, W] to [N, C, f*H, f*W].

    Input channel (c*f + a)*f + b goes to channel c of rows a and columns b modulo f, torch's order.
    """

    factor: int


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
class Relu:
    """x where x is positive, else 0."""


@dataclass(frozen=True)
class LeakyRelu:
    """x where x is positive, else slope * x."""

    slope: float


@dataclass(frozen=True)
class Tanh:
    """The last step of a classic generator: values from -1 to 1, of which 256 grey levels are made."""


@dataclass(frozen=True)
class GreyLevels:
    """The last step of a generator whose pixels are exact: brightness, cut off at 0 and 1, to the nearest of 256 grey levels."""


Weighted: TypeAlias = Dense | Convolution | TransposedConvolution
Layer: TypeAlias = ClassInput | Weighted | ToImage | PixelShuffle | Relu | LeakyRelu | Tanh | GreyLevels


def feeds(layers: Sequence[Layer], position: int, kind: type[Layer]) -> bool:
    """Say whether what layer `position` puts out goes into a layer of a kind, with at most changes of shape between."""
    following = (layer for layer in layers[position + 1 :] if not isinstance(layer, ToImage | PixelShuffle))
    return isinstance(next(following, None), kind)


def classes(layers: Sequence[Layer]) -> int:
    """Return how many classes the generator can be asked for: 0 if it takes latents alone."""
    return sum(layer.classes for layer in layers if isinstance(layer, ClassInput))


def labels_in_turn(layers: Sequence[Layer], count: int) -> NDArray[np.int64] | None:
    """Return the classes 0, 1, ... again and again, int64 [count], as the runtime asks for them; None if there are none."""
    return np.arange(count) % classes(layers) if classes(layers) else None


def next_weighted(layers: Sequence[Layer], position: int) -> Layer | None:
    """Return the first layer with weights after `position`, None if there is none."""
    return next((layer for layer in layers[position + 1 :] if isinstance(layer, Weighted)), None)


def image_channels(layers: Sequence[Layer], position: int) -> int | None:
    """Return the channels of the image that the features of layer `position` become at once, None if they do not."""
    following = layers[position + 1] if position + 1 < len(layers) else None
    return following.channels if isinstance(following, ToImage) else None


def draw_feeds(latent_size: int, class_count: int, seed: int, count: int) -> dict[str, NDArray[np.generic]]:
    """Return a model's inputs by name: latents of a seed, and the classes in turn if it has any."""
    feeds: dict[str, NDArray[np.generic]] = {"z": latents(seed, 0, count, latent_size)}
    return {**feeds, "label": np.arange(count) % class_count} if class_count else feeds
