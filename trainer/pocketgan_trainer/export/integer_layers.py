"""How each layer is written with integers: a uint8 tensor goes in, and a uint8 tensor comes out.

Every layer with weights becomes a convolution between a DequantizeLinear and a QuantizeLinear node (the QDQ form), a pattern that
onnxruntime fuses into one integer kernel, and so does a function of one number. Layers that merely move pixels work on the uint8
tensors themselves. Between the layers, images are stored channels last, as onnxruntime's integer convolutions want them: its own
transposes cancel against the ones written here.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.calibration import LATENT_QUANTIZATION, Quantization
from pocketgan_trainer.export.graph_builder import GraphBuilder
from pocketgan_trainer.export.layers import ClassInput, Noise, ToImage
from pocketgan_trainer.export.weights import IntegerWeights

FLAT = 0
"""The height of features that are not an image."""


@dataclass(frozen=True)
class QuantizedTensor:
    """A uint8 tensor in the graph, and what its integers stand for."""

    name: str
    quantization: Quantization
    height: int
    """FLAT while the features are not an image: then the tensor is [1, N, 1, C], with one row for each image of the batch."""
    width: int
    channels: int
    stride: int = 1
    """If above 1, the channels are the phases of an image `stride` times as large: channel (a*stride + b)*C + c is channel c of
    rows a and columns b, modulo stride."""
    columns: int = 1
    """The tensor of an image is [N, height, width/columns, columns*channels]: byte for byte [N, height, width, channels]."""


@dataclass(frozen=True)
class Kernel:
    """Integer weights of a convolution, in the order in which they are written."""

    values: NDArray[np.int8]
    """[out, in, k, l]"""
    scales: NDArray[np.float32]
    """Output r has scale r modulo their number."""
    bias: NDArray[np.int32]
    """[out], in units of the input's scale times `scales`."""


def latent(graph: GraphBuilder, latent_size: int, used_size: int | None = None) -> QuantizedTensor:
    """Emit the integers of the latents, or of the first `used_size` of them."""
    size = used_size or latent_size
    used = "z" if size == latent_size else graph.slice("z.style", "z", 0, size, axis=1)
    rows = graph.reshape("z.rows", used, [1, -1, 1, size])
    name = graph.quantize("z.stored", rows, LATENT_QUANTIZATION)
    return QuantizedTensor(name, LATENT_QUANTIZATION, FLAT, width=1, channels=size)


def noise(graph: GraphBuilder, name: str, layer: Noise, current: QuantizedTensor) -> QuantizedTensor:
    """Emit an image with channels of noise appended, whose integers are those of the latents, negative ones clipped to 0.

    Raises ExportError if they would not stand for the noise in the image's quantization, see `calibration.with_shared_scales`.
    """
    is_shared = math.isclose(layer.gain * current.quantization.scale, LATENT_QUANTIZATION.scale)
    if current.quantization.zero_point != 0 or not is_shared:
        raise ExportError("cannot export noise here: expected it after a ReLU, and a convolution next")
    count = layer.channels * current.height * current.width
    chosen = graph.slice(f"{name}.latents", "z", layer.first, layer.first + count, axis=1)
    stored = graph.quantize(f"{name}.stored", chosen, replace(LATENT_QUANTIZATION, zero_point=0))
    image = graph.reshape(f"{name}.image", stored, [-1, current.height, current.width, layer.channels])
    features = unpack_columns(graph, name, current)
    joined = graph.node("Concat", name, features.name, image, axis=3)
    return replace(features, name=joined, channels=current.channels + layer.channels)


def class_input(graph: GraphBuilder, name: str, layer: ClassInput, current: QuantizedTensor) -> QuantizedTensor:
    """Emit the latent with the class appended, as a row of a table of integers.

    Raises ExportError if the table would not be exact.
    """
    one_hot = np.eye(layer.classes) * layer.value
    table = LATENT_QUANTIZATION.quantize(one_hot)
    if not np.array_equal(LATENT_QUANTIZATION.dequantize(table), one_hot):
        raise ExportError(
            f"cannot export a class input of {layer.value}: expected a multiple of the latents' step {LATENT_QUANTIZATION.scale} "
            "within their range, so that storing it is exact"
        )
    rows = graph.constant(f"{name}.table", table.reshape(1, layer.classes, 1, layer.classes))
    chosen = graph.node("Gather", f"{name}.asked", rows, "label", axis=1)
    return replace(
        current, name=graph.node("Concat", name, current.name, chosen, axis=3), channels=current.channels + layer.classes
    )


def dense(
    graph: GraphBuilder,
    name: str,
    weights: IntegerWeights,
    image: ToImage | None,
    factor: float,
    current: QuantizedTensor,
    output: Quantization,
) -> QuantizedTensor:
    """Emit `factor` times a dense layer; if its features become an `image`, in the order of that image in memory.

    It is written as a 1x1 convolution whose pixels are the images of the batch: with a scale for each output, onnxruntime's
    integer convolution is faster than its integer matrix product, above all for one image at a time. There is one scale for each
    feature, or one for each channel of the image.
    """
    rows = weights.in_order_of_image(image)
    kernel = Kernel(rows.values[:, :, None, None], rows.scales, rows.bias)
    return convolve(graph, name, kernel, factor, (0, 0, 0, 0), current, output)


def to_image(graph: GraphBuilder, name: str, layer: ToImage, current: QuantizedTensor) -> QuantizedTensor:
    """Emit the image of features, which `dense` has already put into the image's order."""
    shape = [-1, layer.height, layer.width, layer.channels]
    image = graph.reshape(name, current.name, shape)
    return QuantizedTensor(image, current.quantization, layer.height, layer.width, layer.channels)


def lookup_table(
    graph: GraphBuilder,
    name: str,
    operator: str,
    attributes: dict[str, float],
    current: QuantizedTensor,
    output: Quantization,
) -> QuantizedTensor:
    """Emit an elementwise function, which onnxruntime turns into a table of 256 entries."""
    numbers = graph.dequantize(f"{name}.input", current.name, current.quantization)
    result = graph.node(operator, f"{name}.result", numbers, **attributes)
    return replace(current, name=graph.quantize(name, result, output), quantization=output)


def convolve(
    graph: GraphBuilder,
    name: str,
    kernel: Kernel,
    factor: float,
    pads: tuple[int, int, int, int],
    current: QuantizedTensor,
    output: Quantization,
) -> QuantizedTensor:
    """Emit `factor` times a convolution of stride 1; `pads` are rows and columns of zeros at the top, left, bottom and right.

    Flat features are taken as an image of one column.
    """
    scales = kernel.scales * np.float32(factor)
    outputs, _, rows, size = kernel.values.shape
    top, left, bottom, right = pads
    height = current.height + top + bottom - rows + 1 if current.height != FLAT else FLAT
    width = current.width + left + right - size + 1
    columns = best_packing(kernel.values.shape, height or 1, width).columns
    if columns == 1:
        integers = graph.constant(f"{name}.weight.integers", kernel.values)
    else:
        integers = widen_kernel(graph, f"{name}.weight", kernel.values, columns)
    bias = graph.constant(f"{name}.bias.integers", np.tile(kernel.bias, columns))
    channels_first = graph.transpose(f"{name}.channels_first", unpack_columns(graph, name, current).name, [0, 3, 1, 2])
    product = graph.node(
        "Conv",
        f"{name}.product",
        graph.dequantize(f"{name}.input", channels_first, current.quantization),
        graph.dequantize_rows(f"{name}.weight", integers, columns * outputs, scales),
        graph.dequantize_rows(f"{name}.bias", bias, columns * outputs, scales * np.float32(current.quantization.scale)),
        kernel_shape=[rows, size + columns - 1],
        strides=[1, columns],
        pads=list(pads),
    )
    channels_last = graph.transpose(name, graph.quantize(f"{name}.stored", product, output), [0, 2, 3, 1])
    return QuantizedTensor(channels_last, output, height, width, outputs, columns=columns)


def unpack_columns(graph: GraphBuilder, name: str, current: QuantizedTensor) -> QuantizedTensor:
    """Emit the change of shape of an image to [N, height, width, channels], if it has packed columns."""
    if current.columns == 1:
        return current
    shape = [-1, current.height, current.width, current.channels]
    return replace(current, name=graph.reshape(f"{name}.columns", current.name, shape), columns=1)


# Packing: with few channels, moving data would cost more than the products, so a convolution computes several columns at once.


@dataclass(frozen=True)
class Packing:
    """How many columns of its result a convolution computes at once, and what it then costs."""

    columns: int
    """The width of the result is a multiple of it."""
    cost: int
    """For one image, see `convolution_cost`."""


def best_packing(kernel_shape: tuple[int, ...], height: int, width: int) -> Packing:
    """Return the packing that costs least for a kernel [out, in, k, l] and a result of `height` x `width`."""
    outputs, inputs, rows, size = kernel_shape
    packings = [
        Packing(columns, convolution_cost(height * width // columns, columns * outputs, inputs, rows, size + columns - 1))
        for columns in range(1, width + 1)
        if width % columns == 0
    ]
    return min(packings, key=lambda packing: packing.cost)


def widen_kernel(graph: GraphBuilder, name: str, values: NDArray[np.int8], columns: int) -> str:
    """Emit the kernel that computes `columns` columns at once, given the one for a single column, `values` [out, in, k, l].

    Its shape is [columns*out, in, k, l + columns - 1]; neighbouring weights stay neighbours, or get zeros between them.
    """
    outputs, inputs, rows, size = values.shape
    narrow = graph.constant(f"{name}.narrow", np.pad(values, ((0, 0), (0, 0), (0, 0), (0, 1))))
    step = np.arange(size + columns - 1) - np.arange(columns)[:, None]
    # [columns, l + columns - 1]: the column of the narrow kernel to take; column l, added above, is zero.
    chosen = np.where((step >= 0) & (step < size), step, size).astype(np.int32)
    gathered = graph.node("Gather", f"{name}.gathered", narrow, graph.constant(f"{name}.chosen", chosen), axis=3)
    wide = graph.transpose(f"{name}.wide", gathered, [3, 0, 1, 2, 4])
    return graph.reshape(f"{name}.integers", wide, [columns * outputs, inputs, rows, size + columns - 1])


_OUTPUTS_AT_A_TIME = 16
# The multiply-adds that take about as long as one copy, and as calling one kernel: measured on a Zen 5 with AVX512-VNNI, on the
# layers of pocket and nano, and on transposed convolutions of several sizes.
_COPY = 1500
_CALL = 400_000


def convolution_cost(positions: int, outputs: int, inputs: int, kernel_rows: int, kernel_columns: int) -> int:
    """Return roughly what a convolution costs for one image, in multiply-adds.

    `positions` is how often the kernel is applied; `outputs` and `inputs` are channels.
    """
    products = inputs * kernel_rows * kernel_columns
    multiplied = -(-outputs // _OUTPUTS_AT_A_TIME) * _OUTPUTS_AT_A_TIME * products
    # A 1x1 kernel reads pixels where they are.
    copied = 0 if kernel_rows == kernel_columns == 1 else kernel_rows * _COPY
    return _CALL + positions * (multiplied + copied)
