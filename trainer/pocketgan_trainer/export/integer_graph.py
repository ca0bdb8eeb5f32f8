"""The int8 graph: integers from the latent to the pixel.

Each layer is emitted between a step from integers to numbers and one back (the QDQ form), a pattern that onnxruntime fuses into
one integer kernel. All that merely moves pixels works on the uint8 tensors themselves. Between the layers, images lie in memory
channels last, as onnxruntime's integer convolutions want them: its own transposes cancel against the ones written here.
"""

from dataclasses import dataclass

import numpy as np
import onnx

from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.layers import Dense, Layer, LeakyRelu, Tanh, ToImage, TransposedConvolution, feeds_tanh
from pocketgan_trainer.export.nodes import GraphNotes
from pocketgan_trainer.export.quantization import LATENT_GRID, PIXEL_GRID, Grid, integer_weights
from pocketgan_trainer.export.subpixel import rewrite


@dataclass(frozen=True)
class _Stored:
    """A tensor of integers in the graph that is being written."""

    name: str
    grid: Grid
    height: int
    """0 while the features are flat, [N, C]; else the tensor is [N, height, width, C]."""
    width: int


def integer_graph(layers: list[Layer], grids: list[Grid | None], latent_size: int) -> onnx.ModelProto:
    """Return the int8 model of `layers`, whose outputs are stored on `grids`, see `quantization.calibrate`.

    Raises ExportError if the layers do not end in one grey image after a tanh.
    """
    notes = GraphNotes()
    current = _Stored(notes.store("z.stored", "z", LATENT_GRID), LATENT_GRID, 0, 0)
    for position, (layer, grid) in enumerate(zip(layers, grids, strict=True)):
        name = f"layer{position}"
        following = layers[position + 1 :]
        # The tanh becomes a sigmoid of twice its input, whose values from 0 to 1 are the grey levels.
        factor = 2.0 if feeds_tanh(layers, position) else 1.0
        if isinstance(layer, Dense) and grid is not None:
            current = _dense(notes, name, layer, _image_after(following), factor, current, grid)
        elif isinstance(layer, TransposedConvolution) and grid is not None:
            current = _convolution(notes, name, layer, factor, current, grid)
        elif isinstance(layer, LeakyRelu) and grid is not None and factor == 1.0:
            current = _table(notes, name, "LeakyRelu", {"alpha": layer.slope}, current, grid)
        elif isinstance(layer, Tanh):
            current = _table(notes, name, "Sigmoid", {}, current, PIXEL_GRID)
        elif isinstance(layer, ToImage):
            # The dense layer before it has its rows in this order already.
            shape = [-1, layer.height, layer.width, layer.channels]
            current = _Stored(notes.reshape(name, current.name, shape), current.grid, layer.height, layer.width)
        else:
            found = f"layer {position}, a {type(layer).__name__}"
            raise ExportError(f"cannot export {found}: expected weights before the tanh, and a grid for each layer's output")
    if current.grid != PIXEL_GRID or not current.height:
        raise ExportError("cannot export: expected layers that end in an image after a tanh")
    notes.reshape("images", current.name, [-1, current.height, current.width])
    return notes.model(latent_size, current.height, current.width)


def _image_after(following: list[Layer]) -> ToImage | None:
    """Return the step that gives a dense layer's features the shape of an image, unless weights come before it."""
    for layer in following:
        if isinstance(layer, ToImage):
            return layer
        if isinstance(layer, Dense | TransposedConvolution):
            return None
    return None


def _dense(
    notes: GraphNotes, name: str, layer: Dense, image: ToImage | None, factor: float, current: _Stored, grid: Grid
) -> _Stored:
    weight, bias = layer.weight * factor, layer.bias * factor
    if image is not None:
        order = np.arange(len(bias)).reshape(image.channels, image.height, image.width).transpose(1, 2, 0).ravel()
        weight, bias = weight[order], bias[order]
    integers = integer_weights(weight, bias, current.grid)
    product = notes.node(
        "Gemm",
        f"{name}.product",
        notes.load(f"{name}.input", current.name, current.grid),
        notes.load_weights(f"{name}.weight", integers.values, integers.scales),
        notes.load_weights(f"{name}.bias", integers.bias, integers.scales * np.float32(current.grid.scale)),
        transB=1,
    )
    return _Stored(notes.store(name, product, grid), grid, 0, 0)


def _convolution(
    notes: GraphNotes, name: str, layer: TransposedConvolution, factor: float, current: _Stored, grid: Grid
) -> _Stored:
    if current.height != current.width:
        raise ExportError(f"cannot export a transposed convolution of {current.height}x{current.width} pixels: expected a square")
    convolution = rewrite(layer, current.height)
    integers = integer_weights(convolution.weight * factor, convolution.bias * factor, current.grid)
    channels_first = notes.transpose(f"{name}.channels_first", current.name, [0, 3, 1, 2])
    before, after = convolution.pad_before, convolution.pad_after
    product = notes.node(
        "Conv",
        f"{name}.product",
        notes.load(f"{name}.input", channels_first, current.grid),
        notes.load_weights(f"{name}.weight", integers.values, integers.scales),
        notes.load_weights(f"{name}.bias", integers.bias, integers.scales * np.float32(current.grid.scale)),
        kernel_shape=list(convolution.weight.shape[2:]),
        pads=[before, before, after, after],
    )
    image = notes.transpose(f"{name}.channels_last", notes.store(f"{name}.stored", product, grid), [0, 2, 3, 1])
    stride, size = convolution.stride, convolution.convolved_size
    if stride > 1:
        channels = layer.weight.shape[1]
        phases = notes.reshape(f"{name}.phases", image, [-1, size, size, stride, stride, channels])
        interleaved = notes.transpose(f"{name}.interleaved", phases, [0, 1, 3, 2, 4, 5])
        size *= stride
        image = notes.reshape(f"{name}.image", interleaved, [-1, size, size, channels])
    if size > convolution.output_size:
        size = convolution.output_size
        limits = [np.asarray(values, dtype=np.int64) for values in ([0, 0], [size, size], [1, 2])]
        starts, ends, axes = (
            notes.constant(f"{name}.{part}", values) for part, values in zip(("starts", "ends", "axes"), limits, strict=True)
        )
        image = notes.node("Slice", f"{name}.cropped", image, starts, ends, axes)
    return _Stored(image, grid, size, size)


def _table(notes: GraphNotes, name: str, operator: str, attributes: dict[str, float], current: _Stored, grid: Grid) -> _Stored:
    """Emit a function of one number, for which onnxruntime makes a table of 256 entries."""
    numbers = notes.load(f"{name}.input", current.name, current.grid)
    result = notes.node(operator, f"{name}.result", numbers, **attributes)
    return _Stored(notes.store(name, result, grid), grid, current.height, current.width)
