"""The exact rewrite of a transposed convolution as a plain one, for which integer kernels exist.

A transposed convolution of stride s scatters: full[s*i + k] += x[i] * W[k]. Read from the output's side, output row s*i + a
gathers x[i + offset] * W[k] over the few pairs with k = s*(shift - offset) + phase, where a + cut_before = s*shift + phase. So
each of the s*s phases of the output is an ordinary stride-1 convolution of the input: give each phase its own output channels,
convolve once, and interleave.

Source of the idea: W. Shi et al., "Is the deconvolution layer the same as a convolutional layer?", 2016.
"""

from dataclasses import dataclass

import numpy as np

from pocketgan_trainer.export.layers import Array, TransposedConvolution


@dataclass(frozen=True)
class SubpixelConvolution:
    """A stride-1 convolution whose output channels are the phases of an image `stride` times as large."""

    weight: Array
    """[stride*stride*out, in, k, k]; output channel (a*stride + b)*out + c is channel c of rows a and columns b modulo stride."""
    bias: Array
    """[stride*stride*out]"""
    stride: int
    pad_before: int
    """Rows and columns of zeros at the top and the left."""
    pad_after: int
    """The same at the bottom and the right."""
    convolved_size: int
    """Height and width of the convolution's output; interleaved it is `stride` times as large."""
    output_size: int
    """Height and width that remain of the interleaved image, from its top left corner."""


def rewrite(layer: TransposedConvolution, input_size: int) -> SubpixelConvolution:
    """Return the convolution that equals `layer` on inputs [N, in, input_size, input_size]: the same products, summed."""
    channels_in, channels_out, kernel_size, _ = layer.weight.shape
    stride = layer.stride
    # taps[a] lists the pairs (offset into the input, row of W) that phase a gathers.
    taps = []
    for phase_of_output in range(stride):
        shift, phase = divmod(phase_of_output + layer.cut_before, stride)
        taps.append([(shift - step, stride * step + phase) for step in range(kernel_size) if stride * step + phase < kernel_size])
    offsets = [offset for phase_taps in taps for offset, _ in phase_taps]
    first, last = min(0, *offsets), max(0, *offsets)

    size = last - first + 1
    weight = np.zeros((stride, stride, channels_out, channels_in, size, size))
    for a, row_taps in enumerate(taps):
        for b, column_taps in enumerate(taps):
            for row_offset, row in row_taps:
                for column_offset, column in column_taps:
                    weight[a, b, :, :, row_offset - first, column_offset - first] = layer.weight[:, :, row, column].T

    output_size = layer.output_size(input_size)
    pad_after = max(0, -(-output_size // stride) - input_size + last)
    return SubpixelConvolution(
        weight=weight.reshape(stride * stride * channels_out, channels_in, size, size),
        bias=np.tile(layer.bias, stride * stride),
        stride=stride,
        pad_before=-first,
        pad_after=pad_after,
        convolved_size=input_size - first + pad_after - size + 1,
        output_size=output_size,
    )
