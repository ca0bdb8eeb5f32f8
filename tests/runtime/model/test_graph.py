"""Reading a graph without the onnx package: what gan-export writes, and nothing else."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hostile_files import CONSTANTS, IMAGES, NODES, Z, harmless
from numpy.typing import NDArray
from onnx_bytes import FLOAT, FLOAT16, INT64, UINT8, AttributeValue, constant, graph, integers, model, node
from protobuf_bytes import bytes_field, integer_field, number

from pocketgan.errors import ModelError
from pocketgan.model.graph import Node, Tensor, read_graph


def refused(contents: bytes) -> str:
    """Return what reading the graph is refused with."""
    with pytest.raises((ValueError, ModelError), match=" ") as caught:
        read_graph(contents, 64)
    return str(caught.value)


def with_constant(extra: bytes) -> bytes:
    return model(NODES, [*CONSTANTS, extra], [Z], [IMAGES], None)


def test_nodes_constants_inputs_and_outputs_are_read() -> None:
    found = read_graph(harmless("{}"), batch=64)
    assert found.nodes[0] == Node("grey", "Gemm", ("z", "weights"), ("grey",), {})
    assert found.nodes[2].attributes == {"to": UINT8}
    assert found.constants["weights"] == Tensor((16, 64), FLOAT, is_constant=True)
    assert found.constants["image_shape"] == Tensor((3,), INT64, is_constant=True, values=(-1, 8, 8))
    assert found.inputs == {"z": Tensor((64, 16), FLOAT)}
    assert found.outputs == {"images": Tensor((64, 8, 8), UINT8)}


def test_attributes_of_every_type_are_read() -> None:
    attributes: dict[str, AttributeValue] = {"a": 0.5, "b": -3, "c": "CRD", "d": [2, -1], "e": []}
    whole = model([node("Any", [], "y", **attributes)], [], [], [], None)
    written = {"a": 0.5, "b": -3, "c": "CRD", "d": (2, -1)}
    assert "'e' has not just one value, of its type 7" in refused(whole)
    del attributes["e"]
    assert read_graph(model([node("Any", [], "y", **attributes)], [], [], [], None), 64).nodes[0].attributes == written


def test_packed_shapes_are_read_like_others() -> None:
    packed = bytes_field(1, b"\x02\x03") + integer_field(2, FLOAT) + bytes_field(8, b"c") + bytes_field(9, bytes(24))
    assert read_graph(with_constant(packed), 64).constants["c"].shape == (2, 3)


@pytest.mark.parametrize("name", ["tiny", "tiny_conditional", "tiny_float"])
def test_the_models_of_the_tests_are_read(models: Path, name: str) -> None:
    found = read_graph((models / f"{name}.onnx").read_bytes(), 64)
    assert found.inputs["z"].shape == (64, 16)
    assert found.outputs.keys() == {"images"}


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (constant("c", [2, 2], FLOAT, bytes(15)), "'c' has 15 bytes, expected 16 for its shape [2, 2]"),
        (constant("c", [2, 2], FLOAT, bytes(17)), "'c' has 17 bytes, expected 16 for its shape [2, 2]"),
        (constant("c", [2**40, 2**40], FLOAT, b""), "has 0 bytes, expected 4835703278458516698824704"),
        (constant("c", [0], FLOAT, b""), "has the shape [0], expected at most 8 sizes, each 1 or more"),
        (constant("c", [-1], FLOAT, b""), "has the shape [-1]"),
        (constant("c", [1] * 9), "has the shape [1, 1, 1, 1, 1, 1, ...]"),
        (constant("weights", [1]), "two of its tensors are called 'weights'"),
        (constant("c", [1]) + integer_field(2, FLOAT), "its tensor has a field 2 that gan-export does not write, or not so"),
        (constant("c", [1]).replace(integer_field(2, 1), integer_field(2, 9)), "the element type 9, expected one of 1, 2, 3"),
        (constant("c", [1]) + bytes_field(4, bytes(4)), "its tensor has a field 4 that"),
        (constant("x" * 513, [1]), "a text of 513 bytes, expected at most 512"),
    ],
)
def test_a_constant_that_gan_export_does_not_write_is_refused(extra: bytes, said: str) -> None:
    assert said in refused(with_constant(extra))


def bits(kind: type[np.floating], *patterns: int) -> NDArray[np.floating]:
    """Return the numbers of these bits."""
    return np.array(patterns, dtype=np.uint32 if kind is np.float32 else np.uint16).view(kind)


@pytest.mark.parametrize("place", [0, 16_383, 16_384, 40_000])
@pytest.mark.parametrize("pattern", [0x7F800000, 0xFF800000, 0x7F800001, 0xFFFFFFFF])
def test_a_number_that_is_not_finite_is_found_anywhere(pattern: int, place: int) -> None:
    values = np.full(40_001, np.finfo(np.float32).max, dtype=np.float32)
    values[1::2] *= -1
    assert read_graph(with_constant(constant("c", [40_001], FLOAT, values.tobytes())), 64)
    values[place] = bits(np.float32, pattern)[0]
    assert "'c' holds numbers that are infinite" in refused(with_constant(constant("c", [40_001], FLOAT, values.tobytes())))


@pytest.mark.parametrize("pattern", [0x7C00, 0xFC01])
def test_so_is_one_of_half_precision(pattern: int) -> None:
    assert not np.isfinite(bits(np.float16, pattern)[0])
    for half, is_finite in ((0x7BFF, True), (0xFBFF, True), (pattern, False)):
        contents = with_constant(constant("c", [4], FLOAT16, struct.pack("<4H", 0x7BFF, half, 0xFBFF, 0)))
        assert read_graph(contents, 64) if is_finite else "infinite" in refused(contents)


def test_an_operator_set_of_others_is_refused_by_name() -> None:
    more = bytes_field(8, bytes_field(1, b"com.microsoft") + integer_field(2, 1))
    found = "version 17 of 'ONNX', version 1 of 'com.microsoft'"
    assert refused(harmless("{}") + more) == f"it uses these sets of operators: {found}; expected version 17 of ONNX's own alone"


def test_a_second_graph_is_refused_rather_than_merged() -> None:
    assert "its model has a field 7 that" in refused(harmless("{}") + bytes_field(7, graph([], [], [], [])))


def test_the_same_attribute_twice_is_refused() -> None:
    twice = node("Cast", ["z"], "y", to=1) + bytes_field(5, bytes_field(1, b"to") + integer_field(3, 2) + integer_field(20, 2))
    assert "has two attributes 'to'" in refused(model([twice], [], [Z], [], None))


def tensor_of(*dimensions: bytes) -> bytes:
    """Return an input or output of floats with these dimensions."""
    shape = b"".join(bytes_field(1, dimension) for dimension in dimensions)
    return bytes_field(1, b"z") + bytes_field(2, bytes_field(1, integer_field(1, FLOAT) + bytes_field(2, shape)))


NAME, NUMBER = bytes_field(2, b"N"), integer_field(1, 16)


@pytest.mark.parametrize(
    ("dimensions", "said"),
    [
        ([NAME, NAME], "has dim_param for size 1 of its shape, expected dim_value"),
        ([NUMBER, NUMBER], "has dim_value for size 0 of its shape, expected dim_param"),
        ([b"", NUMBER], "has nothing for size 0 of its shape, expected dim_param"),
        ([NAME, b""], "has nothing for size 1 of its shape, expected dim_value"),
        ([integer_field(1, 1) + NAME, NUMBER], "has dim_param and dim_value for size 0 of its shape, expected dim_param"),
        ([NAME + integer_field(1, 1), NUMBER], "has dim_param and dim_value for size 0"),
        ([NAME, bytes_field(2, b"M") + NUMBER], "has dim_param and dim_value for size 1"),
        ([NAME, NUMBER + integer_field(1, 2)], "its dimension has a field 1 that gan-export does not write, or not so"),
    ],
)
def test_a_size_is_written_in_one_way_only(dimensions: list[bytes], said: str) -> None:
    written = tensor_of(*dimensions)
    assert said in refused(model([], [], [written], [], None))
    assert said in refused(model([], [], [], [written], None))


WHOLE = harmless("{}")


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        (WHOLE.replace(integer_field(1, 8), integer_field(1, 9), 1), "it is of version 9 of the file format, expected 8"),
        (WHOLE.replace(integer_field(1, 8), b"", 1), "it is of version 0 of the file format, expected 8"),
        (WHOLE.replace(integer_field(1, 8), b"\x08\x88\x00", 1), "a number that ends at byte 3 is written longer than it has to"),
        (WHOLE.replace(integer_field(1, 8), b"\x88\x00\x08", 1), "a number that ends at byte 2 is written longer than it has to"),
        (WHOLE + bytes_field(8, bytes_field(1, b"") + integer_field(2, 17)), "version 17 of 'ONNX', version 17 of 'ONNX'"),
        (WHOLE.replace(bytes_field(8, bytes_field(1, b"") + integer_field(2, 17)), b""), "these sets of operators: none"),
        (with_constant(constant("", [1])), "one of its tensors has no name"),
        (with_constant(constant("a\0b", [1])), "a name that is not printable text"),
        (with_constant(constant("a\x1b[2J", [1])), "a name that is not printable text"),
        (model([node("Cast", ["z"], "y", to=1) + bytes_field(4, b"Tile")], [], [Z], [], None), "its node has a field 4 that"),
    ],
)
def test_what_readers_could_take_for_something_else_is_refused(contents: bytes, said: str) -> None:
    assert said in refused(contents)


@pytest.mark.parametrize("more", [integer_field(3, 1), number(2 << 3 | 5) + bytes(4), bytes_field(4, b"1"), integer_field(8, 1)])
def test_an_attribute_of_several_values_is_refused(more: bytes) -> None:
    attribute = bytes_field(1, b"a") + integer_field(3, 1) + integer_field(20, 2) + more
    said = refused(model([node("Any", [], "y") + bytes_field(5, attribute)], [], [], [], None))
    assert "has not just one value" in said or "has a field 3 that" in said


def test_values_of_long_constants_are_not_kept() -> None:
    found = read_graph(model([], [integers("short", range(16)), integers("long", range(17))], [], [], None), 64)
    assert found.constants["short"].values == tuple(range(16))
    assert found.constants["long"].values is None
