"""Reads protocol buffers, the encoding of ONNX files: WireReader yields fields by number, Message gives access by name.

This does not use the protobuf package, because model files are untrusted: every length is checked before anything is read, and
Message accepts only the fields that gan-export writes, in the form in which it writes them.
"""

from collections.abc import Iterator, Mapping, Set
from typing import TypeAlias

from pocketgan.errors import ModelError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types: an integer of variable length, eight bytes, a length followed by that many bytes, four bytes."""

MOST_FIELDS = 200_000
"""The most fields in a file. gan-export writes about two thousand; a file full of tiny fields would take minutes to read."""

Field: TypeAlias = tuple[int, int, int | memoryview]
"""Field number, wire type, and value: an integer if the wire type is VARINT, else bytes."""

_FIELD_LIMIT = 2**29


class WireReader:
    """Reads the messages of one file. Raises ModelError for malformed bytes, and after MOST_FIELDS fields."""

    def __init__(self) -> None:
        self._left = MOST_FIELDS

    def fields(self, message: memoryview) -> Iterator[Field]:
        """Yield the fields of a message."""
        position, end = 0, len(message)
        while position < end:
            self._count()
            key, position = _varint(message, position)
            number, wire_type = key >> 3, key & 7
            # The official reader truncates keys to 32 bits, so it would take a longer key for another field.
            if not 0 < number < _FIELD_LIMIT:
                raise damaged(f"field number {number} at byte {position}")
            if wire_type == VARINT:
                value, position = _varint(message, position)
                yield number, wire_type, value
                continue
            if wire_type == BYTES:
                length, position = _varint(message, position)
            elif wire_type in (FIXED64, FIXED32):
                length = 8 if wire_type == FIXED64 else 4
            else:
                raise damaged(f"wire type {wire_type} at byte {position}")
            if position + length > end:
                raise damaged(f"the field at byte {position} extends past the end")
            yield number, wire_type, message[position : position + length]
            position += length

    def integers(self, packed: memoryview) -> Iterator[int]:
        """Yield the integers of a packed field."""
        position = 0
        while position < len(packed):
            self._count()
            value, position = _varint(packed, position)
            yield value

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise damaged(f"it has more than {MOST_FIELDS:,} fields")


def damaged(problem: str) -> ModelError:
    """Return the error of a file that is no ONNX file, or no longer one."""
    return ModelError(f"not an ONNX file, or a damaged one: {problem}; copy or export it again")


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return the variable-length integer at `position`, and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise damaged("it ends in the middle of a number")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if not byte and shift:
                raise damaged(f"the number that ends at byte {position} is longer than necessary")
            return value, position
    raise damaged(f"the number at byte {position} is too long")


_INTEGERS = -1  # integers, packed or each in its own field
_ONCE, _REPEATED = False, True
# {kind of message: {field number: (name, wire type, whether it may be repeated)}}. If a field of _ONCE is repeated, other readers
# take the last value or merge the messages; Message refuses it, so that no two readers can disagree.
_FIELDS: Mapping[str, Mapping[int, tuple[str, int, bool]]] = {
    "model": {
        1: ("ir_version", VARINT, _ONCE),
        2: ("producer_name", BYTES, _ONCE),
        7: ("graph", BYTES, _ONCE),
        8: ("opset_import", BYTES, _REPEATED),
        14: ("metadata_props", BYTES, _REPEATED),
    },
    "operator set": {1: ("domain", BYTES, _ONCE), 2: ("version", VARINT, _ONCE)},
    "graph": {
        1: ("node", BYTES, _REPEATED),
        2: ("name", BYTES, _ONCE),
        5: ("initializer", BYTES, _REPEATED),
        11: ("input", BYTES, _REPEATED),
        12: ("output", BYTES, _REPEATED),
    },
    "node": {
        1: ("input", BYTES, _REPEATED),
        2: ("output", BYTES, _REPEATED),
        3: ("name", BYTES, _ONCE),
        4: ("op_type", BYTES, _ONCE),
        5: ("attribute", BYTES, _REPEATED),
        7: ("domain", BYTES, _ONCE),
    },
    "attribute": {
        1: ("name", BYTES, _ONCE),
        2: ("f", FIXED32, _ONCE),
        3: ("i", VARINT, _ONCE),
        4: ("s", BYTES, _ONCE),
        8: ("ints", _INTEGERS, _REPEATED),
        20: ("type", VARINT, _ONCE),
    },
    "tensor": {
        1: ("dims", _INTEGERS, _REPEATED),
        2: ("data_type", VARINT, _ONCE),
        8: ("name", BYTES, _ONCE),
        9: ("raw_data", BYTES, _ONCE),
    },
    "input or output": {1: ("name", BYTES, _ONCE), 2: ("type", BYTES, _ONCE)},
    "type": {1: ("tensor_type", BYTES, _ONCE)},
    "tensor type": {1: ("elem_type", VARINT, _ONCE), 2: ("shape", BYTES, _ONCE)},
    "shape": {1: ("dim", BYTES, _REPEATED)},
    "dimension": {1: ("dim_value", VARINT, _ONCE), 2: ("dim_param", BYTES, _ONCE)},
}
_TENSOR_EXTERNAL_DATA, _TENSOR_DATA_LOCATION = 13, 14
_LONGEST_TEXT = 512


class Message:
    """A message with fields by name. A field that is absent reads as 0 or empty.

    All methods raise ValueError if gan-export would not write the message like this, and ModelError if it is malformed or is a
    tensor with data in another file.
    """

    def __init__(self, reader: WireReader, kind: str, contents: memoryview) -> None:
        self._reader = reader
        self._kind = kind
        self._numbers: dict[str, list[int]] = {}
        self._pieces: dict[str, list[memoryview]] = {}
        for number, wire_type, value in reader.fields(contents):
            name, expected, may_repeat = _FIELDS[kind].get(number, ("", None, False))
            is_expected = wire_type == expected or (expected == _INTEGERS and wire_type in (VARINT, BYTES))
            if not is_expected or (not may_repeat and name in self.fields):
                if kind == "tensor" and (number == _TENSOR_EXTERNAL_DATA or (number == _TENSOR_DATA_LOCATION and value != 0)):
                    raise ModelError("it keeps weights in another file (external data): expected one file with everything inside")
                raise ValueError(f"its {kind} has a field {number} that gan-export does not write, or not like this")
            if isinstance(value, int):
                self._numbers.setdefault(name, []).append(_signed(value))
            elif expected == _INTEGERS:
                self._numbers.setdefault(name, []).extend(map(_signed, reader.integers(value)))
            else:
                self._pieces.setdefault(name, []).append(value)

    @property
    def fields(self) -> Set[str]:
        """The names of the fields that are present."""
        return self._numbers.keys() | self._pieces.keys()

    def integer(self, name: str) -> int:
        """Return the integer of a field."""
        return self._numbers.get(name, [0])[0]

    def integers(self, name: str) -> tuple[int, ...]:
        """Return the integers of a field."""
        return tuple(self._numbers.get(name, ()))

    def piece(self, name: str) -> memoryview:
        """Return the bytes of a field."""
        return self._pieces[name][0] if name in self._pieces else memoryview(b"")

    def text(self, name: str) -> str:
        """Return the text of a field."""
        return self._decoded(self.piece(name))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the texts of a repeated field."""
        return tuple(map(self._decoded, self._pieces.get(name, ())))

    def message(self, name: str, kind: str) -> "Message":
        """Return the message of a field."""
        return Message(self._reader, kind, self.piece(name))

    def messages(self, name: str, kind: str) -> Iterator["Message"]:
        """Yield the messages of a repeated field."""
        for piece in self._pieces.get(name, ()):
            yield Message(self._reader, kind, piece)

    def _decoded(self, piece: memoryview) -> str:
        if len(piece) > _LONGEST_TEXT:
            raise ValueError(f"its {self._kind} has a text of {len(piece):,} bytes, expected at most {_LONGEST_TEXT}")
        text = bytes(piece).decode(errors="replace")
        # This also refuses NUL, which ends a string in C, and terminal control characters.
        if not text.isprintable() or "\N{REPLACEMENT CHARACTER}" in text:
            raise ValueError(f"its {self._kind} has a name that is not printable text")
        return text


def _signed(value: int) -> int:
    """Return the signed 64-bit integer with the bits of an unsigned one."""
    if value >= 2**64:
        raise ValueError(f"the number {value} has more than 64 bits")
    return value - 2**64 if value >= 2**63 else value
