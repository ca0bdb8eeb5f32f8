"""The float graph, for CUDA and as the yardstick of the int8 one: plain dense, convolution and transposed convolution nodes."""

from typing import TypeAlias

import numpy as np
import onnx
from onnx import TensorProto

from pocketgan_trainer.errors import ExportError
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
    classes,
)
from pocketgan_trainer.export.nodes import GraphNotes

FloatType: TypeAlias = type[np.float32] | type[np.float16]


def float_graph(layers: list[Layer], latent_size: int, dtype: FloatType) -> onnx.ModelProto:
    """Return the model of `layers` whose weights and arithmetic are of `dtype`; inputs and output are those of every model.

    Raises ExportError if a layer cannot be written, or the layers do not end in one grey image.
    """
    notes = GraphNotes()
    current = "z" if dtype is np.float32 else notes.node("Cast", "z.half", "z", to=TensorProto.FLOAT16)
    height = width = 0
    for position, layer in enumerate(layers):
        name = f"layer{position}"
        if isinstance(layer, ClassInput):
            table = notes.constant(f"{name}.table", (np.eye(layer.classes) * layer.value).astype(dtype))
            current = notes.node("Concat", name, current, notes.node("Gather", f"{name}.asked", table, "label", axis=0), axis=1)
        elif isinstance(layer, Dense):
            weight = notes.constant(f"{name}.weight", layer.weight.astype(dtype))
            bias = notes.constant(f"{name}.bias", layer.bias.astype(dtype))
            current = notes.node("Gemm", name, current, weight, bias, transB=1)
        elif isinstance(layer, ToImage):
            current = notes.reshape(name, current, [-1, layer.channels, layer.height, layer.width])
            height, width = layer.height, layer.width
        elif isinstance(layer, Convolution):
            weight = notes.constant(f"{name}.weight", layer.weight.astype(dtype))
            bias = notes.constant(f"{name}.bias", layer.bias.astype(dtype))
            current = notes.node("Conv", name, current, weight, bias, pads=[layer.padding] * 4)
        elif isinstance(layer, PixelShuffle):
            current = notes.node("DepthToSpace", name, current, blocksize=layer.factor, mode="CRD")
            height, width = height * layer.factor, width * layer.factor
        elif isinstance(layer, TransposedConvolution):
            current = _transposed_convolution(notes, name, layer, current, dtype)
            height, width = layer.output_size(height), layer.output_size(width)
        elif isinstance(layer, Relu):
            current = notes.node("Relu", name, current)
        elif isinstance(layer, LeakyRelu):
            current = notes.node("LeakyRelu", name, current, alpha=layer.slope)
        elif isinstance(layer, Tanh):
            current = notes.node("Tanh", name, current)
    arithmetic = [layer for layer in layers if not isinstance(layer, ToImage)]
    ends = [isinstance(layer, Tanh | GreyLevels) for layer in arithmetic]
    if not height or not ends[-1] or any(ends[:-1]):
        message = "cannot export: expected layers that end in an image, in a tanh or in grey levels, and no other of these"
        raise ExportError(message)

    if dtype is not np.float32:
        current = notes.node("Cast", "values", current, to=TensorProto.FLOAT)
    levels = _grey_levels(notes, current) if isinstance(arithmetic[-1], GreyLevels) else _scaled(notes, current)
    pixels = notes.node("Cast", "pixels", levels, to=TensorProto.UINT8)
    notes.reshape("images", pixels, [-1, height, width])
    return notes.model(latent_size, height, width, takes_label=classes(layers) > 0)


def _scaled(notes: GraphNotes, values: str) -> str:
    """Emit the step from -1..1 to 0..255; the cast after it cuts off the fraction, so that the half on top of 127.5 rounds."""
    scaled = notes.node("Mul", "scaled", values, _number(notes, "scale", 127.5))
    return notes.node("Add", "levels", scaled, _number(notes, "offset", 128.0))


def _grey_levels(notes: GraphNotes, brightness: str) -> str:
    """Emit the step from brightness, cut off at 0 and 1, to 0..255, rounded."""
    visible = notes.node("Clip", "visible", brightness, _number(notes, "black", 0.0), _number(notes, "white", 1.0))
    return notes.node("Round", "levels", notes.node("Mul", "scaled", visible, _number(notes, "scale", 255.0)))


def _number(notes: GraphNotes, name: str, value: float) -> str:
    return notes.constant(name, np.asarray(value, dtype=np.float32))


def _transposed_convolution(notes: GraphNotes, name: str, layer: TransposedConvolution, current: str, dtype: FloatType) -> str:
    if layer.cut_before < 0:
        raise ExportError("cannot export a transposed convolution that adds rows at the top")
    before, after = layer.cut_before, max(0, layer.cut_after)
    return notes.node(
        "ConvTranspose",
        name,
        current,
        notes.constant(f"{name}.weight", layer.weight.astype(dtype)),
        notes.constant(f"{name}.bias", layer.bias.astype(dtype)),
        kernel_shape=list(layer.weight.shape[2:]),
        strides=[layer.stride, layer.stride],
        pads=[before, before, after, after],
        output_padding=[max(0, -layer.cut_after)] * 2,
    )
