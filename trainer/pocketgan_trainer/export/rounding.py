"""Rounds the weights to integers, layer after layer: each layer for the inputs that the rounded layers before it produce.

A sample of latents passes through two generators in parallel: the exact one, and the part of the integer one that is finished.
The weights of the next layer compensate for the difference between the two.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.calibration import LATENT_QUANTIZATION, Quantization
from pocketgan_trainer.export.layers import Convolution, Dense, Layer, ToImage, TransposedConvolution, Weighted, apply, style
from pocketgan_trainer.export.upscaling import SubpixelConvolution, phases, subpixel_convolution
from pocketgan_trainer.export.weights import InputMoments, IntegerWeights, input_moments, integer_weights

ROUNDING_IMAGES = 4096
"""A dense layer with hundreds of inputs needs thousands of samples for a meaningful covariance."""
# Convolutions need fewer images, since each pixel is a sample.
_CONVOLUTION_IMAGES = 256


def round_weights(
    layers: list[Layer], quantizations: list[Quantization | None], latent: Tensor, label: Tensor | None = None
) -> list[IntegerWeights | None]:
    """Return the integer weights of each layer, None for layers without weights, rounded on latents [N, size] in float64.

    `quantizations` are those of the layers' outputs; `label` int64 [N] is required if there is a ClassInput. The weights of dense
    layers and convolutions keep their shape; transposed convolutions get those of their SubpixelConvolution. Raises ExportError
    for a transposed convolution of images that are not square, and for weights that no integers can represent.
    """
    rounded: list[IntegerWeights | None] = [None] * len(layers)
    quantized, exact, quantization = style(layers, latent), style(layers, latent), LATENT_QUANTIZATION
    with torch.inference_mode():
        for position, layer in enumerate(layers):
            following = layers[position + 1 :]
            weights = None
            if isinstance(layer, Weighted):
                weights = rounded[position] = _round(layer, following, quantized, exact, quantization.scale)
            next_weighted = next((later for later in following if isinstance(later, Weighted)), None)
            if next_weighted is None:
                break
            if not isinstance(next_weighted, Dense):
                quantized, exact = quantized[:_CONVOLUTION_IMAGES], exact[:_CONVOLUTION_IMAGES]
            if isinstance(layer, Weighted) and weights is not None:
                quantized = _apply_rounded(layer, weights, quantized, quantization.scale)
            else:
                quantized = apply(layer, quantized, label, latent[: len(quantized)])
            exact = apply(layer, exact, label, latent[: len(exact)])
            of_output = quantizations[position]
            if of_output is not None:
                quantization = of_output
                quantized = torch.from_numpy(quantization.dequantize(quantization.quantize(quantized.numpy())))
    return rounded


def _round(layer: Weighted, following: list[Layer], quantized: Tensor, exact: Tensor, input_scale: float) -> IntegerWeights:
    if isinstance(layer, Dense):
        # The pixels of an image share one scale for each channel, as after a convolution.
        channels = following[0].channels if following and isinstance(following[0], ToImage) else None
        return integer_weights(layer.weight, layer.bias, input_scale, input_moments(quantized, exact), channels)
    if isinstance(layer, Convolution):
        pads = (layer.padding, layer.padding)
        moments = input_moments(quantized, exact, layer.weight.shape[2], pads)
        return integer_weights(layer.weight, layer.bias, input_scale, moments)
    plain = _subpixel(layer, quantized)
    moments = input_moments(quantized, exact, plain.weight.shape[2], (plain.pad_before, plain.pad_after))
    return _round_phases(plain, moments, input_scale)


def _round_phases(plain: SubpixelConvolution, moments: InputMoments, input_scale: float) -> IntegerWeights:
    """Round each phase separately and return the weights of all; they stay zero where a phase has none."""
    outputs, channels, size, _ = plain.weight.shape
    values = np.zeros(plain.weight.shape, np.int8)
    scales, bias = np.zeros(outputs, np.float32), np.zeros(outputs, np.int32)
    inputs = np.arange(size * size * channels).reshape(size, size, channels)
    for phase in phases(plain):
        weight = plain.weight[phase.outputs, :, phase.rows, phase.columns]
        of_phase = moments.of(inputs[phase.rows, phase.columns].ravel())
        rounded = integer_weights(weight, plain.bias[phase.outputs], input_scale, of_phase)
        values[phase.outputs, :, phase.rows, phase.columns] = rounded.values
        scales[phase.outputs], bias[phase.outputs] = rounded.scales, rounded.bias
    return IntegerWeights(values, scales, bias)


def _apply_rounded(layer: Weighted, weights: IntegerWeights, quantized: Tensor, input_scale: float) -> Tensor:
    """Return the output of a layer with its integer weights."""
    weight, bias = weights.dequantized(), weights.dequantized_bias(input_scale)
    if not isinstance(layer, TransposedConvolution):
        return apply(replace(layer, weight=weight, bias=bias), quantized)
    plain = _subpixel(layer, quantized)
    padded = functional.pad(quantized, (plain.pad_before, plain.pad_after) * 2)
    convolved = functional.conv2d(padded, torch.from_numpy(weight), torch.from_numpy(bias))
    by_phase = convolved.reshape(len(convolved), plain.stride**2, -1, plain.convolved_size, plain.convolved_size)
    image = functional.pixel_shuffle(by_phase.transpose(1, 2).flatten(1, 2), plain.stride)
    return image[:, :, : plain.output_size, : plain.output_size]


def _subpixel(layer: TransposedConvolution, inputs: Tensor) -> SubpixelConvolution:
    height, width = inputs.shape[2:]
    if height != width:
        raise ExportError(f"cannot export a transposed convolution of {height}x{width} pixels: expected a square")
    return subpixel_convolution(layer, height)
