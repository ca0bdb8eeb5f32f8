"""Computes an integer model with numpy alone: the same pixels as onnxruntime, for machines where that cannot be installed.

It reads as the specification of the integer arithmetic, see docs/integers.md. Between the layers there are integers of 8 bits. A
layer multiplies and adds them without any error, multiplies each sum once by a number in float32, rounds it to the nearest
integer (ties to even) and limits it to 8 bits. The sums are computed in floating point, because numpy multiplies
float matrices fastest: whole numbers are exact there as long as none is above 2^24 in float32, or 2^53 in float64.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pocketgan.errors import ModelError, first_line
from pocketgan.model.graph import FLOAT, INT8, INT32, INT64, UINT8, Node, Tensor, read_graph

Array: TypeAlias = NDArray[Any]
Float: TypeAlias = NDArray[np.float32]

_TYPES = {FLOAT: np.float32, UINT8: np.uint8, INT8: np.int8, INT32: np.int32, INT64: np.int64}
_TYPE_NAMES = {FLOAT: "tensor(float)", UINT8: "tensor(uint8)", INT64: "tensor(int64)"}
_EXACT_IN_FLOAT32 = 2**24
_MOST_WINDOW_BYTES = 2**19
"""The most memory for the windows of a convolution: images are taken in parts that need less."""


class Numbers:
    """What integers stand for: (integers - zero_point) * scale. It is never computed; layers take the integers."""

    def __init__(self, integers: Array, scale: Float, zero_point: Array) -> None:
        """`scale` is one number, or one for each of the first axis."""
        self.integers, self.scale, self.zero_point = integers, scale, zero_point

    @cached_property
    def centred(self) -> Float:
        """The integers minus their zero point, as float32; exact below 2**24."""
        return self.integers.astype(np.float32) - np.float32(self.zero_point)

    @cached_property
    def largest_row(self) -> int:
        """The largest sum of the centred integers' sizes over all axes but the first: bounds sums of products with them."""
        return int(np.abs(self.centred).reshape(len(self.centred), -1).sum(axis=1, dtype=np.float64).max())

    @cached_property
    def kernel(self) -> Float:
        """The centred integers of weights [O, C, k, l] as [k, l, C, O]."""
        return np.ascontiguousarray(self.centred.transpose(2, 3, 1, 0))

    @property
    def largest(self) -> int:
        """The largest size that a centred integer of this type can have."""
        limits = np.iinfo(self.integers.dtype)
        return max(limits.max - int(self.zero_point), int(self.zero_point) - limits.min)


class Sums(NamedTuple):
    """Exact sums of products, and what they stand for: sums * scale."""

    sums: Array
    """Whole numbers in float32 or float64, [N, channels, H, W] or [N, rows, columns]."""
    scale: Float
    """One number, or one for each channel."""


class Function(NamedTuple):
    """A function of 8-bit numbers."""

    integers: NDArray[np.uint8]
    results: Float
    """For each of the 256 integers, float32 [256]."""


Value: TypeAlias = Array | Numbers | Sums | Function
Attributes: TypeAlias = Mapping[str, Any]
Compute: TypeAlias = Callable[[Sequence[Any], Attributes], Value]


class TensorFacts(NamedTuple):
    """An input or output, as onnxruntime describes it."""

    name: str
    type: str
    shape: list[int | str | None]


class NumpySession:
    """A model that draws: what pocketgan uses of onnxruntime's InferenceSession."""

    def __init__(self, contents: bytes) -> None:
        """Read a checked model, and compute what depends on its constants alone. Raises ModelError if that is not possible."""
        graph = read_graph(contents, batch=1)
        self._inputs, self._outputs = (_facts(tensors) for tensors in (graph.inputs, graph.outputs))
        known: dict[str, Value] = {
            name: np.frombuffer(graph.data[name], _TYPES[tensor.element_type]).reshape(tensor.shape)
            for name, tensor in graph.constants.items()
            if tensor.element_type in _TYPES
        }
        later: list[Node] = []
        for node in graph.nodes:
            if node.operator not in _OPERATORS:
                raise ModelError(f"it uses the operator {node.operator!r}: only onnxruntime computes it, install pocketgan[cpu]")
            if all(name in known for name in node.inputs):
                try:
                    known[node.outputs[0]] = _computed(node, known)
                except (ValueError, TypeError, LookupError, AttributeError) as error:
                    raise ModelError(f"numpy cannot compute its node {node.name!r}: {first_line(error)}") from error
            else:
                later.append(node)
        used = {name for node in later for name in node.inputs} | set(graph.outputs)
        self._constants = {name: value for name, value in known.items() if name in used}
        last_use = {name: place for place, node in enumerate(later) for name in node.inputs}
        self._steps = [
            (node, [name for name in node.inputs if last_use[name] == place and name not in self._constants])
            for place, node in enumerate(later)
        ]

    def get_inputs(self) -> list[TensorFacts]:
        """Return the inputs."""
        return self._inputs

    def get_outputs(self) -> list[TensorFacts]:
        """Return the outputs."""
        return self._outputs

    def get_providers(self) -> list[str]:
        """Return what computes."""
        return ["numpy"]

    def run(self, outputs: Sequence[str] | None, feeds: Mapping[str, Any]) -> list[Array]:
        """Return these outputs, or all, for the inputs, by name. Raises IndexError for a label that the model lacks."""
        outputs = [output.name for output in self._outputs] if outputs is None else outputs
        values: dict[str, Value] = {**self._constants, **feeds}
        for node, last_used in self._steps:
            values[node.outputs[0]] = _computed(node, values)
            for name in set(last_used) - set(outputs):
                del values[name]
        return [np.ascontiguousarray(values[name]) for name in outputs]


def _facts(tensors: Mapping[str, Tensor]) -> list[TensorFacts]:
    return [
        TensorFacts(name, _TYPE_NAMES.get(tensor.element_type, str(tensor.element_type)), ["N", *tensor.shape[1:]])
        for name, tensor in tensors.items()
    ]


def _computed(node: Node, values: Mapping[str, Value]) -> Value:
    return _OPERATORS[node.operator]([values[name] for name in node.inputs], node.attributes)


# Layers: what stands between numbers of 8 bits and the next ones. Their definitions are those of onnxruntime's QLinearConv,
# QLinearMatMul and QuantizeLinear, which follow the ONNX specification.


def _dequantize(inputs: Sequence[Any], attributes: Attributes) -> Numbers:
    integers, scale, *zero_point = inputs
    if scale.ndim and attributes.get("axis", 1) != 0:
        raise ValueError("it has a scale for each of another axis than the first")
    return Numbers(integers, scale, zero_point[0] if zero_point else np.zeros((), integers.dtype))


def _quantize(inputs: Sequence[Any], attributes: Attributes) -> Array:
    value, scale, zero_point = inputs
    if isinstance(value, Function):
        return _rounded(value.results / scale, zero_point)[value.integers]
    if isinstance(value, Sums):
        factor = value.scale / scale
        shape = (-1, *(1,) * (value.sums.ndim - 2)) if factor.ndim else ()
        return _rounded(value.sums.astype(np.float32, copy=False) * factor.reshape(shape), zero_point)
    return _rounded(value / scale, zero_point)


def _rounded(numbers: Float, zero_point: Array) -> Array:
    """Return numbers rounded, half to even, plus the zero point, within the limits of its type. Changes `numbers`."""
    limits = np.iinfo(zero_point.dtype)
    np.rint(numbers, out=numbers)
    numbers += np.float32(zero_point)
    return np.clip(numbers, limits.min, limits.max, out=numbers).astype(zero_point.dtype)


def _convolve(inputs: Sequence[Any], attributes: Attributes) -> Sums:
    """Images [N, C, H, W] and weights [O, C, k, l], both Numbers, and the bias in the unit of their products."""
    images, weights, bias = inputs
    (rows, columns), (down, right) = attributes["kernel_shape"], attributes["strides"]
    top, left, bottom, end = attributes["pads"]
    exact = images.largest * weights.largest_row + bias.largest_row < _EXACT_IN_FLOAT32
    dtype = np.float32 if exact else np.float64
    # Channels last, so that memory is read in long pieces. Around the image there are zeros.
    image = images.centred.transpose(0, 2, 3, 1).astype(dtype, copy=False)
    image = np.pad(image, ((0, 0), (top, bottom), (left, end), (0, 0))) if top or left or bottom or end else image
    windows = np.lib.stride_tricks.sliding_window_view(image, (rows, columns), (1, 2))[:, ::down, ::right]
    count, height, width, channels = windows.shape[:4]
    outputs = len(weights.integers)
    kernel = weights.kernel.astype(dtype, copy=False)  # [k, l, C, O]
    sums = np.empty((count, height, width, outputs), dtype)
    at_once = max(1, _MOST_WINDOW_BYTES // (height * width * rows * columns * channels * kernel.itemsize))
    for first in range(0, count, at_once):
        part = windows[first : first + at_once].transpose(0, 1, 2, 4, 5, 3)  # [n, H, W, k, l, C]
        into = sums[first : first + at_once]
        np.matmul(part.reshape(-1, rows * columns * channels), kernel.reshape(-1, outputs), out=into.reshape(-1, outputs))
    sums += bias.integers
    return Sums(sums.transpose(0, 3, 1, 2), images.scale * weights.scale)


def _multiply_matrices(inputs: Sequence[Any], attributes: Attributes) -> Sums:
    """Matrices [rows, k] and [k, columns], or stacks of them, and perhaps a bias for each column."""
    left, right, *bias = inputs
    if left.scale.ndim or right.scale.ndim:
        raise ValueError("it multiplies matrices with several scales")
    bound = left.largest * right.largest * left.integers.shape[-1] + sum(numbers.largest_row for numbers in bias)
    dtype = np.float32 if bound < _EXACT_IN_FLOAT32 else np.float64
    matrix = right.centred.T if attributes.get("transB") else right.centred
    sums = left.centred.astype(dtype, copy=False) @ matrix.astype(dtype, copy=False)
    for numbers in bias:
        sums += numbers.integers
    return Sums(sums, left.scale * right.scale)


def _function(apply: Callable[[Float, Attributes], Float]) -> Compute:
    def table(inputs: Sequence[Any], attributes: Attributes) -> Function:
        (numbers,) = inputs
        all_integers = np.arange(256, dtype=np.float32)
        return Function(numbers.integers, apply((all_integers - np.float32(numbers.zero_point)) * numbers.scale, attributes))

    return table


def _sigmoid(numbers: Float, attributes: Attributes) -> Float:
    return (1 / (1 + np.exp(-numbers.astype(np.float64)))).astype(np.float32)


def _leaky_relu(numbers: Float, attributes: Attributes) -> Float:
    return np.where(numbers < 0, np.float32(attributes["alpha"]) * numbers, numbers)


# Steps that move integers, or compute places to move them to.


def _reshape(inputs: Sequence[Any], attributes: Attributes) -> Array:
    values, shape = inputs
    moved: Array = values.reshape([values.shape[place] if size == 0 else size for place, size in enumerate(shape.tolist())])
    return moved


def _gather(inputs: Sequence[Any], attributes: Attributes) -> Array:
    values, places = inputs
    chosen: Array = np.take(values, places.astype(np.intp), axis=attributes.get("axis", 0))  # 32 bits on small machines
    return chosen


def _slice(inputs: Sequence[Any], attributes: Attributes) -> Array:
    values, starts, ends, axes = inputs
    chosen = [slice(None)] * values.ndim
    for start, end, axis in zip(starts.tolist(), ends.tolist(), axes.tolist(), strict=True):
        chosen[axis] = slice(start, end)
    part: Array = values[tuple(chosen)]
    return part


def _pad(inputs: Sequence[Any], attributes: Attributes) -> Array:
    values, pads = inputs
    return np.pad(values, np.reshape(pads, (2, -1)).T)


def _clip(inputs: Sequence[Any], attributes: Attributes) -> Array:
    values, *limits = inputs
    clipped: Array = np.maximum(values, limits[0])
    return np.minimum(clipped, limits[1]) if len(limits) > 1 else clipped


def _of_arrays(compute: Callable[..., Array]) -> Compute:
    """Return the operator that calls `compute` with its inputs as they are."""
    return lambda inputs, attributes: compute(*inputs)


_OPERATORS: Mapping[str, Compute] = {
    "DequantizeLinear": _dequantize,
    "QuantizeLinear": _quantize,
    "Conv": _convolve,
    "MatMul": _multiply_matrices,
    "Gemm": _multiply_matrices,
    "LeakyRelu": _function(_leaky_relu),
    "Sigmoid": _function(_sigmoid),
    "Abs": _of_arrays(np.abs),
    "Add": _of_arrays(np.add),
    "Cast": lambda inputs, attributes: inputs[0].astype(_TYPES[attributes["to"]]),
    "Clip": _clip,
    "Concat": lambda inputs, attributes: np.concatenate(inputs, attributes["axis"]),
    "Div": _of_arrays(np.divide),
    "Gather": _gather,
    "GatherElements": lambda inputs, attributes: np.take_along_axis(inputs[0], inputs[1], axis=attributes.get("axis", 0)),
    "Max": _of_arrays(np.maximum),
    "Mul": _of_arrays(np.multiply),
    "Pad": _pad,
    "ReduceMax": lambda inputs, attributes: inputs[0].max(axis=attributes["axes"], keepdims=True),
    "Reshape": _reshape,
    "Sign": _of_arrays(np.sign),
    "Slice": _slice,
    "Sub": _of_arrays(np.subtract),
    "Tile": _of_arrays(np.tile),
    "Transpose": lambda inputs, attributes: inputs[0].transpose(attributes["perm"]),
}
"""Every operator that gan-export writes into an int8 file."""
