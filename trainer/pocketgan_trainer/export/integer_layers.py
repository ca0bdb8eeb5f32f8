"""How each layer is written with integers: what goes in and comes out is a stored tensor, uint8 on a grid.

Every layer with weights becomes a convolution between a step from integers to numbers and one back (the QDQ form), a pattern that
onnxruntime fuses into one integer kernel, and so does a function of one number. All that merely moves pixels works on the uint8
tensors themselves. Between the layers, images lie in memory channels last, as onnxruntime's integer convolutions want them: its
own transposes cancel against the ones written here.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.grids import LATENT_GRID, Grid
from pocketgan_trainer.export.layers import ClassInput, ToImage
from pocketgan_trainer.export.nodes import GraphNotes
from pocketgan_trainer.export.packing import best_packing, widened
from pocketgan_trainer.export.weights import IntegerWeights

FLAT = 0
"""The height of features that are no image."""


@dataclass(frozen=True)
class Stored:
    """A tensor of integers in the graph that is being written."""

    name: str
    grid: Grid
    height: int
    """FLAT while the features are no image: then the tensor is [1, N, 1, C], one row of it for each image of the batch."""
    width: int
    channels: int
    stride: int = 1
    """Above 1: channel (a*stride + b)*C + c is channel c of rows a and columns b, modulo stride, of an image so much larger."""
    columns: int = 1
    """The tensor of an image is [N, height, width/columns, columns*channels]: byte for byte [N, height, width, channels]."""


@dataclass(frozen=True)
class Kernel:
    """Integer weights in the order in which they are written."""

    values: NDArray[np.int8]
    """[out, in, k, l]"""
    scales: NDArray[np.float32]
    """Output r has scale r modulo their number."""
    bias: NDArray[np.int32]
    """[out], in units of the input's scale times `scales`."""


def latent(notes: GraphNotes, latent_size: int) -> Stored:
    """Emit the latents' integers."""
    rows = notes.reshape("z.rows", "z", [1, -1, 1, latent_size])
    return Stored(notes.store("z.stored", rows, LATENT_GRID), LATENT_GRID, FLAT, width=1, channels=latent_size)


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
    rows = notes.constant(f"{name}.table", table.reshape(1, layer.classes, 1, layer.classes))
    asked_rows = notes.node("Gather", f"{name}.asked", rows, "label", axis=1)
    return replace(
        current,
        name=notes.node("Concat", name, current.name, asked_rows, axis=3),
        channels=current.channels + layer.classes,
    )


def dense(
    notes: GraphNotes, name: str, weights: IntegerWeights, image: ToImage | None, factor: float, current: Stored, grid: Grid
) -> Stored:
    """Emit `factor` times a dense layer; if its features become an `image`, in the order that this has in memory.

    It is written as a convolution of one place, to which the images of the batch are rows: with a scale for each output,
    onnxruntime's integer convolution is faster than its integer product of matrices, most of all for one image at a time.
    If the pixels of the image share one scale for each channel, these are the scales of the features in turn.
    """
    values, scales, bias = weights.values, weights.scales, weights.bias
    if image is not None:
        order = np.arange(len(bias)).reshape(image.channels, image.height, image.width).transpose(1, 2, 0).ravel()
        values, bias = values[order], bias[order]
        scales = scales[order] if len(scales) == len(order) else scales
    return convolved(notes, name, Kernel(values[:, :, None, None], scales, bias), factor, (0, 0, 0, 0), current, grid)


def to_image(notes: GraphNotes, name: str, layer: ToImage, current: Stored) -> Stored:
    """Emit the change of shape of features whose dense layer has its rows in this order already."""
    shape = [-1, layer.height, layer.width, layer.channels]
    return Stored(notes.reshape(name, current.name, shape), current.grid, layer.height, layer.width, layer.channels)


def table(notes: GraphNotes, name: str, operator: str, attributes: dict[str, float], current: Stored, grid: Grid) -> Stored:
    """Emit a function of one number, for which onnxruntime makes a table of 256 entries."""
    numbers = notes.load(f"{name}.input", current.name, current.grid)
    result = notes.node(operator, f"{name}.result", numbers, **attributes)
    return replace(current, name=notes.store(name, result, grid), grid=grid)


def convolved(
    notes: GraphNotes,
    name: str,
    kernel: Kernel,
    factor: float,
    pads: tuple[int, int, int, int],
    current: Stored,
    grid: Grid,
) -> Stored:
    """Emit `factor` times a convolution of stride 1; `pads` are rows and columns of zeros at the top, left, bottom and right.

    Flat features are taken as an image of one column.
    """
    scales = kernel.scales * np.float32(factor)
    outputs, _, rows, size = kernel.values.shape
    top, left, bottom, right = pads
    height = current.height + top + bottom - rows + 1 if current.height != FLAT else FLAT
    width = current.width + left + right - size + 1
    packing = best_packing(kernel.values.shape, height or 1, width)
    if packing.columns == 1:
        integers = notes.constant(f"{name}.weight.integers", kernel.values)
    else:
        integers = widened(notes, f"{name}.weight", kernel.values, packing.columns)
    bias = notes.constant(f"{name}.bias.integers", np.tile(kernel.bias, packing.columns))
    channels_first = notes.transpose(f"{name}.channels_first", unpacked(notes, name, current).name, [0, 3, 1, 2])
    product = notes.node(
        "Conv",
        f"{name}.product",
        notes.load(f"{name}.input", channels_first, current.grid),
        notes.load_channels(f"{name}.weight", integers, packing.columns * outputs, scales),
        notes.load_channels(f"{name}.bias", bias, packing.columns * outputs, scales * np.float32(current.grid.scale)),
        kernel_shape=[rows, size + packing.columns - 1],
        strides=[1, packing.columns],
        pads=list(pads),
    )
    channels_last = notes.transpose(name, notes.store(f"{name}.stored", product, grid), [0, 2, 3, 1])
    return Stored(channels_last, grid, height, width, outputs, columns=packing.columns)


def unpacked(notes: GraphNotes, name: str, current: Stored) -> Stored:
    """Emit the change of shape after which each column is one again."""
    if current.columns == 1:
        return current
    shape = [-1, current.height, current.width, current.channels]
    return replace(current, name=notes.reshape(f"{name}.columns", current.name, shape), columns=1)
