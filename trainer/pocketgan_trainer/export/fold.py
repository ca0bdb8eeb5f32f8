"""Turns a torch generator into plain layers, with each batch normalization folded into the weights before it."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from torch import Tensor, nn

from pocketgan.latents import LARGEST_TICK, LATENT_STEP
from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.layers import (
    Array,
    ClassInput,
    Convolution,
    Dense,
    GreyLevels,
    Layer,
    LeakyRelu,
    Noise,
    PixelShuffle,
    Relu,
    Scanned,
    Tanh,
    ToImage,
    TransposedConvolution,
    Weighted,
)
from pocketgan_trainer.networks.conditional import ONE_HOT_VALUE, ConditionalGenerator, StyleScale
from pocketgan_trainer.networks.dcgan import SameConvTranspose2d
from pocketgan_trainer.networks.noise import NoiseChannels
from pocketgan_trainer.networks.pocket import GreyLevelRounding

_LARGEST_LATENT = LARGEST_TICK * LATENT_STEP


def fold(generator: nn.Module) -> list[Layer]:
    """Return the layers of a generator in evaluation mode, all arithmetic in float64.

    The generator must be a chain (nested nn.Sequential) of Linear, Conv2d, ConvTranspose2d, BatchNorm, ReLU, LeakyReLU,
    Unflatten, PixelShuffle, Tanh and GreyLevelRounding, or a ConditionalGenerator whose body is one, perhaps with NoiseChannels.
    Raises ExportError if it has another module, a batch normalization that does not follow weights, or weights that are not
    finite.
    """
    if isinstance(generator, ConditionalGenerator):
        layers = _with_scaled_style(fold(generator.body), generator.scale, generator.classes)
        if generator.classes:
            layers = _with_class_input(layers, generator.classes, ONE_HOT_VALUE)
        return layers if generator.scan is None else [*layers, Scanned(generator.scan.field_size, generator.scan.image_size)]
    layers = []
    for module in _chain(generator):
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            _fold_batch_norm(layers, module)
        else:
            layers.append(_layer(module))
    weighted = [layer for layer in layers if isinstance(layer, Weighted)]
    if not all(np.isfinite(array).all() for layer in weighted for array in (layer.weight, layer.bias)):
        raise ExportError("cannot export weights that are not finite: the training has diverged; take an earlier checkpoint")
    return layers


def _chain(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules of nested nn.Sequential in order."""
    if isinstance(module, nn.Sequential):
        for child in module:
            yield from _chain(child)
    else:
        yield module


def _with_scaled_style(layers: list[Layer], scale: StyleScale, classes: int) -> list[Layer]:
    """Return layers whose first one, which is dense, multiplies latents of style itself; the last inputs are the class."""
    if scale.factor == 1:
        return layers
    dense, *others = layers
    assert isinstance(dense, Dense)
    weight = dense.weight.copy()
    weight[:, scale.traits : weight.shape[1] - classes] *= scale.factor
    return [replace(dense, weight=weight), *others]


def _with_class_input(layers: list[Layer], classes: int, value: float) -> list[Layer]:
    """Return layers that also take the class, one-hot with the largest possible latent in place of `value`.

    The weights of the class are divided by the same factor, so the result is the same. Otherwise they would be the largest
    weights of an output and set the scale of all its integers: in a trained generator that costs one decibel.
    """
    dense, *others = layers
    if not isinstance(dense, Dense):
        raise ExportError(f"cannot export a class input into a {type(dense).__name__}: expected a dense layer")
    weight = dense.weight.copy()
    weight[:, -classes:] *= value / _LARGEST_LATENT
    return [ClassInput(classes, _LARGEST_LATENT), replace(dense, weight=weight), *others]


def _layer(module: nn.Module) -> Layer:
    if isinstance(module, nn.Linear):
        return Dense(_array(module.weight), _bias(module.bias, module.out_features))
    if isinstance(module, nn.ConvTranspose2d):
        return _transposed_convolution(module)
    if isinstance(module, nn.Conv2d):
        return _convolution(module)
    if isinstance(module, nn.Unflatten) and module.dim == 1 and len(module.unflattened_size) == 3:
        channels, height, width = (int(size) for size in module.unflattened_size)
        return ToImage(channels, height, width)
    if isinstance(module, nn.PixelShuffle):
        return PixelShuffle(module.upscale_factor)
    if isinstance(module, nn.ReLU):
        return Relu()
    if isinstance(module, nn.LeakyReLU):
        return LeakyRelu(module.negative_slope)
    if isinstance(module, nn.Tanh):
        return Tanh()
    if isinstance(module, GreyLevelRounding):
        return GreyLevels()
    if isinstance(module, NoiseChannels):
        return Noise(module.first, module.channels)
    raise ExportError(
        f"cannot export a {type(module).__name__}: expected dense, convolution, transposed convolution, batch norm, ReLU, "
        "LeakyReLU, pixel shuffle, noise, tanh, grey levels"
    )


def _convolution(module: nn.Conv2d) -> Convolution:
    size = module.kernel_size[0]
    is_plain = (module.stride, module.dilation, module.groups, module.padding_mode) == ((1, 1), (1, 1), 1, "zeros")
    keeps_size = module.kernel_size == (size, size) and size % 2 == 1 and module.padding in ("same", (size // 2, size // 2))
    if not is_plain or not keeps_size:
        raise ExportError(
            f"cannot export {module}: expected a square kernel of odd size, stride 1, zero padding that keeps the image's size, "
            "one group, no dilation"
        )
    return Convolution(_array(module.weight), _bias(module.bias, module.out_channels))


def _transposed_convolution(module: nn.ConvTranspose2d) -> TransposedConvolution:
    is_square = all(len(set(pair)) == 1 for pair in (module.kernel_size, module.stride, module.padding, module.output_padding))
    if not is_square or module.groups != 1 or set(module.dilation) != {1} or not isinstance(module.padding[0], int):
        raise ExportError(f"cannot export {module}: expected square kernels and strides, one group, no dilation")
    extra_cut = module.crop_after if isinstance(module, SameConvTranspose2d) else 0
    return TransposedConvolution(
        weight=_array(module.weight),
        bias=_bias(module.bias, module.out_channels),
        stride=module.stride[0],
        cut_before=module.padding[0],
        cut_after=module.padding[0] - module.output_padding[0] + extra_cut,
    )


def _fold_batch_norm(layers: list[Layer], norm: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
    """Fold a normalization, with its running statistics, into the last weights of `layers`, even before a change of shape."""
    position = len(layers) - 1
    if isinstance(norm, nn.BatchNorm2d) and position > 0 and isinstance(layers[position], ToImage | PixelShuffle):
        position -= 1
    layer = layers[position] if layers else None
    if not isinstance(layer, Weighted):
        raise ExportError("cannot export a batch normalization that does not directly follow a dense or convolution layer")
    if norm.running_mean is None or norm.running_var is None or not norm.affine:
        raise ExportError("cannot export a batch normalization without running statistics or without weights")
    # Several consecutive features before a change of shape are one channel after it.
    repeats = len(layer.bias) // norm.num_features
    mean, variance, weight, offset = (
        np.repeat(_array(tensor), repeats) for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    factor = weight / np.sqrt(variance + norm.eps)
    per_output = (1, -1, 1, 1) if isinstance(layer, TransposedConvolution) else (-1, *[1] * (layer.weight.ndim - 1))
    bias = (layer.bias - mean) * factor + offset
    layers[position] = replace(layer, weight=layer.weight * factor.reshape(per_output), bias=bias)


def _array(tensor: Tensor) -> Array:
    return tensor.detach().cpu().double().numpy()


def _bias(bias: Tensor | None, size: int) -> Array:
    return np.zeros(size) if bias is None else _array(bias)
