"""Enlarges images with integers: plain convolutions compute each phase of the larger image, then the phases are interleaved.

The phases of an image, at a stride s, are its rows a, a+s, ... and columns b, b+s, ... for each a and b below s. A convolution
before a pixel shuffle already computes them. A transposed convolution, for which onnxruntime has no integer kernel, is rewritten
as an exactly equal plain one: it scatters, full[s*i + k] += x[i] * W[k]; so output row s*i + a gathers x[i + offset] * W[k] over
the few pairs with k = s*(shift - offset) + phase, where a + cut_before = s*shift + phase. Each of the s*s phases is an ordinary
convolution of stride 1 with its own output channels.

Source of the idea: W. Shi et al., "Is the deconvolution layer the same as a convolutional layer?", 2016.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.calibration import Quantization
from pocketgan_trainer.export.graph_builder import GraphBuilder
from pocketgan_trainer.export.integer_layers import Kernel, QuantizedTensor, best_packing, convolve, unpack_columns
from pocketgan_trainer.export.layers import Array, Convolution, PixelShuffle, TransposedConvolution
from pocketgan_trainer.export.weights import IntegerWeights


@dataclass(frozen=True)
class SubpixelConvolution:
    """A convolution of stride 1 whose output channels are the phases of an image `stride` times as large."""

    weight: Array
    """[stride*stride*out, in, k, k]; output channel (a*stride + b)*out + c is channel c of rows a and columns b modulo stride."""
    bias: Array
    """[stride*stride*out]"""
    windows: tuple[slice, ...]
    """For each phase a of the rows, the rows of the kernel that have weights; the same for columns."""
    stride: int
    pad_before: int
    """Rows and columns of zeros at the top and the left."""
    pad_after: int
    """The same at the bottom and the right."""
    convolved_size: int
    """Height and width of the convolution's output; interleaved it is `stride` times as large."""
    output_size: int
    """Height and width of the result: the top left corner of the interleaved image."""


def subpixel_convolution(layer: TransposedConvolution, input_size: int) -> SubpixelConvolution:
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


@dataclass(frozen=True)
class Phase:
    """One phase of a SubpixelConvolution, as a separate convolution."""

    outputs: slice
    """Its channels among those of the whole convolution."""
    rows: slice
    """The rows of the whole convolution's kernel in which this phase has weights."""
    columns: slice
    kernel_rows: slice
    """The same, with rows of zeros added where the convolution would otherwise have to begin or end inside the image."""
    kernel_columns: slice
    pads: tuple[int, int, int, int]
    """Rows and columns of zeros at the top, left, bottom and right of the image, for kernel_rows and kernel_columns."""


def phases(convolution: SubpixelConvolution) -> Iterator[Phase]:
    """Yield the phases in the order of their channels, each without the rows and columns of the kernel that are zero for it."""
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


def transposed_convolution(
    graph: GraphBuilder,
    name: str,
    layer: TransposedConvolution,
    weights: IntegerWeights,
    factor: float,
    current: QuantizedTensor,
    output: Quantization,
) -> QuantizedTensor:
    """Emit `factor` times a transposed convolution of square images; `weights` are those of its SubpixelConvolution.

    This is one convolution of all phases if that costs less, else one for each phase, some of which have smaller kernels.
    """
    plain = subpixel_convolution(layer, current.height)
    whole = Kernel(weights.values, weights.scales, weights.bias)
    parts = list(phases(plain))
    kernels = [
        Kernel(
            weights.values[part.outputs, :, part.kernel_rows, part.kernel_columns],
            weights.scales[part.outputs],
            weights.bias[part.outputs],
        )
        for part in parts
    ]
    size = plain.convolved_size
    together, *each = (best_packing(kernel.values.shape, size, size).cost for kernel in (whole, *kernels))
    if sum(each) < together:
        images = [
            convolve(graph, f"{name}.phase{number}", kernel, factor, part.pads, current, output)
            for number, (kernel, part) in enumerate(zip(kernels, parts, strict=True))
        ]
        larger = _join_phases(graph, name, images, plain.stride)
    else:
        pads = (plain.pad_before, plain.pad_before, plain.pad_after, plain.pad_after)
        image = convolve(graph, f"{name}.phases", whole, factor, pads, current, output)
        larger = interleave(graph, name, replace(image, stride=plain.stride))
    return _crop(graph, name, larger, plain.output_size)


def convolution(
    graph: GraphBuilder,
    name: str,
    layer: Convolution,
    weights: IntegerWeights,
    shuffle: PixelShuffle | None,
    factor: float,
    current: QuantizedTensor,
    output: Quantization,
) -> QuantizedTensor:
    """Emit `factor` times a convolution; if a `shuffle` follows it, with its output channels in the order of phases."""
    stride = 1 if shuffle is None else shuffle.factor
    phases = weights.in_order_of_phases(stride)
    kernel = Kernel(phases.values, phases.scales, phases.bias)
    return replace(convolve(graph, name, kernel, factor, (layer.padding,) * 4, current, output), stride=stride)


def pixel_shuffle(graph: GraphBuilder, name: str, layer: PixelShuffle, current: QuantizedTensor) -> QuantizedTensor:
    """Emit the interleaving of phases. Raises ExportError if the channels are not those of a convolution before it."""
    if current.stride != layer.factor:
        raise ExportError(
            f"cannot export a pixel shuffle by {layer.factor} here: expected it to follow a convolution, with at most an "
            "activation in between"
        )
    return interleave(graph, name, current)


# onnxruntime's Transpose moves pieces of these sizes in one step; it copies other sizes more slowly than Gather.
_QUICKLY_TRANSPOSED_BYTES = (1, 2, 4, 8)


def interleave(graph: GraphBuilder, name: str, current: QuantizedTensor) -> QuantizedTensor:
    """Emit the image whose phases are the channels of `current`."""
    stride, height, width = current.stride, current.height, current.width
    if stride == 1:
        return current
    channels = current.channels // stride**2
    # Only the phases of rows are moved: those of columns are adjacent already.
    if stride * channels in _QUICKLY_TRANSPOSED_BYTES:
        pieces = graph.reshape(f"{name}.pieces", current.name, [-1, height, width, stride, stride * channels])
        moved = graph.transpose(f"{name}.moved", pieces, [0, 1, 3, 2, 4])
    else:
        pieces = graph.reshape(f"{name}.pieces", current.name, [-1, height * width * stride, stride * channels])
        order = np.arange(height * width * stride, dtype=np.int32).reshape(height, width, stride).transpose(0, 2, 1)
        moved = graph.node("Gather", f"{name}.moved", pieces, graph.constant(f"{name}.order", order.ravel()), axis=1)
    return _as_image(graph, name, moved, current.quantization, height * stride, width * stride, channels)


def _join_phases(graph: GraphBuilder, name: str, images: Sequence[QuantizedTensor], stride: int) -> QuantizedTensor:
    """Emit the image whose phases are separate `images`, in the order of rows and, within these, of columns."""
    first = images[0]
    names = [unpack_columns(graph, f"{name}.made{number}", image).name for number, image in enumerate(images)]
    rows = []
    for a in range(stride):
        row = graph.node("Concat", f"{name}.row{a}", *names[a * stride : (a + 1) * stride], axis=3)
        rows.append(graph.reshape(f"{name}.row{a}.flat", row, [-1, first.height, 1, first.width * stride * first.channels]))
    joined = graph.node("Concat", f"{name}.joined", *rows, axis=2)
    return _as_image(graph, name, joined, first.quantization, first.height * stride, first.width * stride, first.channels)


def _as_image(
    graph: GraphBuilder, name: str, tensor: str, quantization: Quantization, height: int, width: int, channels: int
) -> QuantizedTensor:
    image = graph.reshape(f"{name}.image", tensor, [-1, height, width, channels])
    return QuantizedTensor(image, quantization, height, width, channels)


def _crop(graph: GraphBuilder, name: str, current: QuantizedTensor, size: int) -> QuantizedTensor:
    """Emit the top left corner of a square image."""
    if current.height == size:
        return current
    limits = [np.asarray(values, dtype=np.int64) for values in ([0, 0], [size, size], [1, 2])]
    starts, ends, axes = (
        graph.constant(f"{name}.{part}", values) for part, values in zip(("starts", "ends", "axes"), limits, strict=True)
    )
    unpacked = unpack_columns(graph, name, current)
    cropped = graph.node("Slice", f"{name}.cropped", unpacked.name, starts, ends, axes)
    return replace(unpacked, name=cropped, height=size, width=size)
