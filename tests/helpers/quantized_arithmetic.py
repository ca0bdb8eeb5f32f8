"""Runs an int8 file in plain numpy: the arithmetic of the ONNX specification, without onnxruntime and without torch.

It has only the operators that the exporter writes. Numbers are float64, integers are those of the file.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Tensor = NDArray[Any]


def run(model: onnx.ModelProto, latent: NDArray[np.float32], label: NDArray[np.int64] | None = None) -> NDArray[np.uint8]:
    """Return the images that the model draws from latents, and from labels if it takes them."""
    tensors: dict[str, Tensor] = {entry.name: numpy_helper.to_array(entry) for entry in model.graph.initializer}
    tensors["z"] = latent
    if label is not None:
        tensors["label"] = label
    for node in model.graph.node:
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        tensors[node.output[0]] = _OPERATORS[node.op_type](attributes, *(tensors[name] for name in node.input))
    images: NDArray[np.uint8] = tensors["images"]
    return images


def _quantize(attributes: Mapping[str, Any], values: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
    assert zero_point.dtype == np.uint8
    return np.clip(np.rint(values / np.float64(scale)) + zero_point, 0, 255).astype(np.uint8)


def _dequantize(attributes: Mapping[str, Any], integers: Tensor, scale: Tensor, zero_point: Tensor | float = 0.0) -> Tensor:
    per_channel = (-1, *[1] * (integers.ndim - 1)) if scale.ndim else ()
    assert not scale.ndim or attributes["axis"] == 0
    return (integers.astype(np.float64) - zero_point) * scale.astype(np.float64).reshape(per_channel)


def _conv(attributes: Mapping[str, Any], image: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    top, left, bottom, right = attributes["pads"]
    padded = np.pad(image, ((0, 0), (0, 0), (top, bottom), (left, right)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], axis=(2, 3))
    windows = windows[:, :, :: attributes["strides"][0], :: attributes["strides"][1]]
    return np.einsum("nihwkl,oikl->nohw", windows, weight, optimize=True) + bias[:, None, None]


def _slice(attributes: Mapping[str, Any], values: Tensor, starts: Tensor, ends: Tensor, axes: Tensor) -> Tensor:
    limits = {int(axis): slice(int(start), int(end)) for axis, start, end in zip(axes, starts, ends, strict=True)}
    return values[tuple(limits.get(axis, slice(None)) for axis in range(values.ndim))]


_OPERATORS: Mapping[str, Callable[..., Tensor]] = {
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
    "Conv": _conv,
    "Slice": _slice,
    "Gather": lambda attributes, values, chosen: np.take(values, chosen, axis=attributes["axis"]),
    "Concat": lambda attributes, *parts: np.concatenate(parts, axis=attributes["axis"]),
    "Tile": lambda attributes, values, repeats: np.tile(values, repeats),
    "LeakyRelu": lambda attributes, values: np.where(values < 0, attributes["alpha"] * values, values),
    "Sigmoid": lambda attributes, values: 1 / (1 + np.exp(-values)),
    "Reshape": lambda attributes, values, shape: values.reshape(shape),
    "Transpose": lambda attributes, values: values.transpose(attributes["perm"]),
}
