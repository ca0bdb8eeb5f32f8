"""A harmless generator written by hand, and what is put into it to make it a model file that means harm.

It draws 8x8 pixels from 16 latents with floats: `z` times `weights` are `grey`, which become `pixels` and `images`.
"""

import struct
from collections.abc import Iterable

from onnx_bytes import FLOAT, INT64, UINT8, constant, integers, model, node, scalar, value

Z = value("z", ["N", 16])
IMAGES = value("images", ["N", 8, 8], UINT8)
WEIGHTS = struct.pack("<1024f", *((index * 37 % 64) / 4 for index in range(1024)))

NODES = (
    node("Gemm", ["z", "weights"], "grey"),
    node("Clip", ["grey", "black", "white"], "visible"),
    node("Cast", ["visible"], "pixels", to=UINT8),
    node("Reshape", ["pixels", "image_shape"], "images"),
)
CONSTANTS = (
    constant("weights", [16, 64], FLOAT, WEIGHTS),
    integers("image_shape", [-1, 8, 8]),
    scalar("black", 0),
    scalar("white", 255),
)


def harmless(card: str) -> bytes:
    """Return the generator as it is."""
    return model(NODES, CONSTANTS, [Z], [IMAGES], card)


def with_extra(card: str, nodes: Iterable[bytes], constants: Iterable[bytes] = (), rank: int = 2, more: bytes = b"") -> bytes:
    """Return the generator with nodes that make a tensor `big` of floats, of so many axes, whose first entry is added to `z`.

    So nothing of it can be left out. The nodes find `z`, and `column`, which is `z` as a column.
    """
    first = [
        node("Slice", ["big", "at_0", "at_1", "axes"], "first"),
        node("Reshape", ["first", "one"], "little"),
        node("Add", ["z", "little"], "moved"),
        node("Gemm", ["moved", "weights"], "grey"),
    ]
    own = [
        integers("as_column", [-1, 1]),
        integers("at_0", [0] * rank),
        integers("at_1", [1] * rank),
        integers("axes", list(range(rank))),
        integers("one", [1, 1]),
    ]
    before = [node("Reshape", ["z", "as_column"], "column")]
    return model([*before, *nodes, *first, *NODES[1:]], [*CONSTANTS, *own, *constants], [Z], [IMAGES], card, more)


def with_nodes(card: str, nodes: Iterable[bytes], constants: Iterable[bytes] = ()) -> bytes:
    """Return the generator with other nodes in place of its last one: they make `images` of `pixels`, uint8 [N, 64]."""
    return model([*NODES[:-1], *nodes], [*CONSTANTS, *constants], [Z], [IMAGES], card)


def with_inputs(card: str, inputs: Iterable[bytes], outputs: Iterable[bytes]) -> bytes:
    """Return the generator with other inputs and outputs."""
    return model(NODES, CONSTANTS, inputs, outputs, card)


def with_constant(card: str, extra: bytes) -> bytes:
    """Return the generator with one more constant, which nothing uses."""
    return model(NODES, [*CONSTANTS, extra], [Z], [IMAGES], card)


def indices(name: str, values: Iterable[int]) -> bytes:
    """Return a constant of int64 of any length."""
    numbers = list(values)
    return constant(name, [len(numbers)], INT64, struct.pack(f"<{len(numbers)}q", *numbers))
