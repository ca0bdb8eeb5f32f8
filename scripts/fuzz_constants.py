"""Damages the constants of a graph for scripts/fuzz_models.py: their values, shapes, types, names and data location."""

import random
import struct
from collections.abc import Sequence

from fuzz_tree import Field, Tree, serialize

from pocketgan.model.protobuf import BYTES, VARINT

INTEGERS = (0, 1, 2, 3, 7, 64, 255, 1000, 2**16, 2**20, 2**27, 2**31 - 1, 2**31, 2**32, 2**32 + 1, 2**40, 2**62, 2**63 - 1, 2**63)
"""Numbers that readers often get wrong; numbers near the old value are tried too."""

FLOATS = (0.0, -1.0, 1e-45, 1e-30, 1e30, 3.4e38, float("inf"), float("-inf"), float("nan"))

TEXTS = (
    b"",
    b"z",
    b"images",
    b"label",
    b"../../../../etc/passwd",
    b"\xff\xfe\x00",
    b"two\nlines",
    b"\x1b[2J\x1b]0;title\x07",
    "\u202egnp\ud7ff".encode(),
    b"x" * 600,
    b"y" * 200_000,
)

RAW_DATA = 9
"""Number of the field with a constant's data."""

_DATA_TYPE, _TENSOR_NAME = 2, 8
_WIDTHS = {1: 4, 2: 1, 3: 1, 6: 4, 7: 8, 10: 2}


def change_constant(chance: random.Random, tree: Tree, others: Sequence[Tree]) -> None:
    """Change values of a constant, mostly a small one, because small ones are shapes, repeats, orders and scales."""
    tensors = [tensor for tensor in tree.all("tensor") if 0 < len(_data(tensor)) <= (4096 if chance.random() < 0.9 else 2**31)]
    tensor = chance.choice(tensors)
    data, element = bytearray(_data(tensor)), _element_type(tensor)
    width = _WIDTHS.get(element, 1)
    for _ in range(chance.choice((1, 1, 1, 2, 100))):
        place = chance.randrange(len(data)) // width * width
        old = int.from_bytes(data[place : place + width], "little", signed=True)
        new = (
            struct.pack("<f", chance.choice(FLOATS))
            if element == 1
            else (other_integer(chance, old) % 2**64).to_bytes(8, "little")
        )
        data[place : place + width] = new[:width]
    _set_data(tensor, bytes(data))


def resize_constant(chance: random.Random, tree: Tree, others: Sequence[Tree]) -> None:
    """Change the shape or type of a constant, and the amount of data to match."""
    tensor = chance.choice(tree.all("tensor"))
    dims = [field for field in tensor.fields if field.number == 1]
    if dims and chance.random() < 0.6:
        chance.choice(dims).value = chance.choice((0, 1, 2, 3, 16, 100, 1000))
    elif (kind := tensor.field(_DATA_TYPE)) is not None:
        kind.value = chance.choice(list(_WIDTHS))
    size = _WIDTHS.get(_element_type(tensor), 1)
    for field in dims:
        size *= field.value if isinstance(field.value, int) else 1
    data = _data(tensor) or b"\1"
    _set_data(tensor, (data * (min(size, 2**22) // len(data) + 1))[: min(size, 2**22)])


def swap_constants(chance: random.Random, tree: Tree, others: Sequence[Tree]) -> None:
    """Swap one field of two constants."""
    number = chance.choice((1, _DATA_TYPE, _TENSOR_NAME, RAW_DATA))
    first, second = (chance.choice(tree.all("tensor")).field(number) for _ in range(2))
    if first is not None and second is not None:
        first.value, second.value = second.value, first.value


def move_to_other_file(chance: random.Random, tree: Tree, others: Sequence[Tree]) -> None:
    """Declare that the data of a constant is in another file."""
    place = serialize(Tree("", [Field(1, BYTES, b"location"), Field(2, BYTES, chance.choice(TEXTS))]))
    chance.choice(tree.all("tensor")).fields += [Field(13, BYTES, place), Field(14, VARINT, chance.choice((0, 1, 2**32)))]


def other_integer(chance: random.Random, old: int) -> int:
    """Return an integer to put in place of `old`."""
    return chance.choice(
        (*INTEGERS, old + 1, old - 1, old * 2, -old, old ^ 1 << chance.randrange(64), chance.randrange(2**64), -1)
    )


def _data(tensor: Tree) -> bytes:
    field = tensor.field(RAW_DATA)
    return field.value if field is not None and isinstance(field.value, bytes) else b""


def _set_data(tensor: Tree, data: bytes) -> None:
    if (field := tensor.field(RAW_DATA)) is not None:
        field.value = data


def _element_type(tensor: Tree) -> int:
    field = tensor.field(_DATA_TYPE)
    return field.value if field is not None and isinstance(field.value, int) else 0
