"""Reads the graph of an ONNX file without the onnx package: its nodes, constants, inputs and outputs.

ONNX allows far more than gan-export writes: graphs inside nodes, functions, sparse tensors, data in other files, text, operators
of other vendors. A field that gan-export does not write is refused, so none of these reaches onnxruntime.
Field numbers: onnx.proto of the ONNX specification.
"""

import struct
from collections.abc import Iterable, Mapping
from math import prod
from reprlib import repr as shortened
from typing import NamedTuple, TypeAlias

from pocketgan.model.protobuf import Message, WireReader

Attribute: TypeAlias = int | float | str | tuple[int, ...]

FLOAT, UINT8, INT8, INT32, INT64, FLOAT16 = 1, 2, 3, 6, 7, 10
"""ONNX's numbers for element types."""

ELEMENT_BYTES: Mapping[int, int] = {FLOAT: 4, UINT8: 1, INT8: 1, INT32: 4, INT64: 8, FLOAT16: 2}
"""The size of each element type that gan-export writes."""

FORMAT_VERSION, OPERATOR_SET = 8, 17
"""The versions of the file format (`ir_version`) and of ONNX's operators that gan-export writes."""

_MOST_DIMENSIONS = 8
_MOST_VALUES = 16  # values of a constant that are kept, for shapes and positions
# For each type: the exponent's bits, its lowest bit, and the sign bit. A number is infinite or NaN if all exponent bits are set;
# adding the lowest bit then carries into the sign bit.
_EXPONENTS = {FLOAT: (0x7F800000, 0x00800000, 0x80000000), FLOAT16: (0x7C00, 0x0400, 0x8000)}
_PIECE = 2**16
# The field that holds an attribute's value, by attribute type: float, integer, string, integers.
_ATTRIBUTE_FIELDS = {1: "f", 2: "i", 3: "s", 7: "ints"}


# Named tuples, because dataclasses take milliseconds to create at each start.
class Node(NamedTuple):
    """A node of the graph."""

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]


class Tensor(NamedTuple):
    """What is known about a tensor without computing it."""

    shape: tuple[int, ...]
    element_type: int
    is_constant: bool = False
    values: tuple[int, ...] | None = None
    """The values of a small int64 constant, None for any other tensor."""


class Graph(NamedTuple):
    """A graph."""

    nodes: tuple[Node, ...]
    constants: Mapping[str, Tensor]
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    """The outputs that the file declares; its nodes may compute something else."""
    data: Mapping[str, memoryview]
    """The bytes of the constants."""


def read_graph(contents: bytes, batch: int) -> Graph:
    """Return the graph of an ONNX file, with inputs for `batch` images.

    Raises ValueError if gan-export would not write the file like this, ModelError if it is damaged or has data in another file.
    """
    model = Message(WireReader(), "model", memoryview(contents))
    if model.integer("ir_version") != FORMAT_VERSION:
        raise ValueError(f"it has version {model.integer('ir_version')} of the file format, expected {FORMAT_VERSION}")
    sets = [
        (operators.text("domain"), operators.integer("version")) for operators in model.messages("opset_import", "operator set")
    ]
    if sets != [("", OPERATOR_SET)]:
        found = ", ".join(f"version {version} of {domain or 'ONNX'!r}" for domain, version in sets) or "none"
        raise ValueError(f"it uses these operator sets: {found}; expected only version {OPERATOR_SET} of ONNX's own")
    graph = model.message("graph", "graph")
    return Graph(
        nodes=tuple(_node(node) for node in graph.messages("node", "node")),
        constants=_named((constant.text("name"), _constant(constant)) for constant in graph.messages("initializer", "tensor")),
        inputs=_named((value.text("name"), _declared(value, batch)) for value in graph.messages("input", "input or output")),
        outputs=_named((value.text("name"), _declared(value, batch)) for value in graph.messages("output", "input or output")),
        data={constant.text("name"): constant.piece("raw_data") for constant in graph.messages("initializer", "tensor")},
    )


def _named(tensors: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    named: dict[str, Tensor] = {}
    for name, tensor in tensors:
        if not name:  # in ONNX an empty name stands for an optional input that is absent
            raise ValueError("one of its tensors has no name")
        if name in named:
            raise ValueError(f"two of its tensors have the name {name!r}")
        named[name] = tensor
    return named


def _constant(message: Message) -> Tensor:
    name, shape, element_type = message.text("name"), message.integers("dims"), message.integer("data_type")
    data = message.piece("raw_data")
    _check_shape(name, shape, element_type)
    expected = prod(shape) * ELEMENT_BYTES[element_type]
    if len(data) != expected:
        raise ValueError(
            f"its constant {name!r} has {len(data):,} bytes, expected {shortened(expected)} for its shape {list(shape)}"
        )
    if element_type in _EXPONENTS and not _are_finite(data, element_type):
        raise ValueError(f"its constant {name!r} has values that are infinite or not a number")
    values = None
    if element_type == INT64 and prod(shape) <= _MOST_VALUES and len(shape) == 1:
        values = struct.unpack(f"<{len(data) // 8}q", data)
    return Tensor(shape, element_type, is_constant=True, values=values)


def _are_finite(data: memoryview, element_type: int) -> bool:
    """Return whether all floating-point numbers are finite. For speed, each piece is checked as one long integer."""
    width = ELEMENT_BYTES[element_type]
    exponent, lowest, sign = (
        int.from_bytes(bits.to_bytes(width, "little") * (min(_PIECE, len(data)) // width), "little")
        for bits in _EXPONENTS[element_type]
    )
    for start in range(0, len(data), _PIECE):
        if ((int.from_bytes(data[start : start + _PIECE], "little") & exponent) + lowest) & sign:
            return False
    return True


def _declared(message: Message, batch: int) -> Tensor:
    """Return an input or output. The size of its first axis, the number of images, must be a name, all others numbers."""
    name = message.text("name")
    tensor_type = message.message("type", "type").message("tensor_type", "tensor type")
    sizes = []
    for position, dimension in enumerate(tensor_type.message("shape", "shape").messages("dim", "dimension")):
        # Both fields belong to a oneof: if both are present, protocol buffers would take the last one.
        expected = "dim_value" if position else "dim_param"
        if dimension.fields != {expected}:
            found = " and ".join(sorted(dimension.fields)) or "nothing"
            reason = "a number" if position else "a name for the number of images"
            raise ValueError(f"its tensor {name!r} has {found} for size {position} of its shape, expected {expected}: {reason}")
        sizes.append(dimension.integer("dim_value") if position else batch)
    shape, element_type = tuple(sizes), tensor_type.integer("elem_type")
    _check_shape(name, shape, element_type)
    return Tensor(shape, element_type)


def _check_shape(name: str, shape: tuple[int, ...], element_type: int) -> None:
    if element_type not in ELEMENT_BYTES:
        raise ValueError(
            f"its tensor {name!r} has the element type {element_type}, expected one of {', '.join(map(str, ELEMENT_BYTES))}"
        )
    if len(shape) > _MOST_DIMENSIONS or any(size < 1 for size in shape):
        expected = f"at most {_MOST_DIMENSIONS} sizes, each 1 or more"
        raise ValueError(f"its tensor {name!r} has the shape {shortened(list(shape))}, expected {expected}")


def _node(message: Message) -> Node:
    operator = message.text("op_type")
    if message.text("domain"):
        raise ValueError(f"it uses the operator {operator!r} of {message.text('domain')!r}, expected only ONNX's own")
    attributes: dict[str, Attribute] = {}
    for attribute in message.messages("attribute", "attribute"):
        name = attribute.text("name")
        if name in attributes:
            raise ValueError(f"its node {message.text('name')!r} has two attributes {name!r}")
        attributes[name] = _attribute(attribute)
    return Node(message.text("name"), operator, message.texts("input"), message.texts("output"), attributes)


def _attribute(message: Message) -> Attribute:
    name, kind = message.text("name"), message.integer("type")
    field = _ATTRIBUTE_FIELDS.get(kind)
    if field is None:
        raise ValueError(f"its attribute {name!r} has the type {kind}, expected a number, a string or integers")
    if message.fields != {"name", "type", field}:
        raise ValueError(f"its attribute {name!r} does not have exactly one value of its type {kind}")
    if field == "f":
        value: float = struct.unpack("<f", message.piece(field))[0]
        return value
    if field == "i":
        return message.integer(field)
    return message.text(field) if field == "s" else message.integers(field)
