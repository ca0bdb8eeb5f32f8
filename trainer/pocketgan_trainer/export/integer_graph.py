"""The int8 graph: integers from the latent to the pixel.

A ReLU needs no node: its input is stored from 0 up, which clips negative numbers. Nor do the grey levels at the end: the last
convolution is stored with the quantization of pixels, which rounds and clips in the same way.
"""

import onnx

from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export import integer_layers, upscaling
from pocketgan_trainer.export.calibration import PIXEL_QUANTIZATION, Quantization
from pocketgan_trainer.export.graph_builder import GraphBuilder
from pocketgan_trainer.export.layers import (
    ClassInput,
    Convolution,
    Dense,
    GreyLevels,
    Layer,
    LeakyRelu,
    Noise,
    PixelShuffle,
    Relu,
    Scanned,
    Tanh,
    ToImage,
    TransposedConvolution,
    before_next_weights,
    class_count,
    is_followed_by,
    style_size,
)
from pocketgan_trainer.export.scanning import emit_images
from pocketgan_trainer.export.weights import IntegerWeights


def integer_graph(
    layers: list[Layer], quantizations: list[Quantization | None], weights: list[IntegerWeights | None], latent_size: int
) -> onnx.ModelProto:
    """Return the int8 model of `layers`, given the `quantizations` of their outputs and their `weights`.

    See `calibration.calibrate` and `rounding.round_weights`. Raises ExportError if the layers do not end in one grey image after
    a tanh or grey levels, perhaps scanned, or come in an order for which there is no integer arithmetic.
    """
    graph = GraphBuilder()
    current = integer_layers.latent(graph, latent_size, style_size(layers, latent_size))
    last = layers[-1]
    is_scanned = isinstance(last, Scanned)
    for position, (layer, output, rounded) in enumerate(zip(layers, quantizations, weights, strict=True)):
        name = f"layer{position}"
        before_weights = before_next_weights(layers[position + 1 :])
        # The tanh becomes a sigmoid of twice its input, whose values from 0 to 1 are the grey levels.
        factor = 2.0 if is_followed_by(layers, position, Tanh) else 1.0
        if isinstance(layer, ClassInput) and position == 0:
            current = integer_layers.class_input(graph, name, layer, current)
        elif isinstance(layer, Dense) and output is not None and rounded is not None:
            image = next((later for later in before_weights if isinstance(later, ToImage)), None)
            current = integer_layers.dense(graph, name, rounded, image, factor, current, output)
        elif isinstance(layer, Convolution) and output is not None and rounded is not None:
            shuffle = next((later for later in before_weights if isinstance(later, PixelShuffle)), None)
            current = upscaling.convolution(graph, name, layer, rounded, shuffle, factor, current, output)
        elif isinstance(layer, TransposedConvolution) and output is not None and rounded is not None:
            current = upscaling.transposed_convolution(graph, name, layer, rounded, factor, current, output)
        elif isinstance(layer, LeakyRelu) and output is not None and factor == 1.0:
            current = integer_layers.lookup_table(graph, name, "LeakyRelu", {"alpha": layer.slope}, current, output)
        elif isinstance(layer, Tanh):
            current = integer_layers.lookup_table(graph, name, "Sigmoid", {}, current, PIXEL_QUANTIZATION)
        elif isinstance(layer, Noise):
            current = integer_layers.noise(graph, name, layer, current)
        elif isinstance(layer, ToImage):
            current = integer_layers.to_image(graph, name, layer, current)
        elif isinstance(layer, PixelShuffle):
            current = upscaling.pixel_shuffle(graph, name, layer, current)
        elif not (is_scanned and layer is last) and not _is_done_by_storing(layer, current.quantization):
            found = f"layer {position}, a {type(layer).__name__}"
            raise ExportError(
                f"cannot export {found}: expected weights before the tanh, a ReLU or grey levels, a class input at the start, "
                "a quantization for each layer's output, and integers for its weights"
            )
    if current.quantization != PIXEL_QUANTIZATION or current.height == integer_layers.FLAT or current.channels != 1:
        raise ExportError("cannot export: expected layers that end in an image after a tanh or grey levels")
    height, width = emit_images(graph, current.name, current.height, current.width, last)
    return graph.model(latent_size, height, width, takes_label=class_count(layers) > 0)


def _is_done_by_storing(layer: Layer, quantization: Quantization) -> bool:
    """Return whether storing the input with its quantization has already done what a layer does: clipping and rounding."""
    if isinstance(layer, Relu):
        return quantization.zero_point == 0
    return isinstance(layer, GreyLevels) and quantization == PIXEL_QUANTIZATION
