"""Parses a model file into a tree of protobuf fields, to change them one by one, and serializes the tree again."""

from collections.abc import Mapping
from dataclasses import dataclass

from pocketgan.model.protobuf import BYTES, WireReader

# The fields that contain messages, for each kind of message.
_CHILDREN: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 8: "operator set", 14: "entry"},
    "graph": {1: "node", 5: "tensor", 11: "value", 12: "value"},
    "node": {5: "attribute"},
    "value": {2: "type"},
    "type": {1: "tensor type"},
    "tensor type": {2: "shape"},
    "shape": {1: "dimension"},
}


@dataclass
class Field:
    """A field that can be changed in place."""

    number: int
    wire_type: int
    value: "int | bytes | Tree"


@dataclass
class Tree:
    """A parsed message."""

    kind: str
    fields: list[Field]

    def all(self, kind: str) -> "list[Tree]":
        """Return all messages of a kind, at any depth."""
        below = [found for field in self.fields if isinstance(field.value, Tree) for found in field.value.all(kind)]
        return [self, *below] if self.kind == kind else below

    def messages(self) -> "list[Tree]":
        """Return this message and all below it."""
        return [self, *(found for field in self.fields if isinstance(field.value, Tree) for found in field.value.messages())]

    def field(self, number: int) -> Field | None:
        """Return the first field of a number."""
        return next((field for field in self.fields if field.number == number), None)


def parse(contents: bytes, kind: str = "model") -> Tree:
    """Parse a message. Raises ModelError if the bytes are not one."""
    children = _CHILDREN.get(kind, {})
    fields = []
    for number, wire_type, value in WireReader().fields(memoryview(contents)):
        if isinstance(value, int):
            fields.append(Field(number, wire_type, value))
        else:
            inner = bytes(value)
            fields.append(Field(number, wire_type, parse(inner, children[number]) if number in children else inner))
    return Tree(kind, fields)


def serialize(tree: Tree) -> bytes:
    """Return the bytes of a message."""
    written = bytearray()
    for field in tree.fields:
        written += _number(field.number << 3 | field.wire_type)
        if isinstance(field.value, int):
            written += _number(field.value % 2**64)
        else:
            inner = serialize(field.value) if isinstance(field.value, Tree) else field.value
            written += (_number(len(inner)) if field.wire_type == BYTES else b"") + inner
    return bytes(written)


def _number(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])
