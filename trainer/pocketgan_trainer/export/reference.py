"""What the plain layers compute, in torch: the yardstick for every graph that is made of them."""

import torch
from torch import Tensor
from torch.nn import functional

from pocketgan_trainer.export.layers import Dense, Layer, LeakyRelu, ToImage, TransposedConvolution


def activations(layers: list[Layer], latent: Tensor) -> list[Tensor]:
    """Return the output of every layer for latents [N, size], computed in the latents' floating-point type."""
    outputs = []
    for layer in layers:
        latent = apply(layer, latent)
        outputs.append(latent)
    return outputs


def apply(layer: Layer, values: Tensor) -> Tensor:
    """Return what one layer makes of `values`."""
    if isinstance(layer, Dense):
        weight, bias = (torch.from_numpy(array).to(values.dtype) for array in (layer.weight, layer.bias))
        return functional.linear(values, weight, bias)
    if isinstance(layer, TransposedConvolution):
        weight, bias = (torch.from_numpy(array).to(values.dtype) for array in (layer.weight, layer.bias))
        full = functional.conv_transpose2d(values, weight, stride=layer.stride)
        cuts = (-layer.cut_before, -layer.cut_after)
        return functional.pad(full, cuts + cuts) + bias[:, None, None]
    if isinstance(layer, ToImage):
        return values.reshape(-1, layer.channels, layer.height, layer.width)
    if isinstance(layer, LeakyRelu):
        return functional.leaky_relu(values, layer.slope)
    return torch.tanh(values)
