"""Reading the fields of protocol buffers."""

import pytest
from protobuf_bytes import bytes_field, integer_field, number

from pocketgan.errors import ModelError
from pocketgan.model.protobuf import BYTES, FIXED32, FIXED64, MOST_FIELDS, VARINT, WireReader


def fields(message: bytes) -> list[tuple[int, int, int | bytes]]:
    """Return the fields of a message, with copies of the bytes."""
    found = WireReader().fields(memoryview(message))
    return [(number, kind, value if isinstance(value, int) else bytes(value)) for number, kind, value in found]


def test_fields_of_every_kind_are_read_in_order() -> None:
    message = integer_field(1, 300) + number(2 << 3 | 1) + bytes(8) + bytes_field(3, b"text") + number(4 << 3 | 5) + b"four"
    message += integer_field(2**29 - 1, 2**64 - 1)
    assert fields(message) == [
        (1, VARINT, 300),
        (2, FIXED64, bytes(8)),
        (3, BYTES, b"text"),
        (4, FIXED32, b"four"),
        (2**29 - 1, VARINT, 2**64 - 1),
    ]


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (number(2**29 << 3) + b"\1", "field number 536870912"),
        (b"\0\1", "field number 0"),
        (b"\x0b", "wire type 3"),
        (b"\x0c", "wire type 4"),
        (b"\x0e", "wire type 6"),
        (b"\x0f", "wire type 7"),
        (b"\x08", "in the middle of a number"),
        (b"\x08\x80", "in the middle of a number"),
        (b"\x08" + b"\xff" * 11, "too long"),
        (b"\x0a\x05four", "extends past the end"),
        (b"\x0dabc", "extends past the end"),
        (b"\x0a" + number(2**63) + b"x", "extends past the end"),
    ],
)
def test_malformed_bytes_are_refused(message: bytes, problem: str) -> None:
    with pytest.raises(ModelError, match=f"^not an ONNX file, or a damaged one: .*{problem}"):
        fields(message)


def test_packed_integers_are_read() -> None:
    assert list(WireReader().integers(memoryview(number(1) + number(2**40) + number(0)))) == [1, 2**40, 0]


def test_the_number_of_fields_in_a_file_is_limited() -> None:
    reader = WireReader()
    half = memoryview(integer_field(1, 1) * (MOST_FIELDS // 2))
    assert sum(1 for _ in reader.fields(half)) == MOST_FIELDS // 2
    assert sum(1 for _ in reader.integers(memoryview(bytes(MOST_FIELDS // 2)))) == MOST_FIELDS // 2
    with pytest.raises(ModelError, match="more than 200,000 fields"):
        next(iter(reader.fields(half)))
