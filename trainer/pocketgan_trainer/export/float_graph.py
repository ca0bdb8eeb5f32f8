"""The float graph, for CUDA and for comparison with the int8 graph: plain dense, convolution and transposed convolution nodes."""

from typing import TypeAlias

import numpy as np
import onnx
from onnx import TensorProto

from pocketgan_trainer.errors import ExportError
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
    Weighted,
    class_count,
    style_size,
)
from pocketgan_trainer.export.scanning import emit_images

FloatType: TypeAlias = type[np.float32] | type[np.float16]


def float_graph(layers: list[Layer], latent_size: int, dtype: FloatType) -> onnx.ModelProto:
    """Return the model of `layers` with weights and arithmetic of `dtype`; inputs and output are the same as in the int8 graph.

    Raises ExportError if a layer cannot be written, or the layers do not end in one grey image.
    """
    graph = GraphBuilder()
    z = "z" if dtype is np.float32 else graph.node("Cast", "z.half", "z", to=TensorProto.FLOAT16)
    style = style_size(layers, latent_size)
    current = z if style == latent_size else graph.slice("z.style", z, 0, style, axis=1)
    height = width = 0
    for position, layer in enumerate(layers):
        name = f"layer{position}"
        if isinstance(layer, ClassInput):
            table = graph.constant(f"{name}.table", (np.eye(layer.classes) * layer.value).astype(dtype))
            one_hot = graph.node("Gather", f"{name}.asked", table, "label", axis=0)
            current = graph.node("Concat", name, current, one_hot, axis=1)
        elif isinstance(layer, Dense):
            current = graph.node("Gemm", name, current, *_weights(graph, name, layer, dtype), transB=1)
        elif isinstance(layer, ToImage):
            current = graph.reshape(name, current, [-1, layer.channels, layer.height, layer.width])
            height, width = layer.height, layer.width
        elif isinstance(layer, Convolution):
            current = graph.node("Conv", name, current, *_weights(graph, name, layer, dtype), pads=[layer.padding] * 4)
        elif isinstance(layer, Noise):
            current = _noise(graph, name, layer, z, current, height, width)
        elif isinstance(layer, PixelShuffle):
            current = graph.node("DepthToSpace", name, current, blocksize=layer.factor, mode="CRD")
            height, width = height * layer.factor, width * layer.factor
        elif isinstance(layer, TransposedConvolution):
            current = _transposed_convolution(graph, name, layer, current, dtype)
            height, width = layer.output_size(height), layer.output_size(width)
        elif isinstance(layer, Relu):
            current = graph.node("Relu", name, current)
        elif isinstance(layer, LeakyRelu):
            current = graph.node("LeakyRelu", name, current, alpha=layer.slope)
        elif isinstance(layer, Tanh):
            current = graph.node("Tanh", name, current)
    arithmetic = [
        layer for layer in layers if not isinstance(layer, ToImage) and not (layer is layers[-1] and isinstance(layer, Scanned))
    ]
    ends = [isinstance(layer, Tanh | GreyLevels) for layer in arithmetic]
    if not height or not ends[-1] or any(ends[:-1]) or any(isinstance(layer, Scanned) for layer in layers[:-1]):
        raise ExportError(
            "cannot export: expected layers that end in an image, after one tanh or grey levels, and none of these earlier"
        )

    if dtype is not np.float32:
        current = graph.node("Cast", "values", current, to=TensorProto.FLOAT)
    levels = _grey_levels(graph, current) if isinstance(arithmetic[-1], GreyLevels) else _scaled(graph, current)
    pixels = graph.node("Cast", "pixels", levels, to=TensorProto.UINT8)
    height, width = emit_images(graph, pixels, height, width, layers[-1])
    return graph.model(latent_size, height, width, takes_label=class_count(layers) > 0)


def _noise(graph: GraphBuilder, name: str, layer: Noise, z: str, current: str, height: int, width: int) -> str:
    """Emit features with channels of noise appended."""
    count = layer.channels * height * width
    chosen = graph.slice(f"{name}.latents", z, layer.first, layer.first + count, axis=1)
    image = graph.reshape(f"{name}.image", graph.node("Relu", f"{name}.relu", chosen), [-1, height, width, layer.channels])
    return graph.node("Concat", name, current, graph.transpose(f"{name}.channels_first", image, [0, 3, 1, 2]), axis=1)


def _weights(graph: GraphBuilder, name: str, layer: Weighted, dtype: FloatType) -> tuple[str, str]:
    weight = graph.constant(f"{name}.weight", layer.weight.astype(dtype))
    return weight, graph.constant(f"{name}.bias", layer.bias.astype(dtype))


def _transposed_convolution(graph: GraphBuilder, name: str, layer: TransposedConvolution, current: str, dtype: FloatType) -> str:
    if layer.cut_before < 0:
        raise ExportError("cannot export a transposed convolution that adds rows at the top")
    before, after = layer.cut_before, max(0, layer.cut_after)
    return graph.node(
        "ConvTranspose",
        name,
        current,
        *_weights(graph, name, layer, dtype),
        kernel_shape=list(layer.weight.shape[2:]),
        strides=[layer.stride, layer.stride],
        pads=[before, before, after, after],
        output_padding=[max(0, -layer.cut_after)] * 2,
    )


def _scaled(graph: GraphBuilder, values: str) -> str:
    """Emit the step from -1..1 to 0..255. The cast after it drops the fraction, so another half is added to round."""
    scaled = graph.node("Mul", "scaled", values, _number(graph, "scale", 127.5))
    return graph.node("Add", "levels", scaled, _number(graph, "offset", 128.0))


def _grey_levels(graph: GraphBuilder, brightness: str) -> str:
    """Emit the step from brightness to 0..255: clipped to 0..1 and rounded."""
    visible = graph.node("Clip", "visible", brightness, _number(graph, "black", 0.0), _number(graph, "white", 1.0))
    return graph.node("Round", "levels", graph.node("Mul", "scaled", visible, _number(graph, "scale", 255.0)))


def _number(graph: GraphBuilder, name: str, value: float) -> str:
    return graph.constant(name, np.asarray(value, dtype=np.float32))
