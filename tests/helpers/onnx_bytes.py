"""ONNX files written by hand, valid or not, without the onnx package."""

import struct
from collections.abc import Iterable, Sequence
from math import prod
from typing import TypeAlias

from protobuf_bytes import bytes_field, integer_field, metadata_entry, number

from pocketgan.model.card import CARD_KEY

FLOAT, UINT8, INT8, INT32, INT64, FLOAT16 = 1, 2, 3, 6, 7, 10
AttributeValue: TypeAlias = int | float | str | list[int] | bytes

_WIDTHS = {FLOAT: 4, UINT8: 1, INT8: 1, INT32: 4, INT64: 8, FLOAT16: 2}


def model(
    nodes: Iterable[bytes], constants: Iterable[bytes], inputs: Iterable[bytes], outputs: Iterable[bytes], card: str | None
) -> bytes:
    """Return a model file of operator set 17."""
    operators = bytes_field(8, bytes_field(1, b"") + integer_field(2, 17))
    metadata = metadata_entry(CARD_KEY, card) if card else b""
    return integer_field(1, 8) + bytes_field(7, graph(nodes, constants, inputs, outputs)) + operators + metadata


def graph(nodes: Iterable[bytes], constants: Iterable[bytes], inputs: Iterable[bytes], outputs: Iterable[bytes]) -> bytes:
    """Return a graph."""
    parts = ((1, nodes), (2, [b"generator"]), (5, constants), (11, inputs), (12, outputs))
    return b"".join(bytes_field(field, part) for field, group in parts for part in group)


def node(operator: str, inputs: Sequence[str], output: str, **attributes: AttributeValue) -> bytes:
    """Return a node; an attribute with bytes is a graph."""
    fields = b"".join(bytes_field(1, one.encode()) for one in inputs) + bytes_field(2, output.encode())
    fields += bytes_field(3, output.encode()) + bytes_field(4, operator.encode())
    return fields + b"".join(bytes_field(5, _attribute(key, value)) for key, value in attributes.items())


def _attribute(name: str, value: AttributeValue) -> bytes:
    start = bytes_field(1, name.encode())
    match value:
        case float():
            return start + number(2 << 3 | 5) + struct.pack("<f", value) + integer_field(20, 1)
        case int():
            return start + integer_field(3, value % 2**64) + integer_field(20, 2)
        case str():
            return start + bytes_field(4, value.encode()) + integer_field(20, 3)
        case bytes():
            return start + bytes_field(6, value) + integer_field(20, 5)
        case list():
            return start + b"".join(integer_field(8, one % 2**64) for one in value) + integer_field(20, 7)


def constant(name: str, shape: Sequence[int], element_type: int = FLOAT, data: bytes | None = None) -> bytes:
    """Return a constant, with zeros if no `data` is given."""
    dims = b"".join(integer_field(1, size % 2**64) for size in shape)
    data = bytes(prod(shape) * _WIDTHS[element_type]) if data is None else data
    return dims + integer_field(2, element_type) + bytes_field(8, name.encode()) + bytes_field(9, data)


def integers(name: str, values: Sequence[int]) -> bytes:
    """Return a constant of int64."""
    return constant(name, [len(values)], INT64, struct.pack(f"<{len(values)}q", *values))


def scalar(name: str, value: float) -> bytes:
    """Return a constant of one float32."""
    return constant(name, [], FLOAT, struct.pack("<f", value))


def value(name: str, shape: Sequence[int | str], element_type: int = FLOAT) -> bytes:
    """Return an input or output; a string in its shape names an unknown size."""
    dims = (bytes_field(2, size.encode()) if isinstance(size, str) else integer_field(1, size % 2**64) for size in shape)
    tensor_type = integer_field(1, element_type) + bytes_field(2, b"".join(bytes_field(1, dim) for dim in dims))
    return bytes_field(1, name.encode()) + bytes_field(2, bytes_field(1, tensor_type))
