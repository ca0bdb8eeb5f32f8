"""What the plain layers compute, in torch: the yardstick for every graph that is made of them."""

import torch
from torch import Tensor
from torch.nn import functional

from pocketgan_trainer.export.layers import (
    ClassInput,
    Convolution,
    Dense,
    GreyLevels,
    Layer,
    LeakyRelu,
    PixelShuffle,
    Relu,
    Tanh,
    ToImage,
    TransposedConvolution,
)


def activations(layers: list[Layer], latent: Tensor, label: Tensor | None = None) -> list[Tensor]:
    """Return the output of every layer for latents [N, size], computed in the latents' floating-point type.

    `label` int64 [N] is needed if there is a ClassInput.
    """
    outputs = []
    values = latent
    for layer in layers:
        values = apply(layer, values, label)
        outputs.append(values)
    return outputs


def apply(layer: Layer, values: Tensor, label: Tensor | None = None) -> Tensor:
    """Return what one layer makes of `values`."""
    if isinstance(layer, ClassInput):
        assert label is not None
        asked = functional.one_hot(label, layer.classes).to(values.dtype) * layer.value
        return torch.cat([values, asked], dim=1)
    if isinstance(layer, Dense):
        weight, bias = (torch.from_numpy(array).to(values.dtype) for array in (layer.weight, layer.bias))
        return functional.linear(values, weight, bias)
    if isinstance(layer, Convolution):
        weight, bias = (torch.from_numpy(array).to(values.dtype) for array in (layer.weight, layer.bias))
        return functional.conv2d(values, weight, bias, padding=layer.padding)
    if isinstance(layer, TransposedConvolution):
        weight, bias = (torch.from_numpy(array).to(values.dtype) for array in (layer.weight, layer.bias))
        full = functional.conv_transpose2d(values, weight, stride=layer.stride)
        cuts = (-layer.cut_before, -layer.cut_after)
        return functional.pad(full, cuts + cuts) + bias[:, None, None]
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
    raise TypeError(f"cannot compute a layer of type {type(layer).__name__}")
