"""The limits of a graph: what gan-export could have written is accepted up to the last byte, everything else is refused."""

from pathlib import Path

import onnxruntime
import pytest
from hostile_files import CONSTANTS, IMAGES, NODES, Z, harmless, with_ends, with_extra, with_nodes
from onnx_bytes import FLOAT, FLOAT16, INT8, UINT8, constant, integers, model, node, value

import pocketgan_models
from pocketgan.errors import ModelError
from pocketgan.model import limits
from pocketgan.model.limits import BATCH_SIZE, MOST_CALL_BYTES, MOST_DERIVED_BYTES, Batching, Cost, check_graph, plan_batching


def refusal(contents: bytes) -> str:
    """Return the one-line error for a file."""
    with pytest.raises(ModelError) as caught:
        check_graph(contents)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def cost(nodes: list[bytes], constants: list[bytes]) -> Cost:
    """Return the cost of a harmless generator with additional nodes that make an image `big` of `x`, float [N, 1, 4, 4]."""
    image = node("Reshape", ["z", "image"], "x")
    return check_graph(with_extra("{}", [image, *nodes], [integers("image", [-1, 1, 4, 4]), *constants], rank=4))


@pytest.mark.parametrize("name", pocketgan_models.names())
def test_the_bundled_models_stay_well_below_the_limits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, part in (("MOST_DERIVED_BYTES", 4), ("MOST_CALL_BYTES", 5), ("MOST_PRODUCTS", 50)):
        monkeypatch.setattr(limits, limit, getattr(limits, limit) // part)
    found = check_graph(pocketgan_models.path(name).read_bytes())
    monkeypatch.undo()
    assert plan_batching(found, 4, 3 * 28 * 28).threads == 4
    assert plan_batching(found, 1, 3 * 28 * 28).batch_size == BATCH_SIZE


LAST = node("Reshape", ["pixels", "image_shape"], "images")
MANY_TANHS = [node("Tanh", ["z"], f"t{number}") for number in range(2000)]


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (with_extra("{}", [node("Add", ["z", "big"], "big")]), "node 'big' ('Add'): no node before it computes its input 'big'"),
        (with_nodes([LAST, LAST]), "('Reshape'): an earlier tensor has the name 'images' of its output"),
        (with_nodes([node("Tanh", ["z"], "z"), LAST]), "('Tanh'): an earlier tensor has the name 'z' of its output"),
        (with_nodes([node("Tanh", ["z"], ""), LAST]), "('Tanh'): its output has no name"),
        (with_ends([Z, value("weights", ["N", 64])], [IMAGES]), "two of its tensors have the name 'weights'"),
        (with_nodes([node("Reshapes", ["pixels", "image_shape"], "images")]), "('Reshapes'): the operator is unknown"),
        (with_nodes([node("Reshape", ["pixels"] + ["image_shape"] * 2, "images")]), "it has 3 inputs and 1 outputs"),
        (with_nodes([LAST + b"\x12\x01y"]), "it has 2 inputs and 2 outputs"),
        (with_nodes([node("Reshape", ["pixels", "image_shape"], "images", allowzero=1)]), "'allowzero' is unknown or has"),
        (with_nodes([node("Transpose", ["pixels"], "turned", perm=1), LAST]), "'perm' is unknown or has the wrong type"),
        (
            with_extra("{}", [node("Tile", ["z", "one_zero"], "big")], [integers("one_zero", [1, 0])]),
            "would have the shape [1, 0]",
        ),
        (with_nodes([node("Cast", ["pixels"], "text", to=8), LAST]), "('Cast'): it converts to the element type 8"),
        (with_nodes([node("Reshape", ["pixels", "pixels"], "images")]), "from something other than a short constant"),
        (with_nodes(MANY_TANHS), "it has 2,003 nodes, expected at most 2,000"),
        (
            with_ends([Z, *(value(f"z{number}", ["N", 16]) for number in range(8))], [IMAGES]),
            "it has 9 inputs and 1 outp",
        ),
        (
            with_ends([Z], [IMAGES, *(value(f"z{number}", ["N", 16]) for number in range(8))]),
            "it has 1 inputs and 9 outp",
        ),
        (with_ends([Z], [value("pictures", ["N", 8, 8], UINT8)]), "no node computes its output 'pictures'"),
        (with_ends([Z], [value("images", ["N", 63], UINT8)]), "type 2 for 1 images, but declares [1, 63] and 2"),
        (with_ends([Z], [value("images", ["N", 8, 8], FLOAT)]), "type 2 for 1 images, but declares [1, 8, 8] and 1"),
    ],
)
def test_a_graph_that_gan_export_would_not_write_is_refused(contents: bytes, message: str) -> None:
    assert message in refusal(contents)


def test_constants_may_take_up_to_the_limit_and_no_byte_more() -> None:
    def tiled(times: int) -> bytes:
        return with_extra("{}", [node("Tile", ["row", "times"], "big")], [constant("row", [1, 1]), integers("times", [1, times])])

    # Its first entry, and the same as a matrix, are constants too.
    most = MOST_DERIVED_BYTES // 4 - 2
    assert check_graph(tiled(most)).fixed_bytes >= MOST_DERIVED_BYTES
    assert refusal(tiled(most + 1)) == (
        f"it would need {MOST_DERIVED_BYTES + 4:,} bytes of constants, expected at most {MOST_DERIVED_BYTES:,}: export the model "
        "again, or upgrade pocketgan"
    )


def test_constants_count_for_each_call_unless_onnxruntime_computes_them_once() -> None:
    def fixed_bytes(times: int, *more: bytes) -> int:
        nodes = [node("Tile", ["row", "times"], "integers"), node("Cast", ["integers"], "big", to=FLOAT)]
        constants = [constant("row", [1, 1], INT8), integers("times", [1, times]), constant("scale", [])]
        return check_graph(with_extra("{}", [*nodes, *more], constants)).fixed_bytes

    dequantized, after = node("DequantizeLinear", ["integers", "scale"], "numbers"), node("Tanh", ["numbers"], "after")
    assert fixed_bytes(1) == fixed_bytes(2**22) == 0
    assert fixed_bytes(2**22 + 1) >= 4 * (2**22 + 1)
    assert fixed_bytes(2**20, dequantized) == 4 * 2**20
    assert fixed_bytes(2**20, dequantized, after) == 2 * 4 * 2**20


SECOND_INPUTS = {
    "Abs": (),
    "Add": (2, 1000),
    "Concat": (2, 1000),
    "Mul": (2, 1000),
    "Relu": (),
    "Sub": (2, 1000),
    "Tanh": (),
}


@pytest.mark.parametrize("element_type", [FLOAT, FLOAT16])
@pytest.mark.parametrize("operator", SECOND_INPUTS)
def test_constants_that_onnxruntime_leaves_in_the_graph_count_for_each_call(
    tmp_path: Path, operator: str, element_type: int
) -> None:
    others = [constant("other", shape, element_type) for shape in [SECOND_INPUTS[operator]] if shape]
    made = node(operator, ["row", *["other"] * len(others)], "of_constants", **({"axis": 0} if operator == "Concat" else {}))
    nodes = [made, node("Cast", ["of_constants"], "big", to=FLOAT)]
    contents = with_extra("{}", nodes, [constant("row", [2, 1000], element_type), *others])
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(contents, options, providers=["CPUExecutionProvider"])
    is_left = b"of_constants" in (tmp_path / "optimized.onnx").read_bytes()
    assert not (is_left and element_type == FLOAT)
    assert check_graph(contents).fixed_bytes >= 4000 * is_left


def test_an_image_may_take_up_to_the_limit_whatever_the_size_of_the_file() -> None:
    def repeated(times: int, ballast: int = 1) -> bytes:
        constants = [integers("times", [1, times]), constant("ballast", [ballast])]
        return with_extra("{}", [node("Tile", ["column", "times"], "big")], constants)

    most = MOST_CALL_BYTES // (16 * 4)
    check_graph(repeated(most - 10))
    assert "bytes for one image, expected at most" in refusal(repeated(most, ballast=2**20))


def test_multiplications_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_PRODUCTS", BATCH_SIZE * 16 * 64)
    check_graph(harmless("{}"))
    monkeypatch.setattr(limits, "MOST_PRODUCTS", BATCH_SIZE * 16 * 64 - 1)
    assert refusal(harmless("{}")).startswith("it would need 65,536 multiplications for 64 images, expected at most 65,535")


def test_tensors_before_a_bottleneck_do_not_add_to_those_after_it() -> None:
    constants = [
        *CONSTANTS,
        integers("times", [1, 1000]),
        *(integers(name, [position]) for name, position in (("from", 0), ("to", 16), ("axis", 1))),
    ]

    def image_bytes(*nodes: bytes) -> int:
        tail = [node("Slice", ["big", "from", "to", "axis"], "few"), node("Gemm", ["few", "weights"], "grey"), *NODES[1:]]
        return check_graph(model([*nodes, *tail], constants, [Z], [IMAGES], "{}")).image_bytes

    def steps(count: int) -> list[bytes]:
        return [node("Tanh", [f"t{step}"], f"t{step + 1}") for step in range(count)]

    size = 16 * 1000 * 4
    repeated, last = node("Tile", ["z", "times"], "t0"), node("Tanh", ["t2"], "big")
    chain = image_bytes(repeated, *steps(2), last)
    assert 2 * size <= chain < 3 * size
    assert image_bytes(repeated, *steps(9), node("Tanh", ["t9"], "big")) == chain
    # A tensor stays until its last use, and a tensor that does not depend on the others may be computed at any time.
    assert image_bytes(repeated, *steps(2), node("Add", ["t2", "t0"], "big")) >= 4 * size
    assert image_bytes(repeated, node("Tanh", ["z"], "aside"), *steps(5), node("Mul", ["t5", "t5"], "big")) >= 7 * size


def test_scratch_memory_counts_once_for_all_images() -> None:
    def with_kernel(size: int) -> Cost:
        return cost([node("Conv", ["x", "kernel"], "big", pads=[40] * 4)], [constant("kernel", [1, 1, size, size])])

    assert with_kernel(84).fixed_bytes < with_kernel(42).fixed_bytes
    assert with_kernel(42).fixed_bytes >= 43 * 43 * 42 * 42 * 4


def test_channels_count_as_onnxruntime_pads_them() -> None:
    def with_channels(channels: int) -> int:
        nodes = [node("Conv", ["x", "kernel"], "y"), node("Relu", ["y"], "big")]
        return cost(nodes, [constant("kernel", [channels, 1, 1, 1])]).image_bytes

    # A convolution also needs a copy of its result, which is not padded.
    assert with_channels(16) - with_channels(2) == 14 * 16 * 4
    assert with_channels(17) - with_channels(16) == (2 * 16 + 1) * 16 * 4


@pytest.mark.parametrize(
    ("cost", "most_threads", "waiting_bytes", "expected"),
    [
        (Cost(0, 1), 16, 1, Batching(16, BATCH_SIZE)),
        (Cost(0, 2**20), 1, 0, Batching(1, 48)),
        (Cost(0, 2**20), 4, 0, Batching(4, 28)),
        (Cost(0, 2**20), 10**9, 0, Batching(14, 8)),
        (Cost(2**24, 2**24), 8, 0, Batching(1, 2)),
        (Cost(0, 1), 4, 2**20, Batching(4, 11)),
        (Cost(0, 0), 10**9, 0, Batching(1024, BATCH_SIZE)),
        (Cost(MOST_CALL_BYTES, 2**30), 9, 2**30, Batching(1, 1)),
    ],
)
def test_threads_and_batches_fit_into_memory(cost: Cost, most_threads: int, waiting_bytes: int, expected: Batching) -> None:
    assert plan_batching(cost, most_threads, waiting_bytes) == expected
