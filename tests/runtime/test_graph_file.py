"""Reading a graph without the onnx package: what gan-export writes, and nothing else."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hostile_files import CONSTANTS, IMAGES, NODES, Z, harmless
from numpy.typing import NDArray
from onnx_bytes import FLOAT, FLOAT16, INT64, UINT8, AttributeValue, constant, graph, integers, model, node, value
from protobuf_bytes import bytes_field, integer_field

from pocketgan.graph_file import Node, Tensor, read_graph


def refused(contents: bytes) -> str:
    """Return what reading the graph is refused with."""
    with pytest.raises(ValueError, match=" ") as caught:
        read_graph(contents, 64)
    return str(caught.value)


def with_constant(extra: bytes) -> bytes:
    return model(NODES, [*CONSTANTS, extra], [Z], [IMAGES], None)


def test_nodes_constants_inputs_and_outputs_are_read() -> None:
    found = read_graph(harmless("{}"), batch=64)
    assert found.nodes[0] == Node("grey", "Gemm", ("z", "weights"), ("grey",), {})
    assert found.nodes[2].attributes == {"to": UINT8}
    assert found.tensors["weights"] == Tensor((16, 64), FLOAT, is_constant=True)
    assert found.tensors["image_shape"] == Tensor((3,), INT64, is_constant=True, values=(-1, 8, 8))
    assert found.tensors["z"] == Tensor((64, 16), FLOAT)
    assert (found.inputs, found.outputs) == (("z",), ("images",))


def test_attributes_of_every_type_are_read() -> None:
    attributes: dict[str, AttributeValue] = {"a": 0.5, "b": -3, "c": "CRD", "d": [2, -1], "e": []}
    whole = model([node("Any", [], "y", **attributes)], [], [], [], None)
    written = {"a": 0.5, "b": -3, "c": "CRD", "d": (2, -1)}
    assert "'e' has no value" in refused(whole)
    del attributes["e"]
    assert read_graph(model([node("Any", [], "y", **attributes)], [], [], [], None), 64).nodes[0].attributes == written


def test_packed_shapes_are_read_like_others() -> None:
    packed = bytes_field(1, b"\x02\x03") + integer_field(2, FLOAT) + bytes_field(8, b"c") + bytes_field(9, bytes(24))
    assert read_graph(with_constant(packed), 64).tensors["c"].shape == (2, 3)


@pytest.mark.parametrize("name", ["tiny", "tiny_conditional", "tiny_float", "fixed_batch"])
def test_the_models_of_the_tests_are_read(models: Path, name: str) -> None:
    found = read_graph((models / f"{name}.onnx").read_bytes(), 64)
    assert found.tensors["z"].shape == (1 if name == "fixed_batch" else 64, 16)
    assert found.outputs == ("images",)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (constant("c", [2, 2], FLOAT, bytes(15)), "'c' has 15 bytes, expected 16 for its shape [2, 2]"),
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


@pytest.mark.parametrize("place", [0, 1, 16_383, 16_384, 40_000])
@pytest.mark.parametrize("pattern", [0x7F800000, 0xFF800000, 0x7F800001, 0xFFFFFFFF, 0x7FC00000])
def test_a_number_that_is_not_finite_is_found_anywhere(pattern: int, place: int) -> None:
    values = np.full(40_001, np.finfo(np.float32).max, dtype=np.float32)
    values[1::2] *= -1
    assert read_graph(with_constant(constant("c", [40_001], FLOAT, values.tobytes())), 64)
    values[place] = bits(np.float32, pattern)[0]
    assert "'c' holds numbers that are infinite" in refused(with_constant(constant("c", [40_001], FLOAT, values.tobytes())))


@pytest.mark.parametrize("pattern", [0x7C00, 0xFC00, 0x7C01, 0xFFFF])
def test_so_is_one_of_half_precision(pattern: int) -> None:
    assert not np.isfinite(bits(np.float16, pattern)[0])
    for number, is_finite in ((0x7BFF, True), (0xFBFF, True), (pattern, False)):
        contents = with_constant(constant("c", [4], FLOAT16, struct.pack("<4H", 0x7BFF, number, 0xFBFF, 0)))
        assert read_graph(contents, 64) if is_finite else "infinite" in refused(contents)


def test_an_operator_set_of_others_is_refused_by_name() -> None:
    more = bytes_field(8, bytes_field(1, b"com.microsoft") + integer_field(2, 1))
    assert refused(harmless("{}") + more) == (
        "it uses version 1 of the operators 'com.microsoft', expected version 17 of ONNX's own"
    )


def test_a_second_graph_is_refused_rather_than_merged() -> None:
    assert "its model has a field 7 that" in refused(harmless("{}") + bytes_field(7, graph([], [], [], [])))


def test_the_same_attribute_twice_is_refused() -> None:
    twice = node("Cast", ["z"], "y", to=1) + bytes_field(5, bytes_field(1, b"to") + integer_field(3, 2) + integer_field(20, 2))
    assert "has two attributes 'to'" in refused(model([twice], [], [Z], [], None))


def test_an_input_of_two_unknown_sizes_is_refused() -> None:
    assert "no number for size 1" in refused(model([], [], [value("z", ["N", "M"])], [], None))


def test_values_of_long_constants_are_not_kept() -> None:
    found = read_graph(model([], [integers("short", range(16)), integers("long", range(17))], [], [], None), 64)
    assert found.tensors["short"].values == tuple(range(16))
    assert found.tensors["long"].values is None
