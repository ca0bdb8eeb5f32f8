"""The rule of each operator gives the shape and type that onnxruntime computes, or refuses the node."""

import random
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import onnxruntime
import pytest
from onnx_bytes import FLOAT, FLOAT16, INT8, INT32, INT64, UINT8, AttributeValue, constant, integers, model, node, value
from protobuf_bytes import bytes_field

from pocketgan.model.graph import Node, Tensor, read_graph
from pocketgan.model.operators import LARGEST_INTEGER, OPERATORS, result_of

NUMPY_TYPES = {FLOAT: np.float32, FLOAT16: np.float16, UINT8: np.uint8, INT8: np.int8, INT32: np.int32, INT64: np.int64}
TYPES = {np.dtype(numpy_type): element_type for element_type, numpy_type in NUMPY_TYPES.items()}
Shape = Sequence[int]


def inferred_and_computed(contents: bytes, shapes: Sequence[Shape]) -> tuple[tuple[Shape, int] | None, tuple[Shape, int] | None]:
    """Return shape and type of the output of a one-node model, as inferred and as computed by onnxruntime; None if refused."""
    graph = read_graph(contents, batch=1)
    inputs = {
        name: tensor._replace(shape=tuple(shape)) for (name, tensor), shape in zip(graph.inputs.items(), shapes, strict=True)
    }
    tensors = {**graph.constants, **inputs}
    inferred = computed = None
    with suppress(ValueError):
        result = result_of(graph.nodes[0], [tensors[name] for name in graph.nodes[0].inputs])
        inferred = (result.shape, result.element_type)
    feeds = {name: np.zeros(tensor.shape, NUMPY_TYPES[tensor.element_type]) for name, tensor in inputs.items()}
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    with suppress(Exception):  # onnxruntime's errors have no public root class
        session = onnxruntime.InferenceSession(contents, options, providers=["CPUExecutionProvider"])
        (output,) = session.run(["y"], feeds)
        computed = (output.shape, TYPES[output.dtype])
    return inferred, computed


def one_node(
    operator: str,
    shapes: Sequence[Shape],
    constants: Sequence[bytes],
    output_type: int,
    **attributes: AttributeValue,
) -> tuple[bytes, Sequence[Shape]]:
    """Return a one-node model and the shapes of its inputs `x0`, `x1` ..., which the constants `c0`, `c1` ... follow."""
    inputs = [f"x{number}" for number in range(len(shapes))]
    names = [*inputs, *(f"c{number}" for number in range(len(constants)))]
    ends = [value(name, [f"first of {name}", *shape[1:]]) for name, shape in zip(inputs, shapes, strict=True)]
    outputs = [value_of_any_shape("y", output_type)]
    return model([node(operator, names, "y", **attributes)], constants, ends, outputs, None), shapes


def value_of_any_shape(name: str, element_type: int) -> bytes:
    return bytes_field(1, name.encode()) + bytes_field(2, bytes_field(1, b"\x08" + bytes([element_type])))


QUANTIZED = [constant("c0", [1], FLOAT, b"\0\0\x80\x3f"), constant("c1", [1], UINT8)]
ONE_OF_EACH = {
    "Abs": one_node("Abs", [[3, 4]], [], FLOAT),
    "Add": one_node("Add", [[3, 1, 4], [5, 1]], [], FLOAT),
    "Cast": one_node("Cast", [[3, 4]], [], FLOAT16, to=FLOAT16),
    "Clip": one_node("Clip", [[3, 4]], [constant("c0", []), constant("c1", [])], FLOAT),
    "Concat": one_node("Concat", [[2, 3], [2, 5], [2, 1]], [], FLOAT, axis=1),
    "Conv": one_node("Conv", [[2, 3, 9, 8], [5, 3, 3, 2]], [], FLOAT, pads=[1, 0, 2, 3], strides=[2, 3]),
    "ConvTranspose": one_node(
        "ConvTranspose", [[2, 3, 5, 4], [3, 6, 3, 2]], [], FLOAT, pads=[1, 0, 1, 1], strides=[2, 3], output_padding=[1, 0]
    ),
    "DepthToSpace": one_node("DepthToSpace", [[2, 12, 3, 5]], [], FLOAT, blocksize=2, mode="CRD"),
    "DequantizeLinear": (
        model(
            [node("DequantizeLinear", ["c0", "c1"], "y", axis=0)],
            [constant("c0", [4, 3], INT8), constant("c1", [4])],
            [],
            [value_of_any_shape("y", FLOAT)],
            None,
        ),
        [],
    ),
    "Div": one_node("Div", [[1, 4], [3, 1]], [], FLOAT),
    "Gather": one_node("Gather", [[3, 7, 2]], [constant("c0", [2, 5], INT32)], FLOAT, axis=1),
    "GatherElements": one_node("GatherElements", [[3, 7, 2]], [constant("c0", [2, 9, 2], INT32)], FLOAT, axis=1),
    "Gemm": one_node("Gemm", [[3, 4], [5, 4], [5]], [], FLOAT, transB=1),
    "LeakyRelu": one_node("LeakyRelu", [[3, 4]], [], FLOAT, alpha=0.5),
    "MatMul": one_node("MatMul", [[1, 4, 5], [3, 5, 2]], [], FLOAT),
    "Max": one_node("Max", [[1, 4], [3, 1]], [], FLOAT),
    "Mul": one_node("Mul", [[1, 4], [3, 1]], [], FLOAT),
    "Pad": one_node("Pad", [[3, 4]], [integers("c0", [1, 0, 2, 3])], FLOAT),
    "QuantizeLinear": one_node("QuantizeLinear", [[3, 4]], QUANTIZED, UINT8),
    "ReduceMax": one_node("ReduceMax", [[3, 4, 5]], [], FLOAT, axes=[1]),
    "Relu": one_node("Relu", [[3, 4]], [], FLOAT),
    "Reshape": one_node("Reshape", [[3, 4, 5]], [integers("c0", [0, -1, 2])], FLOAT),
    "Round": one_node("Round", [[3, 4]], [], FLOAT),
    "Sign": one_node("Sign", [[3, 4]], [], FLOAT),
    "Sigmoid": one_node("Sigmoid", [[3, 4]], [], FLOAT),
    "Slice": one_node("Slice", [[6, 7, 8]], [integers("c0", [1, 2]), integers("c1", [4, 99]), integers("c2", [2, 0])], FLOAT),
    "Sub": one_node("Sub", [[1, 4], [3, 1]], [], FLOAT),
    "Tanh": one_node("Tanh", [[3, 4]], [], FLOAT),
    "Tile": one_node("Tile", [[3, 4]], [integers("c0", [2, 5])], FLOAT),
    "Transpose": one_node("Transpose", [[3, 4, 5]], [], FLOAT, perm=[2, 0, 1]),
}


def test_every_operator_has_a_case() -> None:
    assert sorted(ONE_OF_EACH) == sorted(OPERATORS)


@pytest.mark.parametrize("operator", ONE_OF_EACH)
def test_shape_and_type_are_what_onnxruntime_computes(operator: str) -> None:
    inferred, computed = inferred_and_computed(*ONE_OF_EACH[operator])
    assert inferred == computed
    assert computed is not None


@pytest.mark.parametrize(
    ("operator", "kernel", "scratch", "products"),
    [
        ("Conv", (3, 5, 2, 4), 5 * 2 * 4 * 5 * 3 + 6 * 3 * 5 * 3, 6 * 3 * 5 * 3 * 5 * 2 * 4),
        ("ConvTranspose", (5, 3, 2, 4), 3 * 2 * 4 * 6 * 6, 6 * 5 * 6 * 6 * 3 * 2 * 4),
    ],
)
def test_memory_and_multiplications_of_convolutions(operator: str, kernel: tuple[int, ...], scratch: int, products: int) -> None:
    result = result_of(Node("", operator, ("x", "k"), ("y",), {}), [Tensor((6, 5, 6, 6), FLOAT), Tensor(kernel, FLOAT)])
    assert (result.scratch, result.products) == (scratch, products)


@pytest.mark.parametrize(("pad", "is_valid"), [(0, True), (LARGEST_INTEGER, True), (-1, False), (LARGEST_INTEGER + 1, False)])
def test_integers_of_attributes_are_limited(pad: int, is_valid: bool) -> None:
    inputs = [Tensor((1, 1, 9, 9), FLOAT), Tensor((1, 1, 3, 3), FLOAT)]
    conv = Node("", "Conv", ("x", "k"), ("y",), {"pads": (0, 0, pad, 0)})
    if is_valid:
        assert result_of(conv, inputs).shape == (1, 1, 7 + pad, 7)
    else:
        with pytest.raises(ValueError, match=rf"the attribute 'pads' is \(0, 0, {pad}, 0\), expected 0 to {LARGEST_INTEGER}"):
            result_of(conv, inputs)


def some(chance: random.Random, count: int, low: int, high: int) -> list[int]:
    return [chance.randint(low, high) for _ in range(count)]


def random_node(chance: random.Random) -> tuple[bytes, Sequence[Shape]]:
    """Return a one-node model and the shapes of its inputs, which may or may not match."""
    operator = chance.choice(
        (
            "Add",
            "Concat",
            "Conv",
            "ConvTranspose",
            "Gather",
            "GatherElements",
            "Gemm",
            "MatMul",
            "Pad",
            "ReduceMax",
            "Reshape",
            "Slice",
            "Tile",
            "Transpose",
        )
    )
    rank = chance.randint(1, 3)
    shape = some(chance, rank, 1, 4)
    match operator:
        case "Add":
            return one_node(operator, [shape, some(chance, chance.randint(1, 3), 1, 2)], [], FLOAT)
        case "Concat":
            return one_node(operator, [shape, shape[:-1] + some(chance, 1, 1, 3)], [], FLOAT, axis=chance.randint(-1, 3))
        case "Gather":
            index = constant("c0", some(chance, chance.randint(0, 2), 1, 4), INT64)
            return one_node(operator, [shape], [index], FLOAT, axis=chance.randint(-1, 2))
        case "GatherElements":
            index = constant("c0", [max(1, size + chance.randint(-1, 1)) for size in shape], INT32)
            return one_node(operator, [shape], [index], FLOAT, axis=chance.randint(-1, 2))
        case "Pad":
            return one_node(operator, [shape], [integers("c0", some(chance, chance.choice((rank, 2 * rank)), -1, 3))], FLOAT)
        case "Gemm":
            inner = chance.randint(1, 3)
            return one_node(operator, [[2, inner], some(chance, 2, 1, 3)], [], FLOAT, transB=chance.randint(0, 1))
        case "MatMul":
            batch, inner = chance.randint(1, 2), chance.randint(1, 3)
            left, right = [*some(chance, 1, 1, 3), inner], [chance.choice((inner, 2)), chance.randint(1, 3)]
            return one_node(operator, [left, right] if rank < 3 else [[batch, *left], [2, *right]], [], FLOAT)
        case "ReduceMax":
            return one_node(operator, [shape], [], FLOAT, axes=some(chance, 1, 0, 3))
        case "Reshape":
            return one_node(
                operator, [some(chance, rank, 1, 3)], [integers("c0", some(chance, chance.randint(1, 4), -1, 3))], FLOAT
            )
        case "Slice":
            count = chance.randint(1, 2)
            limits = [some(chance, count, -1, 3), some(chance, count, 0, 5), some(chance, count, 0, 2)]
            return one_node(operator, [shape], [integers(f"c{number}", part) for number, part in enumerate(limits)], FLOAT)
        case "Tile":
            return one_node(operator, [shape], [integers("c0", some(chance, chance.choice((rank, 2)), 0, 3))], FLOAT)
        case "Transpose":
            return one_node(operator, [shape], [], FLOAT, perm=chance.sample(range(rank), rank))
    image, kernel = [2, chance.randint(1, 3), *some(chance, 2, 1, 6)], [2, chance.randint(1, 3), *some(chance, 2, 1, 4)]
    attributes = {"strides": some(chance, 2, 1, 3), "pads": some(chance, 4, 0, 3)}
    if operator == "ConvTranspose":
        kernel[0], attributes["output_padding"] = image[1], some(chance, 2, 0, 2)
    return one_node(operator, [image, kernel], [], FLOAT, **attributes)


def test_random_nodes_are_inferred_as_onnxruntime_computes_them() -> None:
    chance = random.Random(1)
    agreed = 0
    for _ in range(1500):
        contents, shapes = random_node(chance)
        inferred, computed = inferred_and_computed(contents, shapes)
        if inferred is not None and computed is not None:
            assert inferred == computed, contents
            agreed += 1
    assert agreed > 500


@pytest.mark.parametrize(
    ("pads", "is_valid"),
    [((0, 1, 2, LARGEST_INTEGER), True), ((0, -1, 0, 2), False), ((0, 0, 0, LARGEST_INTEGER + 1), False), ((1, 1), False)],
)
def test_pads_are_limited_and_never_cut(pads: tuple[int, ...], is_valid: bool) -> None:
    pad, inputs = Node("", "Pad", ("x", "p"), ("y",), {}), [Tensor((3, 4), UINT8), Tensor((len(pads),), INT64, True, pads)]
    if is_valid:
        assert result_of(pad, inputs).shape == (3 + pads[0] + pads[2], 4 + pads[1] + pads[3])
    else:
        with pytest.raises(ValueError, match=r"^it pads the shape \[3, 4\] by "):
            result_of(pad, inputs)


@pytest.mark.parametrize(
    ("places", "is_valid"), [((3, 99), True), ((2, 1), True), ((4, 4), False), ((3,), False), ((3, 4, 1), False)]
)
def test_elements_are_gathered_from_rows_that_exist(places: tuple[int, ...], is_valid: bool) -> None:
    gather, inputs = Node("", "GatherElements", ("x", "i"), ("y",), {"axis": 1}), [Tensor((3, 4), UINT8), Tensor(places, INT32)]
    if is_valid:
        assert result_of(gather, inputs)[:2] == (places, UINT8)
    else:
        with pytest.raises(ValueError, match=r"^it takes places of the shape "):
            result_of(gather, inputs)


@pytest.mark.parametrize(
    ("left", "right", "result"),
    [
        ((3, 4, 5), (3, 5, 2), (3, 4, 2)),
        ((1, 4, 5), (3, 5, 2), (3, 4, 2)),
        ((3, 4, 5), (1, 5, 2), None),
        ((2, 4, 5), (3, 5, 2), None),
        ((3, 4, 5), (3, 4, 2), None),
        ((4, 5), (3, 5, 2), None),
    ],
)
def test_one_matrix_or_as_many_as_on_the_right_are_multiplied(left: Shape, right: Shape, result: Shape | None) -> None:
    product, inputs = Node("", "MatMul", ("x", "w"), ("y",), {}), [Tensor(tuple(left), FLOAT), Tensor(tuple(right), FLOAT)]
    if result is None:
        with pytest.raises(ValueError, match=r"^it multiplies the shapes "):
            result_of(product, inputs)
    else:
        assert result_of(product, inputs) == (result, FLOAT, 5 * 2, 3 * 4 * 5 * 2)


@pytest.mark.parametrize("axes", [None, (2,), (-1,), (0, 1)])
def test_only_one_axis_that_exists_has_a_largest_value(axes: tuple[int, ...] | None) -> None:
    node = Node("", "ReduceMax", ("x",), ("y",), {} if axes is None else {"axes": axes})
    with pytest.raises(ValueError, match=r"axes|axis"):
        result_of(node, [Tensor((3, 4), FLOAT)])


@pytest.mark.parametrize(("element_type", "is_valid"), [(FLOAT, True), (FLOAT16, True), (INT32, False), (INT64, False)])
def test_integers_are_not_divided(element_type: int, is_valid: bool) -> None:
    quotient, inputs = Node("", "Div", ("x", "d"), ("y",), {}), [Tensor((3, 4), element_type), Tensor((4,), element_type)]
    if is_valid:
        assert result_of(quotient, inputs)[:2] == ((3, 4), element_type)
    else:
        with pytest.raises(ValueError, match=r"^it divides by integers"):
            result_of(quotient, inputs)
