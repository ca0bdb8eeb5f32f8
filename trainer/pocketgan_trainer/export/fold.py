"""From a torch generator to plain layers: batch normalization is folded into the weights before it."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from torch import Tensor, nn

from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.layers import Array, Dense, Layer, LeakyRelu, Tanh, ToImage, TransposedConvolution
from pocketgan_trainer.networks.same_padding import SameConvTranspose2d


def fold(generator: nn.Module) -> list[Layer]:
    """Return the layers of a generator in evaluation mode, all arithmetic in float64.

    The generator must be a chain (nested nn.Sequential) of Linear, BatchNorm, LeakyReLU, Unflatten, ConvTranspose2d and Tanh.
    Raises ExportError if it holds anything else, a batch normalization that does not follow weights,
    or weights that are not finite.
    """
    layers: list[Layer] = []
    for module in _chain(generator):
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            if not layers or not isinstance(layers[-1], Dense | TransposedConvolution):
                raise ExportError(
                    "cannot export a batch normalization that does not directly follow a dense or convolution layer"
                )
            layers[-1] = _fold_batch_norm(layers[-1], module)
        else:
            layers.append(_layer(module))
    weighted = [layer for layer in layers if isinstance(layer, Dense | TransposedConvolution)]
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


def _layer(module: nn.Module) -> Layer:
    if isinstance(module, nn.Linear):
        return Dense(_array(module.weight), _bias(module.bias, module.out_features))
    if isinstance(module, nn.ConvTranspose2d):
        return _transposed_convolution(module)
    if isinstance(module, nn.Unflatten) and module.dim == 1 and len(module.unflattened_size) == 3:
        channels, height, width = (int(size) for size in module.unflattened_size)
        return ToImage(channels, height, width)
    if isinstance(module, nn.LeakyReLU):
        return LeakyRelu(module.negative_slope)
    if isinstance(module, nn.Tanh):
        return Tanh()
    raise ExportError(
        f"cannot export a {type(module).__name__}: expected dense, transposed convolution, batch norm, LeakyReLU, tanh"
    )


def _transposed_convolution(module: nn.ConvTranspose2d) -> TransposedConvolution:
    square = all(len(set(pair)) == 1 for pair in (module.kernel_size, module.stride, module.padding, module.output_padding))
    if not square or module.groups != 1 or set(module.dilation) != {1} or not isinstance(module.padding[0], int):
        raise ExportError(f"cannot export {module}: expected square kernels and strides, one group, no dilation")
    extra_cut = module.crop_after if isinstance(module, SameConvTranspose2d) else 0
    return TransposedConvolution(
        weight=_array(module.weight),
        bias=_bias(module.bias, module.out_channels),
        stride=module.stride[0],
        cut_before=module.padding[0],
        cut_after=module.padding[0] - module.output_padding[0] + extra_cut,
    )


def _fold_batch_norm(
    layer: Dense | TransposedConvolution, norm: nn.BatchNorm1d | nn.BatchNorm2d
) -> Dense | TransposedConvolution:
    """Return the layer that does what `layer` and then `norm` with its running statistics do."""
    if norm.running_mean is None or norm.running_var is None or not norm.affine:
        raise ExportError("cannot export a batch normalization without running statistics or without weights of its own")
    factor = _array(norm.weight) / np.sqrt(_array(norm.running_var) + norm.eps)
    bias = (layer.bias - _array(norm.running_mean)) * factor + _array(norm.bias)
    if isinstance(layer, Dense):
        return replace(layer, weight=layer.weight * factor[:, None], bias=bias)
    return replace(layer, weight=layer.weight * factor[None, :, None, None], bias=bias)


def _array(tensor: Tensor) -> Array:
    return tensor.detach().cpu().double().numpy()


def _bias(bias: Tensor | None, size: int) -> Array:
    return np.zeros(size) if bias is None else _array(bias)
