"""Tiny generators of a few kilobytes that follow the contract of a pocketgan model: the basis of tests/runtime/models.

Their weights come from a formula. The tests contain digests of their pixels, which must change with the generators.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

LATENT_SIZE, CLASSES, SIDE = 16, 10, 8
PIXELS = SIDE * SIDE

Z = helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, ["N", LATENT_SIZE])
LABEL = helper.make_tensor_value_info("label", onnx.TensorProto.INT64, ["N"])
IMAGES = helper.make_tensor_value_info("images", onnx.TensorProto.UINT8, ["N", SIDE, SIDE])


def seven_bit_weights(rows: int, columns: int, largest: int = 63) -> NDArray[np.int8]:
    """Return pseudorandom weights int8 [rows, columns] from -largest-1 to largest: splitmix64 of 1, 2, 3, ...

    With seven bits, no two of them can saturate a processor's 16-bit sum of two products.
    """
    mixed = np.arange(1, rows * columns + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    scaled = (mixed >> np.uint64(48)) * np.uint64(2 * largest + 2) >> np.uint64(16)
    return (scaled.astype(np.int64) - largest - 1).astype(np.int8).reshape(rows, columns)


def constants(values: Mapping[str, NDArray[np.generic]]) -> list[onnx.TensorProto]:
    """Return named initializers."""
    return [numpy_helper.from_array(value, name) for name, value in values.items()]


def quantization_constants() -> dict[str, NDArray[np.generic]]:
    """Return the scales and zero points of the integer generators, and the shape of their images."""
    return {
        "z_scale": np.array(1 / 32, dtype=np.float32),
        "z_zero": np.array(128, dtype=np.uint8),
        "weight_scale": np.array(1 / 512, dtype=np.float32),
        "weight_zero": np.array(0, dtype=np.int8),
        "bias_scale": np.array(1 / 32 / 512, dtype=np.float32),
        "bias_zero": np.array(0, dtype=np.int32),
        "pixel_scale": np.array(1 / 255, dtype=np.float32),
        "pixel_zero": np.array(0, dtype=np.uint8),
        # A medium grey, 110/255, in units of the accumulator.
        "bias": np.full(PIXELS, round(110 / 255 * 32 * 512), dtype=np.int32),
        "image_shape": np.array([-1, SIDE, SIDE], dtype=np.int64),
    }


def integer_layer(quantized: str) -> list[onnx.NodeProto]:
    """Return the nodes from a quantized uint8 [N, features] to `images`."""
    return [
        helper.make_node("DequantizeLinear", [quantized, "z_scale", "z_zero"], ["features"]),
        helper.make_node("DequantizeLinear", ["weights", "weight_scale", "weight_zero"], ["weights_real"]),
        helper.make_node("DequantizeLinear", ["bias", "bias_scale", "bias_zero"], ["bias_real"]),
        helper.make_node("Gemm", ["features", "weights_real", "bias_real"], ["grey"]),
        helper.make_node("QuantizeLinear", ["grey", "pixel_scale", "pixel_zero"], ["pixels"]),
        helper.make_node("Reshape", ["pixels", "image_shape"], ["images"]),
    ]


def tiny_graph() -> onnx.GraphProto:
    """Return the unconditional integer generator."""
    nodes = [helper.make_node("QuantizeLinear", ["z", "z_scale", "z_zero"], ["quantized"]), *integer_layer("quantized")]
    weights: dict[str, NDArray[np.generic]] = {"weights": seven_bit_weights(LATENT_SIZE, PIXELS)}
    return helper.make_graph(nodes, "tiny", [Z], [IMAGES], constants(weights | quantization_constants()))


def tiny_conditional_graph() -> onnx.GraphProto:
    """Return the integer generator with a class input: each image is mostly the pattern of its class."""
    nodes = [
        helper.make_node("QuantizeLinear", ["z", "z_scale", "z_zero"], ["quantized"]),
        helper.make_node("Gather", ["class_codes", "label"], ["code"]),
        helper.make_node("Concat", ["quantized", "code"], ["both"], axis=1),
        *integer_layer("both"),
    ]
    weights: dict[str, NDArray[np.generic]] = {
        "weights": np.concatenate([seven_bit_weights(LATENT_SIZE, PIXELS, 15), seven_bit_weights(CLASSES, PIXELS)]),
        "class_codes": (128 + 127 * np.eye(CLASSES)).astype(np.uint8),
    }
    return helper.make_graph(nodes, "tiny_conditional", [Z, LABEL], [IMAGES], constants(weights | quantization_constants()))


def tiny_float_graph() -> onnx.GraphProto:
    """Return the unconditional generator in float; it rounds down to whole grey levels."""
    nodes = [
        helper.make_node("Gemm", ["z", "weights", "bias"], ["grey"]),
        helper.make_node("Clip", ["grey", "black", "white"], ["clipped"]),
        helper.make_node("Cast", ["clipped"], ["pixels"], to=onnx.TensorProto.UINT8),
        helper.make_node("Reshape", ["pixels", "image_shape"], ["images"]),
    ]
    values: dict[str, NDArray[np.generic]] = {
        "weights": (seven_bit_weights(LATENT_SIZE, PIXELS) / 2).astype(np.float32),
        "bias": np.full(PIXELS, 110, dtype=np.float32),
        "black": np.array(0, dtype=np.float32),
        "white": np.array(255, dtype=np.float32),
        "image_shape": np.array([-1, SIDE, SIDE], dtype=np.int64),
    }
    return helper.make_graph(nodes, "tiny_float", [Z], [IMAGES], constants(values))


def with_nodes(nodes: Sequence[onnx.NodeProto], values: Mapping[str, NDArray[np.generic]], after: str) -> onnx.GraphProto:
    """Return the tiny generator with its `images` renamed to `after`, and `nodes` that compute `images` from it."""
    graph = tiny_graph()
    graph.node[-1].output[0] = after
    graph.node.extend(nodes)
    graph.initializer.extend(constants(values))
    return graph
