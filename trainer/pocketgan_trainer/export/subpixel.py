"""The exact rewrite of a transposed convolution as a plain one, for which integer kernels exist.

A transposed convolution of stride s scatters: full[s*i + k] += x[i] * W[k]. Read from the output's side, output row s*i + a
gathers x[i + offset] * W[k] over the few pairs with k = s*(shift - offset) + phase, where a + cut_before = s*shift + phase. So
each of the s*s phases of the output is an ordinary stride-1 convolution of the input: give each phase its own output channels,
convolve once, and interleave.

Source of the idea: W. Shi et al., "Is the deconvolution layer the same as a convolutional layer?", 2016.
"""

from collections.abc import Iterator
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
    windows: tuple[slice, ...]
    """For each phase a of the rows, which rows of the kernel are not zero because they must be; the same for columns."""
    stride: int
    pad_before: int
    """Rows and columns of zeros at the top and the left."""
    pad_after: int
    """The same at the bottom and the right."""
    convolved_size: int
    """Height and width of the convolution's output; interleaved it is `stride` times as large."""
    output_size: int
    """Height and width that remain of the interleaved image, from its top left corner."""


@dataclass(frozen=True)
class Phase:
    """What a SubpixelConvolution does for one phase of the image, as a convolution of its own."""

    outputs: slice
    """Of the whole convolution's channels."""
    rows: slice
    """Of the whole convolution's kernel: where this phase has weights."""
    columns: slice
    kernel_rows: slice
    """The same and, if the convolution would have to begin or end within the image, some that are zero."""
    kernel_columns: slice
    pads: tuple[int, int, int, int]
    """Rows and columns of zeros at the top, left, bottom and right of the image, for kernel_rows and kernel_columns."""


def phases(convolution: SubpixelConvolution) -> Iterator[Phase]:
    """Yield the phases in the order of their channels: without the rows and columns of the kernel that are zero for them."""
    count = len(convolution.bias) // convolution.stride**2
    size = convolution.weight.shape[2]
    for a, rows in enumerate(convolution.windows):
        for b, columns in enumerate(convolution.windows):
            first = (a * convolution.stride + b) * count
            kernel_rows, kernel_columns = (
                slice(min(part.start, convolution.pad_before), max(part.stop, size - convolution.pad_after))
                for part in (rows, columns)
            )
            top, left = (convolution.pad_before - part.start for part in (kernel_rows, kernel_columns))
            bottom, right = (convolution.pad_after - (size - part.stop) for part in (kernel_rows, kernel_columns))
            outputs = slice(first, first + count)
            yield Phase(outputs, rows, columns, kernel_rows, kernel_columns, (top, left, bottom, right))


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
    pad_before, pad_after = -first, max(0, -(-output_size // stride) - input_size + last)
    windows = []
    for phase_taps in taps:
        used = [offset - first for offset, _ in phase_taps] or [pad_before]
        windows.append(slice(min(used), max(used) + 1))
    return SubpixelConvolution(
        weight=weight.reshape(stride * stride * channels_out, channels_in, size, size),
        bias=np.tile(layer.bias, stride * stride),
        windows=tuple(windows),
        stride=stride,
        pad_before=pad_before,
        pad_after=pad_after,
        convolved_size=input_size - first + pad_after - size + 1,
        output_size=output_size,
    )
