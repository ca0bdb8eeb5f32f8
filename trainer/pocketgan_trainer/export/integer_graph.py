"""The int8 graph: integers from the latent to the pixel.

A ReLU takes no node: what feeds it is stored on a grid from 0 up, and storing cuts negative numbers off. Nor does the last step
to exact grey levels: the last convolution is stored on the grid of the pixels, with the same rounding and cutting off.
"""

import onnx

from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export import integer_layers, integer_upscaling
from pocketgan_trainer.export.grids import PIXEL_GRID, Grid
from pocketgan_trainer.export.layers import (
    ClassInput,
    Convolution,
    Dense,
    GreyLevels,
    Layer,
    LeakyRelu,
    PixelShuffle,
    Relu,
    Tanh,
    ToImage,
    TransposedConvolution,
    Weighted,
    classes,
    feeds,
)
from pocketgan_trainer.export.nodes import GraphNotes
from pocketgan_trainer.export.weights import IntegerWeights


def integer_graph(
    layers: list[Layer], grids: list[Grid | None], weights: list[IntegerWeights | None], latent_size: int
) -> onnx.ModelProto:
    """Return the int8 model of `layers`, whose outputs are stored on `grids`, and whose weights are `weights`.

    See `calibration.calibrate` and `rounding.round_weights`.

    Raises ExportError if the layers do not end in one grey image after a tanh or grey levels, or come in an order that integers
    cannot follow.
    """
    notes = GraphNotes()
    current = integer_layers.latent(notes, latent_size)
    for position, (layer, grid, rounded) in enumerate(zip(layers, grids, weights, strict=True)):
        name = f"layer{position}"
        before_weights = _before_weights(layers[position + 1 :])
        # The tanh becomes a sigmoid of twice its input, whose values from 0 to 1 are the grey levels.
        factor = 2.0 if feeds(layers, position, Tanh) else 1.0
        if isinstance(layer, ClassInput) and position == 0:
            current = integer_layers.class_input(notes, name, layer, current)
        elif isinstance(layer, Dense) and grid is not None and rounded is not None:
            image = next((later for later in before_weights if isinstance(later, ToImage)), None)
            current = integer_layers.dense(notes, name, rounded, image, factor, current, grid)
        elif isinstance(layer, Convolution) and grid is not None and rounded is not None:
            shuffle = next((later for later in before_weights if isinstance(later, PixelShuffle)), None)
            current = integer_upscaling.convolution(notes, name, layer, rounded, shuffle, factor, current, grid)
        elif isinstance(layer, TransposedConvolution) and grid is not None and rounded is not None:
            current = integer_upscaling.transposed_convolution(notes, name, layer, rounded, factor, current, grid)
        elif isinstance(layer, LeakyRelu) and grid is not None and factor == 1.0:
            current = integer_layers.table(notes, name, "LeakyRelu", {"alpha": layer.slope}, current, grid)
        elif isinstance(layer, Tanh):
            current = integer_layers.table(notes, name, "Sigmoid", {}, current, PIXEL_GRID)
        elif isinstance(layer, ToImage):
            current = integer_layers.to_image(notes, name, layer, current)
        elif isinstance(layer, PixelShuffle):
            current = integer_upscaling.pixel_shuffle(notes, name, layer, current)
        elif not _is_storing_enough(layer, current.grid):
            found = f"layer {position}, a {type(layer).__name__}"
            raise ExportError(
                f"cannot export {found}: expected weights before the tanh, a ReLU or grey levels, a class input at the start, "
                "a grid for each layer's output, and integers for its weights"
            )
    if current.grid != PIXEL_GRID or current.height == integer_layers.FLAT or current.channels != 1:
        raise ExportError("cannot export: expected layers that end in an image after a tanh or grey levels")
    notes.reshape("images", current.name, [-1, current.height, current.width])
    return notes.model(latent_size, current.height, current.width, takes_label=classes(layers) > 0)


def _before_weights(following: list[Layer]) -> list[Layer]:
    """Return those of the following layers that come before the next one with weights."""
    weighted = (position for position, layer in enumerate(following) if isinstance(layer, Weighted))
    return following[: next(weighted, len(following))]


def _is_storing_enough(layer: Layer, grid: Grid) -> bool:
    """Say whether a layer does to numbers nothing but what storing them on `grid` has done: cutting off, and rounding."""
    return (isinstance(layer, Relu) and grid.zero_point == 0) or (isinstance(layer, GreyLevels) and grid == PIXEL_GRID)
