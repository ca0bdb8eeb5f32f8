"""Weights as integers, layer after layer: each is rounded for the inputs that it will really get.

A sample of latents goes through two generators side by side: the exact one, and the integer one as far as it is made. What they
differ by before a layer is what that layer is rounded to make up for.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.grids import LATENT_GRID, Grid
from pocketgan_trainer.export.layers import (
    Convolution,
    Dense,
    Layer,
    TransposedConvolution,
    Weighted,
    image_channels,
    next_weighted,
)
from pocketgan_trainer.export.reference import apply
from pocketgan_trainer.export.subpixel import SubpixelConvolution, phases, rewrite
from pocketgan_trainer.export.weights import InputMoments, IntegerWeights, input_moments, integer_weights

ROUNDING_IMAGES = 4096
"""A dense layer of some hundred inputs needs some thousand samples, so that their covariance means something."""
_CONVOLUTION_IMAGES = 256
# Of these, convolutions, to which each pixel is a sample, get by with so many.


def round_weights(
    layers: list[Layer], grids: list[Grid | None], latent: Tensor, label: Tensor | None = None
) -> list[IntegerWeights | None]:
    """Return the integer weights of each layer, None for those without, rounded on latents [N, size] in float64.

    `grids` are those of the layers' outputs, `label` int64 [N] is needed if there is a ClassInput. Dense and plain convolutions
    have weights of their own shape, transposed convolutions those of `subpixel.rewrite`. Raises ExportError for a transposed
    convolution of oblong images, and for weights for which there are no integers.
    """
    rounded: list[IntegerWeights | None] = [None] * len(layers)
    stored, true, grid = latent, latent, LATENT_GRID
    with torch.inference_mode():
        for position, layer in enumerate(layers):
            following = next_weighted(layers, position)
            weights = None
            if isinstance(layer, Weighted):
                weights = rounded[position] = _round(layer, image_channels(layers, position), stored, true, grid)
            if following is None:
                break
            if isinstance(following, Convolution | TransposedConvolution):
                stored, true = stored[:_CONVOLUTION_IMAGES], true[:_CONVOLUTION_IMAGES]
                label = None if label is None else label[:_CONVOLUTION_IMAGES]
            if isinstance(layer, Weighted) and weights is not None:
                stored = _apply_rounded(layer, weights, stored, grid)
            else:
                stored = apply(layer, stored, label)
            true = apply(layer, true, label)
            output_grid = grids[position]
            if output_grid is not None:
                grid = output_grid
                stored = torch.from_numpy(grid.load(grid.store(stored.numpy())))
    return rounded


def _round(layer: Weighted, channels: int | None, stored: Tensor, true: Tensor, grid: Grid) -> IntegerWeights:
    if isinstance(layer, Dense):
        # The pixels of an image share one scale for each channel, as those that a convolution makes do.
        return integer_weights(layer.weight, layer.bias, grid, input_moments(stored, true), channels)
    if isinstance(layer, Convolution):
        pads = (layer.padding, layer.padding)
        return integer_weights(layer.weight, layer.bias, grid, input_moments(stored, true, layer.weight.shape[2], pads))
    plain = _plain(layer, stored)
    moments = input_moments(stored, true, plain.weight.shape[2], (plain.pad_before, plain.pad_after))
    return _round_phases(plain, moments, grid)


def _round_phases(plain: SubpixelConvolution, moments: InputMoments, grid: Grid) -> IntegerWeights:
    """Return the integer weights of each phase on its own, together: what is zero because it is no weight stays zero."""
    outputs, channels, size, _ = plain.weight.shape
    values = np.zeros(plain.weight.shape, np.int8)
    scales, bias = np.zeros(outputs, np.float32), np.zeros(outputs, np.int32)
    inputs = np.arange(size * size * channels).reshape(size, size, channels)
    for phase in phases(plain):
        weight = plain.weight[phase.outputs, :, phase.rows, phase.columns]
        of_phase = moments.of(inputs[phase.rows, phase.columns].ravel())
        rounded = integer_weights(weight, plain.bias[phase.outputs], grid, of_phase)
        values[phase.outputs, :, phase.rows, phase.columns] = rounded.values
        scales[phase.outputs], bias[phase.outputs] = rounded.scales, rounded.bias
    return IntegerWeights(values, scales, bias)


def _apply_rounded(layer: Weighted, weights: IntegerWeights, stored: Tensor, grid: Grid) -> Tensor:
    """Return what a layer makes of stored numbers with its integer weights."""
    weight, bias = torch.from_numpy(weights.dequantized()), torch.from_numpy(weights.dequantized_bias(grid))
    if isinstance(layer, Dense):
        return functional.linear(stored, weight, bias)
    if isinstance(layer, Convolution):
        return functional.conv2d(stored, weight, bias, padding=layer.padding)
    plain = _plain(layer, stored)
    pads = (plain.pad_before, plain.pad_after)
    convolved = functional.conv2d(functional.pad(stored, pads + pads), weight, bias)
    by_phase = convolved.reshape(len(convolved), plain.stride**2, -1, plain.convolved_size, plain.convolved_size)
    image = functional.pixel_shuffle(by_phase.transpose(1, 2).flatten(1, 2), plain.stride)
    return image[:, :, : plain.output_size, : plain.output_size]


def _plain(layer: TransposedConvolution, inputs: Tensor) -> SubpixelConvolution:
    height, width = inputs.shape[2:]
    if height != width:
        raise ExportError(f"cannot export a transposed convolution of {height}x{width} pixels: expected a square")
    return rewrite(layer, height)
