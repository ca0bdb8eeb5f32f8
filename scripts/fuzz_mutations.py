"""Damages model files for scripts/fuzz_models.py: bytes, protobuf fields at any depth, numbers, names, and the card.

A file depends only on its seed and index. An ONNX file is parsed into a tree of fields, damaged and serialized again, so most
results are still valid messages that a reader does not refuse at once.
"""

import random
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeAlias

from fuzz_cards import damaged_card
from fuzz_constants import (
    FLOATS,
    RAW_DATA,
    TEXTS,
    change_constant,
    move_to_other_file,
    other_integer,
    resize_constant,
    swap_constants,
)
from fuzz_convolutions import wild_convolution
from fuzz_nodes import change_operator, insert_node, remove_node, rewire_input
from fuzz_tree import Field, Tree, parse, serialize

import pocketgan_models
from pocketgan.model.card import CARD_KEY
from pocketgan.model.protobuf import BYTES, FIXED32, VARINT

CONVOLUTIONS = 0.1
"""The share of files that are a single convolution with wild attributes instead of a damaged model."""

Damage: TypeAlias = Callable[[random.Random, Tree, Sequence[Tree]], None]


def damaged_file(seed: int, index: int, sources: Sequence[bytes]) -> bytes:
    """Return the damaged file of a seed and an index, made from one of the sources; smaller sources are used more often."""
    chance = random.Random(f"{seed}/{index}")
    if chance.random() < CONVOLUTIONS:
        tree = parse(pocketgan_models.path("mlp").read_bytes())
        wild_convolution(chance, tree)
        return serialize(tree)
    source, other = chance.choices(sources, weights=[1 / (20_000 + len(source)) for source in sources], k=2)
    if chance.random() < 0.15:
        return damaged_bytes(chance, source, other)
    tree, others = parse(source), [parse(other)]
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        damage = chance.choices(list(DAMAGES), weights=list(DAMAGES.values()))[0]
        with suppress(IndexError, ValueError, AssertionError):  # if there is nothing left to damage in this way
            damage(chance, tree, others)
    contents = serialize(tree)
    return damaged_bytes(chance, contents, other) if chance.random() < 0.03 else contents


def damaged_bytes(chance: random.Random, contents: bytes, other: bytes) -> bytes:
    """Return the bytes with bits flipped, the end cut off, or a part cut out, repeated or taken from another file."""
    damaged = bytearray(contents)
    start, length = chance.randrange(len(contents)), int(2 ** chance.uniform(0, 16))
    way = chance.randrange(6)
    if way <= 1:
        # Mostly near the ends, where the structure is: the middle consists of weights.
        within = len(contents) if chance.random() < 0.3 else min(len(contents), 8000)
        for _ in range(chance.choice((1, 1, 2, 5, 30))):
            place = chance.randrange(within)
            damaged[place if chance.random() < 0.5 else -1 - place] ^= 1 << chance.randrange(8)
    elif way == 2:
        del damaged[start:]
    elif way == 3:
        del damaged[start : start + length]
    elif way == 4:
        damaged[start:start] = damaged[start : start + length]
    else:
        from_other = chance.randrange(len(other))
        damaged[start : start + chance.choice((0, length))] = other[from_other : from_other + length]
    return bytes(damaged)


def _duplicate(chance: random.Random, tree: Tree, others: Sequence[Tree]) -> None:
    message = _some_message(chance, tree)
    message.fields.insert(chance.randrange(len(message.fields) + 1), chance.choice(message.fields))


def _delete(chance: random.Random, tree: Tree, others: Sequence[Tree]) -> None:
    message = _some_message(chance, tree)
    del message.fields[chance.randrange(len(message.fields))]


def _swap_fields(chance: random.Random, tree: Tree, others: Sequence[Tree]) -> None:
    first, second = chance.choices(_some_message(chance, tree).fields, k=2)
    first.value, second.value, first.wire_type, second.wire_type = second.value, first.value, second.wire_type, first.wire_type


def _from_other(chance: random.Random, tree: Tree, others: Sequence[Tree]) -> None:
    message = _some_message(chance, tree)
    sources = chance.choice(others).all(message.kind)
    message.fields[chance.randrange(len(message.fields))] = chance.choice(chance.choice(sources).fields)


def _change_integer(chance: random.Random, tree: Tree, others: Sequence[Tree]) -> None:
    field = chance.choice([field for message in tree.messages() for field in message.fields if field.wire_type == VARINT])
    if isinstance(field.value, int):
        field.value = other_integer(chance, field.value)


def _add_other_member(chance: random.Random, tree: Tree, others: Sequence[Tree]) -> None:
    """Give a size both a name and a number, which belong to a oneof."""
    dimension = chance.choice(tree.all("dimension"))
    more = chance.choice((Field(1, VARINT, chance.choice((1, 64, 2**20, 2**31, 2**62))), Field(2, BYTES, b"N")))
    dimension.fields.insert(chance.randrange(len(dimension.fields) + 1), more)


def _change_number_of_field(chance: random.Random, tree: Tree, others: Sequence[Tree]) -> None:
    chance.choice(_some_message(chance, tree).fields).number = chance.choice((chance.randrange(1, 30), 2**29 - 1))


def _change_text(chance: random.Random, tree: Tree, others: Sequence[Tree]) -> None:
    texts = [field for message in tree.messages() for field in message.fields if _is_text(message, field)]
    chance.choice(texts).value = chance.choice((*TEXTS, chance.choice(texts).value))


def _is_text(message: Tree, field: Field) -> bool:
    return field.wire_type == BYTES and isinstance(field.value, bytes) and (message.kind, field.number) != ("tensor", RAW_DATA)


def _change_float(chance: random.Random, tree: Tree, others: Sequence[Tree]) -> None:
    floats = [field for message in tree.messages() for field in message.fields if field.wire_type == FIXED32]
    chance.choice(floats).value = struct.pack("<f", chance.choice(FLOATS))


def _change_card(chance: random.Random, tree: Tree, others: Sequence[Tree]) -> None:
    for entry in tree.all("entry"):
        key, value = entry.field(1), entry.field(2)
        if key is not None and key.value == CARD_KEY.encode() and value is not None and isinstance(value.value, bytes):
            value.value = damaged_card(chance, value.value)


def _some_message(chance: random.Random, tree: Tree) -> Tree:
    """Return a message with fields; every kind is as likely as the others."""
    messages = [message for message in tree.messages() if message.fields]
    kind = chance.choice(sorted({message.kind for message in messages}))
    return chance.choice([message for message in messages if message.kind == kind])


DAMAGES: Mapping[Damage, int] = {
    _duplicate: 2,
    _delete: 2,
    _swap_fields: 1,
    _from_other: 2,
    _change_integer: 4,
    _add_other_member: 1,
    _change_number_of_field: 1,
    _change_text: 2,
    change_operator: 2,
    insert_node: 4,
    remove_node: 2,
    rewire_input: 2,
    change_constant: 8,
    resize_constant: 2,
    swap_constants: 1,
    move_to_other_file: 1,
    _change_float: 1,
    _change_card: 3,
}
"""Each way to damage a file's tree, and its weight in the random choice."""
