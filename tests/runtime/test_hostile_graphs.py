"""Graphs that gan-export would never write, through the command: one line, exit code 1, no files."""

import struct
from pathlib import Path

import pytest
from hostile_files import CONSTANTS, IMAGES, NODES, Z, harmless, with_constant, with_extra, with_inputs, with_nodes
from limited_gan_gen import refusal_here
from onnx_bytes import FLOAT, FLOAT16, INT32, INT64, UINT8, around, constant, graph, integers, model, node, value
from protobuf_bytes import bytes_field, integer_field

from pocketgan.model.card import CARD_KEY
from pocketgan.model.checked import read_metadata

CARD = read_metadata((Path(__file__).parent / "models" / "tiny_float.onnx").read_bytes())[CARD_KEY]
AS_BEFORE = node("Reshape", ["pixels", "image_shape"], "images")


def elsewhere(place: str) -> bytes:
    """Return a constant whose data is in another file."""
    entry = bytes_field(1, b"location") + bytes_field(2, place.encode())
    return (
        integer_field(1, 1) + integer_field(2, FLOAT) + bytes_field(8, b"secret") + bytes_field(13, entry) + integer_field(14, 1)
    )


PLACES = ["../../../../../../etc/passwd", "model.onnx", "/dev/zero"]
BRANCH = graph([], [elsewhere("/etc/passwd")], [], [value("secret", [1])])
EXTERNAL = {place: with_constant(CARD, elsewhere(place)) for place in PLACES}
EXTERNAL_WITHIN = {
    "in a branch": with_nodes(CARD, [AS_BEFORE, node("If", ["yes"], "?", then_branch=BRANCH, else_branch=BRANCH)]),
    "in a function": harmless(CARD) + bytes_field(25, bytes_field(11, bytes_field(5, elsewhere("/etc/passwd")))),
    "in a sparse constant": model(
        NODES, CONSTANTS, [Z], [IMAGES], CARD, bytes_field(15, bytes_field(1, elsewhere("/etc/passwd")) + integer_field(3, 2**31))
    ),
}


@pytest.mark.parametrize("name", EXTERNAL)
def test_a_file_that_reaches_for_another_one_is_refused(name: str, tmp_path: Path) -> None:
    assert "it keeps weights in another file (external data)" in refusal_here(tmp_path, EXTERNAL[name])


@pytest.mark.parametrize("name", EXTERNAL_WITHIN)
def test_so_is_one_that_does_so_in_a_part_that_gan_export_does_not_write(name: str, tmp_path: Path) -> None:
    assert "that gan-export does not write" in refusal_here(tmp_path, EXTERNAL_WITHIN[name])


ENDS = {
    "latents of half precision": ([value("z", ["N", 16], FLOAT16)], [IMAGES]),
    "whole latents": ([value("z", ["N", 16], INT64)], [IMAGES]),
    "latents of one axis": ([value("z", [16])], [IMAGES]),
    "latents without a type": ([bytes_field(1, b"z")], [IMAGES]),
    "latents of any size": ([value("z", ["N", "M"])], [IMAGES]),
    "latents of negative size": ([value("z", ["N", -16])], [IMAGES]),
    "one image at a time": ([value("z", [1, 16])], [value("images", [1, 8, 8], UINT8)]),
    "latents of another name": ([value("y", ["N", 16])], [IMAGES]),
    "a label that is not used": ([Z, value("label", ["N"], INT64)], [IMAGES]),
    "a label of another type": ([Z, value("label", ["N"], INT32)], [IMAGES]),
    "no inputs": ([], [IMAGES]),
    "a thousand inputs": ([Z, *(value(f"z{number}", ["N", 16]) for number in range(1000))], [IMAGES]),
    "images of floats": ([Z], [value("images", ["N", 8, 8], FLOAT)]),
    "flat images": ([Z], [value("images", ["N", 64], UINT8)]),
    "huge images": ([Z], [value("images", ["N", 2**31, 2**31], UINT8)]),
    "no outputs": ([Z], []),
    "two outputs": ([Z], [IMAGES, value("grey", ["N", 64])]),
    "an output that nothing makes": ([Z], [value("pictures", ["N", 8, 8], UINT8)]),
}


@pytest.mark.parametrize("name", ENDS)
def test_other_inputs_and_outputs_than_the_card_promises_are_refused(name: str, tmp_path: Path) -> None:
    refusal_here(tmp_path, with_inputs(CARD, *ENDS[name]))


FLAT = [node("Reshape", ["pixels", "image_shape"], "whole")]
NOT_A_NUMBER = struct.pack("<f", float("nan"))
GRAPHS = {
    "a cycle": with_extra(CARD, [node("Tanh", ["there"], "big"), node("Tanh", ["big"], "there")]),
    "a node that eats itself": with_extra(CARD, [node("Add", ["z", "big"], "big")]),
    "a missing node": with_extra(CARD, []),
    "no nodes": model([], CONSTANTS, [Z], [IMAGES], CARD),
    "a tensor made twice": with_nodes(CARD, [AS_BEFORE, AS_BEFORE]),
    "an input that a node makes": with_nodes(CARD, [node("Tanh", ["z"], "z"), AS_BEFORE]),
    "a constant twice": with_constant(CARD, CONSTANTS[0]),
    "an operator of other people": with_nodes(CARD, [AS_BEFORE + bytes_field(7, b"com.microsoft")]),
    "an operator that there is not": with_nodes(CARD, [node("Reshapes", ["pixels", "image_shape"], "images")]),
    "an operator with no text for a name": with_nodes(CARD, [AS_BEFORE.replace(b"Reshape", b"\xff\xfeshape")]),
    "an operator with a very long name": with_nodes(CARD, [node("R" * 10**6, ["pixels"], "images")]),
    "a name that commands the terminal": with_nodes(CARD, [node("\x1b[2J\r\n", ["pixels"], "images")]),
    "too many inputs": with_nodes(CARD, [node("Reshape", ["pixels"] + ["image_shape"] * 9, "images")]),
    "an unknown attribute": with_nodes(CARD, [node("Reshape", ["pixels", "image_shape"], "images", allowzero=1)]),
    "a conversion to text": with_nodes(CARD, [node("Cast", ["pixels"], "text", to=8), AS_BEFORE]),
    "a shape that is computed": with_nodes(CARD, [node("Reshape", ["pixels", "pixels"], "images")]),
    "a table that is too short": with_nodes(
        CARD, [*FLAT, node("Gather", ["whole", "far"], "images", axis=2)], [integers("far", [0, 1, 2, 3, 4, 5, 6, 2**40])]
    ),
    "more images than asked for": with_nodes(CARD, [*FLAT, node("Concat", ["whole", "whole"], "images", axis=0)]),
    "a sigmoid of pixels": with_nodes(CARD, [*FLAT, node("Sigmoid", ["whole"], "images")]),
    "weights that are no numbers": model(
        NODES, [constant("weights", [16, 64], FLOAT, NOT_A_NUMBER * 1024), *CONSTANTS[1:]], [Z], [IMAGES], CARD
    ),
    "a graph after the graph": harmless(CARD) + bytes_field(7, graph([node("ConstantOfShape", ["z"], "more")], [], [], [])),
    "functions": harmless(CARD) + bytes_field(25, bytes_field(1, b"Reshape") + bytes_field(7, node("Reshape", ["z"], "z"))),
    "training": harmless(CARD) + bytes_field(20, bytes_field(1, graph(NODES, [], [], []))),
    "an older operator set": harmless(CARD).replace(integer_field(2, 17), integer_field(2, 9)),
    "a second operator set": harmless(CARD) + bytes_field(8, bytes_field(1, b"com.microsoft") + integer_field(2, 1)),
    "a version of the format that is to come": harmless(CARD).replace(integer_field(1, 8), integer_field(1, 99), 1),
    "a quantization of nothing": model(NODES, CONSTANTS, [Z], [IMAGES], CARD, bytes_field(14, bytes_field(1, b"grey"))),
    "sizes of tensors in between": model(NODES, CONSTANTS, [Z], [IMAGES], CARD, bytes_field(13, value("grey", [2**40, 2**40]))),
    "only a graph": around(b"", CARD),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_that_gan_export_would_not_write_is_refused(name: str, tmp_path: Path) -> None:
    refusal_here(tmp_path, GRAPHS[name])
