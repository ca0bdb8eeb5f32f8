"""A harmless generator written by hand, and variants of it to make malicious model files from.

It draws 8x8 pixels from 16 latents in float: `z` times `weights` gives `grey`, which becomes `pixels` and `images`.
"""

import struct
from collections.abc import Iterable

from onnx_bytes import FLOAT, UINT8, constant, integers, model, node, scalar, value

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
    """Return the generator."""
    return model(NODES, CONSTANTS, [Z], [IMAGES], card)


def with_constant(extra: bytes) -> bytes:
    """Return the generator with another constant, which nothing uses."""
    return model(NODES, [*CONSTANTS, extra], [Z], [IMAGES], "{}")


def with_extra(card: str, nodes: Iterable[bytes], constants: Iterable[bytes] = (), rank: int = 2) -> bytes:
    """Return the generator with nodes that make a float tensor `big` with `rank` axes, whose first entry is added to `z`.

    So onnxruntime cannot skip it. The nodes can use `z`, and `column`, which is `z` as a column.
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
    return model([*before, *nodes, *first, *NODES[1:]], [*CONSTANTS, *own, *constants], [Z], [IMAGES], card)


def with_nodes(nodes: Iterable[bytes]) -> bytes:
    """Return the generator with other nodes in place of the last one, to make `images` from `pixels`, uint8 [N, 64]."""
    return model([*NODES[:-1], *nodes], CONSTANTS, [Z], [IMAGES], "{}")


def with_ends(inputs: Iterable[bytes], outputs: Iterable[bytes]) -> bytes:
    """Return the generator with other inputs and outputs."""
    return model(NODES, CONSTANTS, inputs, outputs, "{}")
