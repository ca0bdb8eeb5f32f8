"""Reading a graph without the onnx package: what gan-export writes is read, everything else is refused."""

import numpy as np
import pytest
from hostile_files import harmless, with_constant
from onnx_bytes import FLOAT, FLOAT16, INT64, UINT8, AttributeValue, constant, graph, integers, model, node
from protobuf_bytes import bytes_field, integer_field, number

from pocketgan.errors import ModelError
from pocketgan.model.graph import Node, Tensor, read_graph

WHOLE = harmless("{}")
VERSION, OPERATORS = integer_field(1, 8), bytes_field(8, bytes_field(1, b"") + integer_field(2, 17))

ATTRIBUTE = bytes_field(5, bytes_field(1, b"a") + integer_field(3, 2) + integer_field(20, 2))


def refusal(contents: bytes) -> str:
    """Return the error for a file."""
    with pytest.raises((ValueError, ModelError), match=" ") as caught:
        read_graph(contents, 64)
    return str(caught.value)


def with_node(more: bytes, **attributes: AttributeValue) -> bytes:
    """Return a model of one node that has these additional fields."""
    return model([node("Any", [], "y", **attributes) + more], [], [], [], None)


def test_nodes_constants_inputs_and_outputs_are_read() -> None:
    found = read_graph(WHOLE, batch=64)
    assert found.nodes[0] == Node("grey", "Gemm", ("z", "weights"), ("grey",), {})
    assert found.nodes[2].attributes == {"to": UINT8}
    assert found.constants["weights"] == Tensor((16, 64), FLOAT, is_constant=True)
    assert found.constants["image_shape"] == Tensor((3,), INT64, is_constant=True, values=(-1, 8, 8))
    assert found.inputs == {"z": Tensor((64, 16), FLOAT)}
    assert found.outputs == {"images": Tensor((64, 8, 8), UINT8)}


def test_attributes_of_every_type_are_read() -> None:
    found = read_graph(with_node(b"", a=0.5, b=-(2**63), c="CRD", d=[2, -1]), 64)
    assert found.nodes[0].attributes == {"a": 0.5, "b": -(2**63), "c": "CRD", "d": (2, -1)}


def test_packed_shapes_are_read() -> None:
    packed = bytes_field(1, b"\x02\x03") + integer_field(2, FLOAT) + bytes_field(8, b"c") + bytes_field(9, bytes(24))
    assert read_graph(with_constant(packed), 64).constants["c"].shape == (2, 3)


def test_values_are_read_of_short_constants_only() -> None:
    found = read_graph(model([], [integers("short", range(16)), integers("long", range(17))], [], [], None), 64)
    assert found.constants["short"].values == tuple(range(16))
    assert found.constants["long"].values is None


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (constant("c", [2, 2], FLOAT, bytes(15)), "'c' has 15 bytes, expected 16 for its shape [2, 2]"),
        (constant("c", [2, 2], FLOAT, bytes(17)), "'c' has 17 bytes, expected 16 for its shape [2, 2]"),
        (constant("c", [2**40, 2**40], FLOAT, b""), "has 0 bytes, expected 4835703278458516698824704"),
        (constant("c", [0], FLOAT, b""), "has the shape [0], expected at most 8 sizes, each 1 or more"),
        (constant("c", [-1], FLOAT, b""), "has the shape [-1]"),
        (constant("c", [1] * 9), "has the shape [1, 1, 1, 1, 1, 1, ...]"),
        (constant("weights", [1]), "two of its tensors have the name 'weights'"),
        (
            constant("c", [1]) + integer_field(2, FLOAT),
            "its tensor has a field 2 that gan-export does not write, or not like this",
        ),
        (
            constant("c", [1]).replace(integer_field(2, 1), integer_field(2, 2**32 + 1)),
            "the element type 4294967297, expected one",
        ),
        (constant("c", [1]) + bytes_field(4, bytes(4)), "its tensor has a field 4 that"),
        (constant("x" * 513, [1]), "a text of 513 bytes, expected at most 512"),
        (constant("", [1]), "one of its tensors has no name"),
        (constant("a\0b", [1]), "a name that is not printable text"),
        (constant("a\x1b[2J", [1]), "a name that is not printable text"),
        (constant("a?", [1]).replace(b"a?", b"a\xff"), "a name that is not printable text"),
    ],
)
def test_a_constant_that_gan_export_would_not_write_is_refused(extra: bytes, message: str) -> None:
    assert message in refusal(with_constant(extra))


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (WHOLE.replace(VERSION, integer_field(1, 9), 1), "it has version 9 of the file format, expected 8"),
        (WHOLE.replace(VERSION, b"", 1), "it has version 0 of the file format, expected 8"),
        (WHOLE.replace(VERSION, b"\x08\x88\x00", 1), "the number that ends at byte 3 is longer than necessary"),
        (WHOLE.replace(VERSION, b"\x88\x00\x08", 1), "the number that ends at byte 2 is longer than necessary"),
        (WHOLE.replace(OPERATORS, b""), "it uses these operator sets: none; expected only version 17 of ONNX's own"),
        (WHOLE + OPERATORS, "version 17 of 'ONNX', version 17 of 'ONNX'"),
        (WHOLE + bytes_field(8, bytes_field(1, b"x") + integer_field(2, 1)), "version 17 of 'ONNX', version 1 of 'x'"),
        (WHOLE + bytes_field(7, graph([], [], [], [])), "its model has a field 7 that"),
        (with_node(bytes_field(7, b"com.microsoft")), "it uses the operator 'Any' of 'com.microsoft', expected only ONNX's own"),
        (with_node(bytes_field(4, b"Tile")), "its node has a field 4 that"),
        (with_node(ATTRIBUTE, a=1), "its node 'y' has two attributes 'a'"),
        (with_node(ATTRIBUTE.replace(integer_field(20, 2), integer_field(20, 4))), "'a' has the type 4, expected a number, a"),
        (with_node(b"", e=[]), "'e' does not have exactly one value of its type 7"),
    ],
)
def test_a_file_that_gan_export_would_not_write_is_refused(contents: bytes, message: str) -> None:
    assert message in refusal(contents)


@pytest.mark.parametrize("more", [integer_field(3, 1), number(2 << 3 | 5) + bytes(4), bytes_field(4, b"1"), integer_field(8, 1)])
def test_an_attribute_with_several_values_is_refused(more: bytes) -> None:
    message = refusal(with_node(bytes_field(5, bytes_field(1, b"a") + integer_field(3, 1) + integer_field(20, 2) + more)))
    assert "does not have exactly one value" in message or "has a field 3 that" in message


INFINITIES_AND_NANS = [
    *((np.float32, pattern) for pattern in (0x7F800000, 0xFF800000, 0x7F800001, 0xFFFFFFFF)),
    *((np.float16, pattern) for pattern in (0x7C00, 0xFC00, 0x7C01, 0xFFFF)),
]


@pytest.mark.parametrize("place", [0, 16_383, 16_384, 32_768])
@pytest.mark.parametrize(("kind", "pattern"), INFINITIES_AND_NANS)
def test_a_number_that_is_not_finite_is_found_anywhere(kind: type[np.floating], pattern: int, place: int) -> None:
    element_type, bits = (FLOAT, np.uint32) if kind is np.float32 else (FLOAT16, np.uint16)
    values = np.full(32_769, np.finfo(kind).max, dtype=kind)
    values[1::2] *= -1
    assert read_graph(with_constant(constant("c", [32_769], element_type, values.tobytes())), 64)
    values.view(bits)[place] = pattern
    assert "'c' has values that are infinite" in refusal(with_constant(constant("c", [32_769], element_type, values.tobytes())))


def tensor_of(*dimensions: bytes, element_type: int = FLOAT) -> bytes:
    """Return an input or output with these dimensions."""
    shape = b"".join(bytes_field(1, dimension) for dimension in dimensions)
    return bytes_field(1, b"z") + bytes_field(2, bytes_field(1, integer_field(1, element_type) + bytes_field(2, shape)))


NAME, NUMBER = bytes_field(2, b"N"), integer_field(1, 16)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (tensor_of(NAME, NAME), "has dim_param for size 1 of its shape, expected dim_value: a number"),
        (tensor_of(NUMBER, NUMBER), "has dim_value for size 0 of its shape, expected dim_param: a name for the number of images"),
        (tensor_of(b"", NUMBER), "has nothing for size 0 of its shape, expected dim_param"),
        (tensor_of(NAME, b""), "has nothing for size 1 of its shape, expected dim_value"),
        (tensor_of(NUMBER + NAME, NUMBER), "has dim_param and dim_value for size 0 of its shape, expected dim_param"),
        (tensor_of(NAME, NAME + NUMBER), "has dim_param and dim_value for size 1 of its shape, expected dim_value"),
        (tensor_of(NAME, NUMBER + NUMBER), "its dimension has a field 1 that gan-export does not write"),
        (tensor_of(NAME, integer_field(1, 2**64 - 16)), "has the shape [64, -16], expected at most 8 sizes, each 1 or more"),
        (tensor_of(NAME, NUMBER, element_type=0), "the element type 0, expected one of 1, 2, 3, 6, 7, 10"),
    ],
)
def test_an_input_or_output_that_gan_export_would_not_write_is_refused(tensor: bytes, message: str) -> None:
    assert message in refusal(model([], [], [tensor], [], None))
    assert message in refusal(model([], [], [], [tensor], None))
