"""The plain layers that a trained generator is folded into, and what each of them computes.

Weights are float64 arrays. There is no batch normalization left, and nothing of ONNX yet: the float graph, the integer graph and
the calibration all start from these layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pocketgan.latents import latents
from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.networks.noise import with_noise
from pocketgan_trainer.networks.scan import ScannedImage

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class ClassInput:
    """Appends the class to the latent: [N, size] to [N, size + classes], `value` at the label's place and zeros elsewhere."""

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
    """Rearranges channels into an image `factor` times as large: [N, C*f*f, H, W] to [N, C, f*H, f*W].

    As in torch, input channel (c*f + a)*f + b becomes the pixels of channel c in rows a and columns b modulo f.
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
    """The same at the bottom and the right; if negative, zeros (plus bias) are added there, as torch's output_padding does."""

    def output_size(self, input_size: int) -> int:
        """Return the height of the output for that of the input, or the width for the width."""
        kernel_size: int = self.weight.shape[2]
        return (input_size - 1) * self.stride + kernel_size - self.cut_before - self.cut_after


@dataclass(frozen=True)
class Relu:
    """max(x, 0)."""


@dataclass(frozen=True)
class LeakyRelu:
    """x where x is positive, else slope * x."""

    slope: float


@dataclass(frozen=True)
class Tanh:
    """The last layer of a classic generator: values from -1 to 1, which are then rounded to 256 grey levels."""


@dataclass(frozen=True)
class GreyLevels:
    """The last arithmetic of a generator with exact pixels: clips brightness to 0..1 and rounds it to one of 256 grey levels."""


@dataclass(frozen=True)
class Scanned:
    """The last layer of a generator with a canvas: fields [N, 1, F, F] to images [N, 1, S, S], see `networks.scan`."""

    field_size: int
    image_size: int


@dataclass(frozen=True)
class Noise:
    """Appends `channels` of noise, divided by `gain`, to features: latents from number `first` on, see `networks.noise`."""

    first: int
    channels: int
    gain: float = 1.0
    """The next weights for the noise are the trained ones times this."""


Weighted: TypeAlias = Dense | Convolution | TransposedConvolution
Layer: TypeAlias = ClassInput | Weighted | ToImage | PixelShuffle | Relu | LeakyRelu | Tanh | GreyLevels | Noise | Scanned


def activations(layers: Sequence[Layer], latent: Tensor, label: Tensor | None = None) -> list[Tensor]:
    """Return the output of every layer for latents [N, size], computed in the latents' floating-point type.

    `label` int64 [N] is required if there is a ClassInput.
    """
    outputs = []
    values = style(layers, latent)
    for layer in layers:
        values = apply(layer, values, label, latent)
        outputs.append(values)
    return outputs


def style_size(layers: Sequence[Layer], latent_size: int) -> int:
    """Return how many latents shape the whole image: all, or with noise those that the first layer with weights takes.

    Raises ExportError if that is not a dense layer.
    """
    if not any(isinstance(layer, Noise) for layer in layers):
        return latent_size
    first = next((layer for layer in layers if isinstance(layer, Weighted)), None)
    if not isinstance(first, Dense):
        raise ExportError("cannot export noise here: expected a dense layer before it, which takes the other latents")
    inputs: int = first.weight.shape[1]
    return inputs - class_count(layers)


def style(layers: Sequence[Layer], latent: Tensor) -> Tensor:
    """Return those of the latents [N, size] that shape the whole image."""
    return latent[:, : style_size(layers, latent.shape[1])]


def apply(layer: Layer, values: Tensor, label: Tensor | None = None, latent: Tensor | None = None) -> Tensor:
    """Return the output of one layer for the input `values`.

    A ClassInput requires `label` int64 [N], Noise and Scanned the `latent` [N, size]; the images of the last are float32.
    """
    if isinstance(layer, ClassInput):
        assert label is not None
        one_hot = functional.one_hot(label, layer.classes).to(values.dtype) * layer.value
        return torch.cat([values, one_hot], dim=1)
    if isinstance(layer, Weighted):
        return _apply_weights(layer, values)
    if isinstance(layer, ToImage):
        return values.reshape(-1, layer.channels, layer.height, layer.width)
    if isinstance(layer, PixelShuffle):
        return functional.pixel_shuffle(values, layer.factor)
    if isinstance(layer, Relu):
        return functional.relu(values)
    if isinstance(layer, LeakyRelu):
        return functional.leaky_relu(values, layer.slope)
    if isinstance(layer, GreyLevels):
        return (values.clamp(0, 1) * 255).round() / 127.5 - 1
    if isinstance(layer, Tanh):
        return torch.tanh(values)
    if isinstance(layer, Noise):
        assert latent is not None
        return with_noise(values, latent / layer.gain, layer.first, layer.channels)
    if isinstance(layer, Scanned):
        images: Tensor = ScannedImage(layer.field_size, layer.image_size).eval()(values, latent)
        return images
    raise TypeError(f"cannot compute a layer of type {type(layer).__name__}")


def _apply_weights(layer: Weighted, values: Tensor) -> Tensor:
    weight, bias = (torch.from_numpy(array).to(values.dtype) for array in (layer.weight, layer.bias))
    if isinstance(layer, Dense):
        return functional.linear(values, weight, bias)
    if isinstance(layer, Convolution):
        return functional.conv2d(values, weight, bias, padding=layer.padding)
    full = functional.conv_transpose2d(values, weight, stride=layer.stride)
    cuts = (-layer.cut_before, -layer.cut_after)
    return functional.pad(full, cuts + cuts) + bias[:, None, None]


def class_count(layers: Sequence[Layer]) -> int:
    """Return the number of classes that the generator is conditioned on, 0 if it takes latents alone."""
    return sum(layer.classes for layer in layers if isinstance(layer, ClassInput))


def labels_in_turn(classes: int, count: int) -> NDArray[np.int64] | None:
    """Return the labels 0, 1, ... in turn, int64 [count], as the runtime draws them by default; None if there are 0 classes."""
    return np.arange(count) % classes if classes else None


def model_inputs(latent_size: int, classes: int, seed: int, count: int) -> dict[str, NDArray[np.generic]]:
    """Return the inputs of an exported model by name: the latents of a seed and, with classes, the labels in turn."""
    latent: dict[str, NDArray[np.generic]] = {"z": latents(seed, 0, count, latent_size)}
    label = labels_in_turn(classes, count)
    return latent if label is None else {**latent, "label": label}


def is_followed_by(layers: Sequence[Layer], position: int, kind: type[Layer]) -> bool:
    """Return whether the next layer after `position` is of a kind, not counting layers that only change the shape."""
    following = (layer for layer in layers[position + 1 :] if not isinstance(layer, ToImage | PixelShuffle))
    return isinstance(next(following, None), kind)


def before_next_weights(following: Sequence[Layer]) -> Sequence[Layer]:
    """Return the layers of `following` that come before the next one with weights."""
    weighted = (position for position, layer in enumerate(following) if isinstance(layer, Weighted))
    return following[: next(weighted, len(following))]
