"""The operators that gan-export writes: the shape and type of their results, and the memory and products to compute them.

All other operators and attributes are refused. The rules are those of the ONNX specification (https://onnx.ai/onnx/operators),
restricted to what can be inferred without computing any values.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from reprlib import repr as shortened
from typing import NamedTuple, TypeAlias

from pocketgan.model.graph import FLOAT, FLOAT16, INT8, INT32, UINT8, Attribute, Node, Tensor

Attributes: TypeAlias = Mapping[str, Attribute]

LARGEST_INTEGER = 64
"""The largest integer in an attribute (strides, pads, axes), as gan-export writes them. Much larger ones make sums inside
onnxruntime overflow."""


class Result(NamedTuple):
    """The result of a node."""

    shape: tuple[int, ...]
    element_type: int
    scratch: int = 0
    """Temporary memory while the node computes, in elements."""
    products: int = 0
    """The number of multiplications."""


Rule: TypeAlias = Callable[[Sequence[Tensor], Attributes], Result]


class Operator(NamedTuple):
    """An operator that gan-export writes."""

    rule: Rule
    fewest_inputs: int
    most_inputs: int
    attributes: Mapping[str, type]


def result_of(node: Node, inputs: Sequence[Tensor]) -> Result:
    """Return the result of a node. Raises ValueError if its operator is not known, or cannot work on these inputs."""
    operator = OPERATORS.get(node.operator)
    if operator is None:
        raise ValueError("the operator is unknown")
    for name, value in node.attributes.items():
        if operator.attributes.get(name) is not type(value):
            raise ValueError(f"the attribute {name!r} is unknown or has the wrong type")
        integers = value if isinstance(value, tuple) else (value,) if isinstance(value, int) else ()
        if any(not 0 <= integer <= LARGEST_INTEGER for integer in integers):
            raise ValueError(f"the attribute {name!r} is {shortened(value)}, expected 0 to {LARGEST_INTEGER}")
    if not operator.fewest_inputs <= len(inputs) <= operator.most_inputs or len(node.outputs) != 1:
        raise ValueError(f"it has {len(inputs)} inputs and {len(node.outputs)} outputs")
    result = operator.rule(inputs, node.attributes)
    if any(size < 1 for size in result.shape):
        raise ValueError(f"its result would have the shape {list(result.shape)}")
    return result


def _with_type_of_input(place: int) -> Rule:
    """Return the rule of operators whose result has the shape of the first input and the type of the input at `place`."""
    return lambda inputs, attributes: Result(inputs[0].shape, inputs[place].element_type)


def _cast(inputs: Sequence[Tensor], attributes: Attributes) -> Result:
    target = attributes.get("to")
    if target not in (FLOAT, FLOAT16, UINT8, INT8, INT32):
        raise ValueError(f"it converts to the element type {target}")
    return Result(inputs[0].shape, int(target))


def _broadcast(inputs: Sequence[Tensor], attributes: Attributes) -> Result:
    rank = max(len(tensor.shape) for tensor in inputs)
    padded = [(1,) * (rank - len(tensor.shape)) + tensor.shape for tensor in inputs]
    shape = tuple(max(sizes) for sizes in zip(*padded, strict=True))
    if any(size not in (1, largest) for sizes in padded for size, largest in zip(sizes, shape, strict=True)):
        raise ValueError(f"the shapes {[tensor.shape for tensor in inputs]} do not match")
    return Result(shape, inputs[0].element_type)


def _quotient(inputs: Sequence[Tensor], attributes: Attributes) -> Result:
    if inputs[1].element_type not in (FLOAT, FLOAT16):
        raise ValueError("it divides by integers, and 0 would end the process")
    return _broadcast(inputs, attributes)


def _largest(inputs: Sequence[Tensor], attributes: Attributes) -> Result:
    if "axes" not in attributes:
        raise ValueError("it reduces all axes")
    shape, (axis,) = inputs[0].shape, _integers(attributes, "axes", 1, 0)
    if axis >= len(shape):
        raise ValueError(f"it reduces the shape {list(shape)} along axis {axis}")
    return Result((*shape[:axis], 1, *shape[axis + 1 :]), inputs[0].element_type)


def _reshape(inputs: Sequence[Tensor], attributes: Attributes) -> Result:
    source, target = inputs[0].shape, _values(inputs[1])
    problem = f"it reshapes {list(source)} to {list(target)}"
    if any(size < -1 or (size == 0 and place >= len(source)) for place, size in enumerate(target)) or target.count(-1) > 1:
        raise ValueError(problem)
    sizes = [size or source[place] for place, size in enumerate(target)]
    known = prod(size for size in sizes if size != -1)
    shape = tuple(prod(source) // known if size == -1 else size for size in sizes)
    if prod(shape) != prod(source):
        raise ValueError(problem)
    return Result(shape, inputs[0].element_type)


def _transpose(inputs: Sequence[Tensor], attributes: Attributes) -> Result:
    shape, order = inputs[0].shape, _integers(attributes, "perm", len(inputs[0].shape), 0)
    if sorted(order) != list(range(len(shape))):
        raise ValueError(f"it orders {len(shape)} axes as {list(order)}")
    return Result(tuple(shape[axis] for axis in order), inputs[0].element_type)


def _tile(inputs: Sequence[Tensor], attributes: Attributes) -> Result:
    shape, repeats = inputs[0].shape, _values(inputs[1])
    if len(repeats) != len(shape):
        raise ValueError(f"it repeats {len(shape)} axes {list(repeats)} times")
    return Result(tuple(size * times for size, times in zip(shape, repeats, strict=True)), inputs[0].element_type)


def _gather(inputs: Sequence[Tensor], attributes: Attributes) -> Result:
    shape = inputs[0].shape
    axis = _axis(attributes, len(shape))
    return Result(shape[:axis] + inputs[1].shape + shape[axis + 1 :], inputs[0].element_type)


def _concat(inputs: Sequence[Tensor], attributes: Attributes) -> Result:
    shapes = [tensor.shape for tensor in inputs]
    axis = _axis(attributes, len(shapes[0]))
    if len({(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}) > 1 or len({len(shape) for shape in shapes}) > 1:
        raise ValueError(f"it joins the shapes {shapes} along axis {axis}")
    joined = sum(shape[axis] for shape in shapes)
    return Result((*shapes[0][:axis], joined, *shapes[0][axis + 1 :]), inputs[0].element_type)


def _slice(inputs: Sequence[Tensor], attributes: Attributes) -> Result:
    shape = list(inputs[0].shape)
    starts, ends, axes = map(_values, inputs[1:])
    # Negative numbers count from the end, so a smaller batch could have a larger result.
    if (
        not len(starts) == len(ends) == len(axes) == len(set(axes))
        or min(*starts, *ends, *axes, 0) < 0
        or max(axes) >= len(shape)
    ):
        raise ValueError(f"it slices {shape} from {list(starts)} to {list(ends)} along the axes {list(axes)}")
    for start, end, axis in zip(starts, ends, axes, strict=True):
        shape[axis] = min(end, shape[axis]) - start
    return Result(tuple(shape), inputs[0].element_type)


def _convolution(inputs: Sequence[Tensor], attributes: Attributes) -> Result:
    batch, channels, kernel, strides, pads = _windows(inputs, attributes)
    outputs, inputs_of_kernel = inputs[1].shape[:2]
    if channels != inputs_of_kernel:
        raise ValueError(f"its kernel is for {inputs_of_kernel} channels, its input has {channels}")
    sizes = [
        (size + before + after - width) // stride + 1
        for size, width, stride, before, after in zip(inputs[0].shape[2:], kernel, strides, pads[:2], pads[2:], strict=True)
    ]
    places, window = prod(sizes), channels * prod(kernel)
    # onnxruntime lays out the windows of one image, and copies the result from its own order of channels.
    scratch = window * places + batch * outputs * places
    return Result((batch, outputs, *sizes), inputs[0].element_type, scratch, batch * outputs * places * window)


def _transposed_convolution(inputs: Sequence[Tensor], attributes: Attributes) -> Result:
    batch, channels, kernel, strides, pads = _windows(inputs, attributes)
    inputs_of_kernel, outputs = inputs[1].shape[:2]
    output_padding = _integers(attributes, "output_padding", 2, 0)
    if channels != inputs_of_kernel:
        raise ValueError(f"its kernel is for {inputs_of_kernel} channels, its input has {channels}")
    sizes = [
        (size - 1) * stride + width - before - after + added
        for size, width, stride, before, after, added in zip(
            inputs[0].shape[2:], kernel, strides, pads[:2], pads[2:], output_padding, strict=True
        )
    ]
    places, window = prod(inputs[0].shape[2:]), outputs * prod(kernel)
    return Result((batch, outputs, *sizes), inputs[0].element_type, window * places, batch * channels * places * window)


def _windows(
    inputs: Sequence[Tensor], attributes: Attributes
) -> tuple[int, int, tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Return the batch size, channels, kernel size, strides and pads of a convolution of images."""
    shape, weights = inputs[0].shape, inputs[1].shape
    if len(shape) != 4 or len(weights) != 4:
        raise ValueError(f"it convolves the shape {list(shape)} with {list(weights)}, expected four axes each")
    strides, pads = _integers(attributes, "strides", 2, 1), _integers(attributes, "pads", 4, 0)
    kernel = attributes.get("kernel_shape", weights[2:])
    if kernel != weights[2:] or min(strides) < 1:
        raise ValueError(f"it has the kernel size {kernel} for weights {list(weights)}, and strides {list(strides)}")
    return shape[0], shape[1], weights[2:], strides, pads


def _gemm(inputs: Sequence[Tensor], attributes: Attributes) -> Result:
    left, right = inputs[0].shape, inputs[1].shape
    if len(left) != 2 or len(right) != 2:
        raise ValueError(f"it multiplies the shapes {list(left)} and {list(right)}, expected two axes each")
    inner, columns = right[::-1] if attributes.get("transB") else right
    if left[1] != inner:
        raise ValueError(f"it multiplies the shapes {list(left)} and {[inner, columns]}")
    return Result((left[0], columns), inputs[0].element_type, 0, left[0] * inner * columns)


def _matrix_products(inputs: Sequence[Tensor], attributes: Attributes) -> Result:
    left, right = inputs[0].shape, inputs[1].shape
    if len(left) == len(right) == 2:
        return _gemm(inputs, attributes)
    if len(left) != 3 or len(right) != 3 or left[0] not in (1, right[0]) or left[2] != right[1]:
        raise ValueError(f"it multiplies the shapes {list(left)} and {list(right)}, expected one or as many matrices on the left")
    batch, inner, columns = right
    rows = left[1]
    # onnxruntime copies the matrices on the right into its own order.
    return Result((batch, rows, columns), inputs[0].element_type, inner * columns, batch * rows * inner * columns)


def _pad(inputs: Sequence[Tensor], attributes: Attributes) -> Result:
    shape, pads = inputs[0].shape, _values(inputs[1])
    rank = len(shape)
    if len(pads) != 2 * rank or min(pads) < 0 or max(pads) > LARGEST_INTEGER:
        raise ValueError(f"it pads the shape {list(shape)} by {list(pads)}, expected 0 to {LARGEST_INTEGER} at both ends")
    sizes = (size + before + after for size, before, after in zip(shape, pads[:rank], pads[rank:], strict=True))
    return Result(tuple(sizes), inputs[0].element_type)


def _gather_elements(inputs: Sequence[Tensor], attributes: Attributes) -> Result:
    # Places outside are refused by onnxruntime when it draws, on the CPU at least.
    shape, places = inputs[0].shape, inputs[1].shape
    axis = _axis(attributes, len(shape))
    if len(places) != len(shape) or any(
        place > size for other, (place, size) in enumerate(zip(places, shape, strict=True)) if other != axis
    ):
        raise ValueError(f"it takes places of the shape {list(places)} from the shape {list(shape)}")
    return Result(places, inputs[0].element_type)


def _depth_to_space(inputs: Sequence[Tensor], attributes: Attributes) -> Result:
    shape, block = inputs[0].shape, attributes.get("blocksize")
    if len(shape) != 4 or not isinstance(block, int) or block < 1 or shape[1] % block**2:
        raise ValueError(f"it rearranges the shape {list(shape)} into blocks of {block}")
    batch, channels, height, width = shape
    return Result((batch, channels // block**2, height * block, width * block), inputs[0].element_type)


def _values(tensor: Tensor) -> tuple[int, ...]:
    if not tensor.values:
        raise ValueError("it takes a shape or positions from something other than a short constant")
    return tensor.values


def _axis(attributes: Attributes, rank: int) -> int:
    axis = attributes.get("axis", 0)
    if not isinstance(axis, int) or not 0 <= axis < rank:
        raise ValueError(f"it works along axis {axis} of {rank}")
    return axis


def _integers(attributes: Attributes, name: str, count: int, default: int) -> tuple[int, ...]:
    values = attributes.get(name, (default,) * count)
    if not isinstance(values, tuple) or len(values) != count:
        raise ValueError(f"the attribute {name!r} is {values}, expected {count} integers")
    return values


_same = _with_type_of_input(0)
_ELEMENTWISE = Operator(_same, 1, 1, {})
_BROADCAST = Operator(_broadcast, 2, 2, {})
OPERATORS: Mapping[str, Operator] = {
    "Abs": _ELEMENTWISE,
    "Add": _BROADCAST,
    "Cast": Operator(_cast, 1, 1, {"to": int}),
    "Clip": Operator(_same, 2, 3, {}),
    "Concat": Operator(_concat, 1, 64, {"axis": int}),
    "Conv": Operator(_convolution, 2, 3, {"kernel_shape": tuple, "strides": tuple, "pads": tuple}),
    "ConvTranspose": Operator(
        _transposed_convolution, 2, 3, {"kernel_shape": tuple, "strides": tuple, "pads": tuple, "output_padding": tuple}
    ),
    "DepthToSpace": Operator(_depth_to_space, 1, 1, {"blocksize": int, "mode": str}),
    "DequantizeLinear": Operator(_with_type_of_input(1), 2, 3, {"axis": int}),
    "Div": Operator(_quotient, 2, 2, {}),
    "Gather": Operator(_gather, 2, 2, {"axis": int}),
    "GatherElements": Operator(_gather_elements, 2, 2, {"axis": int}),
    "Gemm": Operator(_gemm, 2, 3, {"transB": int}),
    "LeakyRelu": Operator(_same, 1, 1, {"alpha": float}),
    "MatMul": Operator(_matrix_products, 2, 2, {}),
    "Max": _BROADCAST,
    "Mul": _BROADCAST,
    "Pad": Operator(_pad, 2, 2, {}),
    "QuantizeLinear": Operator(_with_type_of_input(2), 3, 3, {}),
    "ReduceMax": Operator(_largest, 1, 1, {"axes": tuple}),
    "Relu": _ELEMENTWISE,
    "Reshape": Operator(_reshape, 2, 2, {}),
    "Round": _ELEMENTWISE,
    "Sigmoid": _ELEMENTWISE,
    "Sign": _ELEMENTWISE,
    "Slice": Operator(_slice, 4, 4, {}),
    "Sub": _BROADCAST,
    "Tanh": _ELEMENTWISE,
    "Tile": Operator(_tile, 2, 2, {}),
    "Transpose": Operator(_transpose, 1, 1, {"perm": tuple}),
}
"""Every operator that gan-export writes, in any precision."""
