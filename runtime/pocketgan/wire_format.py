"""Protocol buffers, the format that ONNX files are written in: the fields of a message, one after the other.

Format: https://protobuf.dev/programming-guides/encoding. Wherever other readers could take the same bytes for something else, the
file is refused.
"""

from collections.abc import Iterator
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
