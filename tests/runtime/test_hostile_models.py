"""Model files that ask for gigabytes or hours, or lie about sizes, through the real command: one line, exit code 1, no files."""

import sys
from pathlib import Path

import pytest
from hostile_files import harmless, indices, with_constant, with_extra
from limited_gan_gen import ending, refusal, refusal_here
from onnx_bytes import FLOAT, UINT8, around, constant, graph, integers, node, scalar, value
from protobuf_bytes import bytes_field, integer_field

from pocketgan.model.card import CARD_KEY
from pocketgan.model.checked import read_metadata

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as Linux does it")

CARD = read_metadata((Path(__file__).parent / "models" / "tiny_float.onnx").read_bytes())[CARD_KEY]

IMAGE = integers("image", [-1, 16, 1, 1])
AS_IMAGE = node("Reshape", ["z", "image"], "x")
DOUBLED = [node("Concat", [f"c{step}", f"c{step}"], f"c{step + 1}", axis=1) for step in range(40)]
WIDE = node("Mul", ["column", "row"], "wide")
SQUARES = [node("Gemm", ["wide", "wide"], name, transB=1) for name in ("big", *map(str, range(16)))]
RANGE = [scalar("from", 0), scalar("to", 2**31), scalar("step", 1)]
LONG_ROW = [constant("row", [1, 2**14]), constant("ballast", [2**18])]
LOOP_BODY = graph([node("ConstantOfShape", ["many"], "big")], [], [], [])

OPERATOR = "there is no such operator in its models"
NO_SUBGRAPH = "its attribute has a field 6 that gan-export does not write"
CONSTANTS, DRAWING, TIME = (
    "bytes of constants, expected",
    "bytes for one image, expected",
    "multiplications for 64 images, expected",
)
NODES, FIELDS, INTEGER = "nodes, expected at most 2,000", "more than 200,000 fields", "expected 0 to 64"
BOMBS = {
    "constant of shape": (OPERATOR, with_extra(CARD, [node("ConstantOfShape", ["many"], "big")], [integers("many", [2**29, 1])])),
    "expand": (OPERATOR, with_extra(CARD, [node("Expand", ["column", "many"], "big")], [integers("many", [1, 2**30])])),
    "range": (OPERATOR, with_extra(CARD, [node("Range", ["from", "to", "step"], "big")], RANGE, rank=1)),
    "loop": (
        NO_SUBGRAPH,
        with_extra(CARD, [node("Loop", ["times", "", "z"], "big", body=LOOP_BODY)], [integers("times", [2**40])]),
    ),
    "constant repeated": (
        CONSTANTS,
        with_extra(CARD, [node("Tile", ["row", "many"], "big")], [constant("row", [1, 9]), integers("many", [1, 2**28])]),
    ),
    "many constants repeated": (
        CONSTANTS,
        with_extra(
            CARD,
            [node("Tile", ["row", "many"], f"big{copy or ''}") for copy in range(500)],
            [constant("row", [1, 100]), integers("many", [1, 10_000])],
        ),
    ),
    "batch repeated": (DRAWING, with_extra(CARD, [node("Tile", ["z", "many"], "big")], [integers("many", [2**20, 1])])),
    "repeated beyond all numbers": (
        DRAWING,
        with_extra(CARD, [node("Tile", ["z", "many"], "big")], [integers("many", [2**62, 2**62])]),
    ),
    "gathered": (
        CONSTANTS,
        with_extra(
            CARD, [node("Gather", ["row", "often"], "big", axis=0)], [constant("row", [1, 9999]), indices("often", [0] * 9999)]
        ),
    ),
    "broadcast": (DRAWING, with_extra(CARD, [node("Mul", ["column", "row"], "big")], [constant("row", [1, 1_100_000])])),
    "product of matrices": (
        DRAWING,
        with_extra(CARD, [node("Gemm", ["column", "row"], "big")], [constant("row", [1, 1_100_000])]),
    ),
    "doubled": (DRAWING, with_extra(CARD, [node("Tanh", ["z"], "c0"), *DOUBLED, node("Tanh", ["c40"], "big")])),
    "padded": (
        INTEGER,
        with_extra(
            CARD, [AS_IMAGE, node("Conv", ["x", "k"], "big", pads=[9999] * 4)], [IMAGE, constant("k", [1, 16, 1, 1])], rank=4
        ),
    ),
    "moved": (
        INTEGER,
        with_extra(
            CARD,
            [AS_IMAGE, node("Conv", ["x", "k"], "big", pads=[2**62, 0, 2**62, 0], strides=[2**61, 1])],
            [IMAGE, constant("k", [1, 16, 3, 3])],
            rank=4,
        ),
    ),
    "spread": (
        INTEGER,
        with_extra(
            CARD,
            [AS_IMAGE, node("ConvTranspose", ["x", "k"], "big", strides=[1, 1], output_padding=[0, 2**31])],
            [IMAGE, constant("k", [16, 1, 1, 1])],
            rank=4,
        ),
    ),
    "laid out": (
        DRAWING,
        with_extra(
            CARD,
            [AS_IMAGE, node("Conv", ["x", "k"], "big", pads=[64] * 4, strides=[1, 1])],
            [IMAGE, constant("k", [1, 16, 120, 120])],
            rank=4,
        ),
    ),
    "multiplied for hours": (
        TIME,
        with_extra(CARD, [WIDE, *SQUARES], LONG_ROW),
    ),
    "nodes": (
        NODES,
        with_extra(CARD, [node("Tanh", ["z"], "big"), *(node("Tanh", ["z"], f"t{number}") for number in range(3000))]),
    ),
    "fields": (FIELDS, harmless(CARD) + b"\x28\x01" * 2_000_000),
}


def test_the_harmless_generator_that_all_these_are_made_of_draws(tmp_path: Path) -> None:
    assert ending(tmp_path, harmless(CARD), count=64) == (0, "", "")
    assert len(list((tmp_path / "digits").glob("*.png"))) == 64


def test_so_does_one_with_more_in_it(tmp_path: Path) -> None:
    extra = [AS_IMAGE, node("Conv", ["x", "k"], "big", pads=[9] * 4)]
    assert ending(tmp_path, with_extra(CARD, extra, [IMAGE, constant("k", [1, 16, 1, 1])], rank=4)) == (0, "", "")


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_it_takes_memory_or_time(name: str, tmp_path: Path) -> None:
    expected, contents = BOMBS[name]
    assert expected in refusal(tmp_path, contents)


def test_a_bomb_of_a_hundred_bytes_without_a_card_is_refused(tmp_path: Path) -> None:
    bomb = around(graph([node("ConstantOfShape", ["n"], "y")], [integers("n", [2**28])], [], [value("y", ["M"])]), None)
    assert len(bomb) < 120
    assert "has no pocketgan model card" in refusal(tmp_path, bomb)


LIES = {
    "too little data": constant("c", [100, 100], FLOAT, bytes(4)),
    "too much data": constant("c", [1], FLOAT, bytes(4000)),
    "no data": constant("c", [2**31], FLOAT, b""),
    "more than 64 bits": constant("c", [2**62, 2**62], UINT8, b""),
    "negative": constant("c", [-1, -4], FLOAT, bytes(16)),
    "nothing": constant("c", [0, 2**62], FLOAT, b""),
    "many axes": constant("c", [1] * 1000, FLOAT, bytes(4)),
    "text": integer_field(1, 1) + integer_field(2, 8) + bytes_field(8, b"c") + bytes_field(6, b"?"),
    "a type that there is not": constant("c", [], FLOAT, bytes(4)).replace(integer_field(2, 1), integer_field(2, 2**32 + 1)),
    "a part of a tensor": constant("c", [1], FLOAT, bytes(4), more=bytes_field(3, integer_field(1, 0) + integer_field(2, 2**62))),
    "data twice": constant("c", [1], FLOAT, bytes(4), more=bytes_field(9, bytes(4))),
}


@pytest.mark.parametrize("name", LIES)
def test_a_constant_that_lies_about_itself_is_refused(name: str, tmp_path: Path) -> None:
    assert "onnxruntime" not in refusal_here(tmp_path, with_constant(CARD, LIES[name]))
