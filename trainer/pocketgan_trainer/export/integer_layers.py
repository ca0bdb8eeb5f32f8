"""How each layer is written with integers: what goes in and comes out is a stored tensor, uint8 on a grid.

A layer with weights, or a function of one number, is emitted between a step from integers to numbers and one back (the QDQ form),
a pattern that onnxruntime fuses into one integer kernel. All that merely moves pixels works on the uint8 tensors themselves.
Between the layers, images lie in memory channels last, as onnxruntime's integer convolutions want them: its own transposes
cancel against the ones written here.
"""

from dataclasses import dataclass, replace

import numpy as np

from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.column_packing import pack_columns
from pocketgan_trainer.export.grids import LATENT_GRID, Grid
from pocketgan_trainer.export.integer_weights import IntegerWeights
from pocketgan_trainer.export.layers import ClassInput, PixelShuffle, ToImage, TransposedConvolution
from pocketgan_trainer.export.nodes import GraphNotes
from pocketgan_trainer.export.subpixel import rewrite


@dataclass(frozen=True)
class Stored:
    """A tensor of integers in the graph that is being written."""

    name: str
    grid: Grid
    height: int
    """0 while the features are flat, [N, C]; else the tensor is [N, height, width/columns, columns*channels]."""
    width: int
    channels: int
    stride: int = 1
    """Above 1: channel (a*stride + b)*C + c is channel c of rows a and columns b, modulo stride, of an image so much larger."""
    columns: int = 1
    """How many neighbouring columns the tensor has as one, see `column_packing`."""


def class_input(notes: GraphNotes, name: str, layer: ClassInput, current: Stored) -> Stored:
    """Emit the asked class, looked up in a table of stored integers, beside the latent.

    Raises ExportError if the table would not be exact.
    """
    asked = np.eye(layer.classes) * layer.value
    table = LATENT_GRID.store(asked)
    if not np.array_equal(LATENT_GRID.load(table), asked):
        raise ExportError(
            f"cannot export a class input of {layer.value}: expected a multiple of the latents' step {LATENT_GRID.scale} within "
            "their range, so that storing it is exact"
        )
    row = notes.node("Gather", f"{name}.asked", notes.constant(f"{name}.table", table), "label", axis=0)
    name = notes.node("Concat", name, current.name, row, axis=1)
    return replace(current, name=name, channels=current.channels + layer.classes)


def dense(
    notes: GraphNotes, name: str, weights: IntegerWeights, image: ToImage | None, factor: float, current: Stored, grid: Grid
) -> Stored:
    """Emit `factor` times a dense layer; if its features become an `image`, in the order that this has in memory.

    If the pixels of the image share one scale for each channel, these are the scales of the features in turn.
    """
    values, scales, bias = weights.values, weights.scales, weights.bias
    if image is not None:
        order = np.arange(len(bias)).reshape(image.channels, image.height, image.width).transpose(1, 2, 0).ravel()
        values, bias = values[order], bias[order]
        scales = scales[order] if len(scales) == len(order) else scales
    scales = scales * np.float32(factor)
    product = notes.node(
        "Gemm",
        f"{name}.product",
        notes.load(f"{name}.input", current.name, current.grid),
        notes.load_weights(f"{name}.weight", values, scales),
        notes.load_weights(f"{name}.bias", bias, scales * np.float32(current.grid.scale)),
        transB=1,
    )
    return Stored(notes.store(name, product, grid), grid, height=0, width=0, channels=len(bias))


def to_image(notes: GraphNotes, name: str, layer: ToImage, current: Stored) -> Stored:
    """Emit the change of shape of features whose dense layer has its rows in this order already."""
    shape = [-1, layer.height, layer.width, layer.channels]
    return Stored(notes.reshape(name, current.name, shape), current.grid, layer.height, layer.width, layer.channels)


def convolution(
    notes: GraphNotes,
    name: str,
    weights: IntegerWeights,
    shuffle: PixelShuffle | None,
    factor: float,
    current: Stored,
    grid: Grid,
) -> Stored:
    """Emit `factor` times a convolution; if a `shuffle` comes after it, with its output channels in the order of phases."""
    stride = 1
    if shuffle is not None:
        stride = shuffle.factor
        order = np.arange(len(weights.bias)).reshape(-1, stride, stride).transpose(1, 2, 0).ravel()
        weights = IntegerWeights(weights.values[order], weights.scales[order], weights.bias[order])
    packed = pack_columns(weights, current.width)
    pads = (packed.padding_rows, packed.padding_columns) * 2
    image = _convolve(notes, name, packed.weights, factor, pads, _with_columns(notes, name, current, packed.columns), grid)
    return Stored(image, grid, current.height, current.width, len(weights.bias), stride, packed.columns)


def pixel_shuffle(notes: GraphNotes, name: str, layer: PixelShuffle, current: Stored) -> Stored:
    """Emit the interleaving of phases. Raises ExportError if the channels are not those of a convolution before it."""
    if current.stride != layer.factor:
        raise ExportError(
            f"cannot export a pixel shuffle by {layer.factor} here: expected it to follow a convolution, with at most an "
            "activation between"
        )
    return _interleave(notes, name, current)


def transposed_convolution(
    notes: GraphNotes,
    name: str,
    layer: TransposedConvolution,
    weights: IntegerWeights,
    factor: float,
    current: Stored,
    grid: Grid,
) -> Stored:
    """Emit `factor` times a transposed convolution of square images, as a plain one of all phases, of which the `weights` are."""
    plain = rewrite(layer, current.height)
    pads = (plain.pad_before, plain.pad_before, plain.pad_after, plain.pad_after)
    image = _convolve(notes, name, weights, factor, pads, _with_columns(notes, name, current, 1), grid)
    size = plain.convolved_size
    phases = Stored(image, grid, size, size, len(plain.bias), plain.stride)
    return _crop(notes, name, _interleave(notes, name, phases), plain.output_size)


def table(notes: GraphNotes, name: str, operator: str, attributes: dict[str, float], current: Stored, grid: Grid) -> Stored:
    """Emit a function of one number, for which onnxruntime makes a table of 256 entries."""
    numbers = notes.load(f"{name}.input", current.name, current.grid)
    result = notes.node(operator, f"{name}.result", numbers, **attributes)
    return replace(current, name=notes.store(name, result, grid), grid=grid)


def _convolve(
    notes: GraphNotes,
    name: str,
    weights: IntegerWeights,
    factor: float,
    pads: tuple[int, int, int, int],
    current: Stored,
    grid: Grid,
) -> str:
    """Emit `factor` times a convolution of stride 1, weights [out, in, k, l]; `pads` are at the top, left, bottom and right."""
    scales = weights.scales * np.float32(factor)
    channels_first = notes.transpose(f"{name}.channels_first", current.name, [0, 3, 1, 2])
    product = notes.node(
        "Conv",
        f"{name}.product",
        notes.load(f"{name}.input", channels_first, current.grid),
        notes.load_weights(f"{name}.weight", weights.values, scales),
        notes.load_weights(f"{name}.bias", weights.bias, scales * np.float32(current.grid.scale)),
        kernel_shape=list(weights.values.shape[2:]),
        pads=list(pads),
    )
    return notes.transpose(f"{name}.channels_last", notes.store(f"{name}.stored", product, grid), [0, 2, 3, 1])


def _interleave(notes: GraphNotes, name: str, current: Stored) -> Stored:
    """Emit the image whose phases lie in the channels."""
    stride, height, width = current.stride, current.height, current.width
    if stride == 1:
        return current
    channels = current.channels // stride**2
    phases = notes.reshape(f"{name}.phases", current.name, [-1, height, width, stride, stride, channels])
    interleaved = notes.transpose(f"{name}.interleaved", phases, [0, 1, 3, 2, 4, 5])
    height, width = height * stride, width * stride
    image = notes.reshape(f"{name}.image", interleaved, [-1, height, width, channels])
    return Stored(image, current.grid, height, width, channels)


def _with_columns(notes: GraphNotes, name: str, current: Stored, columns: int) -> Stored:
    """Emit the change of shape to so many columns as one."""
    if current.columns == columns:
        return current
    shape = [-1, current.height, current.width // columns, columns * current.channels]
    return replace(current, name=notes.reshape(f"{name}.columns", current.name, shape), columns=columns)


def _crop(notes: GraphNotes, name: str, current: Stored, size: int) -> Stored:
    """Emit the top left corner of a square image."""
    if current.height == size:
        return current
    limits = [np.asarray(values, dtype=np.int64) for values in ([0, 0], [size, size], [1, 2])]
    starts, ends, axes = (
        notes.constant(f"{name}.{part}", values) for part, values in zip(("starts", "ends", "axes"), limits, strict=True)
    )
    cropped = notes.node("Slice", f"{name}.cropped", current.name, starts, ends, axes)
    return replace(current, name=cropped, height=size, width=size)
