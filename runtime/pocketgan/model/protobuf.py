"""Reads protocol buffers, the encoding of ONNX files: first plain fields, then messages by the names of their fields.

Written here rather than with the protobuf package because model files are untrusted: every length is checked before anything is
read or kept, and only the fields that gan-export writes are accepted, each once and in the form in which it writes them.
"""

from collections.abc import Iterator, Mapping, Set
from typing import TypeAlias

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types: how a value is written. An integer of variable length, eight bytes, so many bytes as a length says, four bytes."""

MOST_FIELDS = 200_000
"""In one file. Those of gan-export have about two thousand; a file of nothing but tiny fields would take minutes."""

Field: TypeAlias = tuple[int, int, int | memoryview]
"""Number, wire type, and value: an integer if the wire type is VARINT, else bytes."""

_FIELD_LIMIT = 2**29


class WireReader:
    """Reads the messages of one file, and counts what it reads. Its methods raise ValueError for bytes that are no message."""

    def __init__(self) -> None:
        self._left = MOST_FIELDS

    def fields(self, message: memoryview) -> Iterator[Field]:
        """Yield the fields of a message."""
        position, end = 0, len(message)
        while position < end:
            self._count()
            key, position = _varint(message, position)
            number, wire_type = key >> 3, key & 7
            # Protocol buffers' own reader cuts keys to 32 bits: a longer one would be another field there than here.
            if not 0 < number < _FIELD_LIMIT:
                raise ValueError(f"field number {number} at byte {position}")
            if wire_type == VARINT:
                value, position = _varint(message, position)
                yield number, wire_type, value
                continue
            if wire_type == BYTES:
                length, position = _varint(message, position)
            elif wire_type in (FIXED64, FIXED32):
                length = 8 if wire_type == FIXED64 else 4
            else:
                raise ValueError(f"wire type {wire_type} at byte {position}")
            if position + length > end:
                raise ValueError(f"a field at byte {position} runs past the end")
            yield number, wire_type, message[position : position + length]
            position += length

    def integers(self, packed: memoryview) -> Iterator[int]:
        """Yield the integers that a field holds one after the other."""
        position = 0
        while position < len(packed):
            self._count()
            value, position = _varint(packed, position)
            yield value

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"it has more than {MOST_FIELDS:,} fields")


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return the integer of variable length at `position`, and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise ValueError("it ends in the middle of a number")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if not byte and shift:
                raise ValueError(f"a number that ends at byte {position} is written longer than it has to be")
            return value, position
    raise ValueError(f"a number at byte {position} is too long")


_INTEGERS = -1  # integers, each in a field of its own or all in one
_ONCE, _OFTEN = False, True
# {kind of message: {field: its name, how it is written, whether it may come more than once}}. Of several values, protocol buffers
# take the last, and they merge several messages: what is to come once is refused if it comes twice, so nothing is left to judge.
_LAYOUT: Mapping[str, Mapping[int, tuple[str, int, bool]]] = {
    "model": {
        1: ("ir_version", VARINT, _ONCE),
        2: ("producer_name", BYTES, _ONCE),
        7: ("graph", BYTES, _ONCE),
        8: ("opset_import", BYTES, _OFTEN),
        14: ("metadata_props", BYTES, _OFTEN),
    },
    "operator set": {1: ("domain", BYTES, _ONCE), 2: ("version", VARINT, _ONCE)},
    "graph": {
        1: ("node", BYTES, _OFTEN),
        2: ("name", BYTES, _ONCE),
        5: ("initializer", BYTES, _OFTEN),
        11: ("input", BYTES, _OFTEN),
        12: ("output", BYTES, _OFTEN),
    },
    "node": {
        1: ("input", BYTES, _OFTEN),
        2: ("output", BYTES, _OFTEN),
        3: ("name", BYTES, _ONCE),
        4: ("op_type", BYTES, _ONCE),
        5: ("attribute", BYTES, _OFTEN),
        7: ("domain", BYTES, _ONCE),
    },
    "attribute": {
        1: ("name", BYTES, _ONCE),
        2: ("f", FIXED32, _ONCE),
        3: ("i", VARINT, _ONCE),
        4: ("s", BYTES, _ONCE),
        8: ("ints", _INTEGERS, _OFTEN),
        20: ("type", VARINT, _ONCE),
    },
    "tensor": {
        1: ("dims", _INTEGERS, _OFTEN),
        2: ("data_type", VARINT, _ONCE),
        8: ("name", BYTES, _ONCE),
        9: ("raw_data", BYTES, _ONCE),
    },
    "input or output": {1: ("name", BYTES, _ONCE), 2: ("type", BYTES, _ONCE)},
    "type": {1: ("tensor_type", BYTES, _ONCE)},
    "tensor type": {1: ("elem_type", VARINT, _ONCE), 2: ("shape", BYTES, _ONCE)},
    "shape": {1: ("dim", BYTES, _OFTEN)},
    "dimension": {1: ("dim_value", VARINT, _ONCE), 2: ("dim_param", BYTES, _ONCE)},
}
_LONGEST_TEXT = 512


class Message:
    """One message. What is absent counts as 0 or empty; all methods raise ValueError if it is not as gan-export writes it."""

    def __init__(self, reader: WireReader, kind: str, contents: memoryview) -> None:
        self._reader = reader
        self._kind = kind
        self._numbers: dict[str, list[int]] = {}
        self._pieces: dict[str, list[memoryview]] = {}
        layout = _LAYOUT[kind]
        for number, wire_type, value in reader.fields(contents):
            name, expected, may_repeat = layout.get(number, ("", None, False))
            is_as_expected = wire_type == expected or (expected == _INTEGERS and wire_type in (VARINT, BYTES))
            if not is_as_expected or (not may_repeat and self.has(name)):
                raise ValueError(f"its {kind} has a field {number} that gan-export does not write, or not so")
            if isinstance(value, int):
                self._numbers.setdefault(name, []).append(_signed(value))
            elif expected == _INTEGERS:
                self._numbers.setdefault(name, []).extend(map(_signed, reader.integers(value)))
            else:
                self._pieces.setdefault(name, []).append(value)

    @property
    def fields(self) -> Set[str]:
        """Names of the fields that are there."""
        return self._numbers.keys() | self._pieces.keys()

    def has(self, name: str) -> bool:
        """Return whether a field is there."""
        return name in self._numbers or name in self._pieces

    def integer(self, name: str) -> int:
        """Return an integer."""
        return self._numbers.get(name, [0])[0]

    def integers(self, name: str) -> tuple[int, ...]:
        """Return integers."""
        return tuple(self._numbers.get(name, ()))

    def piece(self, name: str) -> memoryview:
        """Return bytes."""
        return self._pieces[name][0] if name in self._pieces else memoryview(b"")

    def text(self, name: str) -> str:
        """Return a text."""
        return self._decoded(self.piece(name))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return texts."""
        return tuple(map(self._decoded, self._pieces.get(name, ())))

    def message(self, name: str, kind: str) -> "Message":
        """Return a message within this one."""
        return Message(self._reader, kind, self.piece(name))

    def messages(self, name: str, kind: str) -> Iterator["Message"]:
        """Yield the messages within this one that a field holds."""
        for piece in self._pieces.get(name, ()):
            yield Message(self._reader, kind, piece)

    def _decoded(self, piece: memoryview) -> str:
        if len(piece) > _LONGEST_TEXT:
            raise ValueError(f"its {self._kind} has a text of {len(piece):,} bytes, expected at most {_LONGEST_TEXT}")
        text = bytes(piece).decode(errors="replace")
        # Nor are a NUL, at which C ends a name, and what could command a terminal.
        if not text.isprintable() or "\N{REPLACEMENT CHARACTER}" in text:
            raise ValueError(f"its {self._kind} has a name that is not printable text")
        return text


def _signed(value: int) -> int:
    """Return the 64 bits of an integer as a signed one."""
    if value >= 2**64:
        raise ValueError(f"the number {value} has more than 64 bits")
    return value - 2**64 if value >= 2**63 else value
