"""What a graph may ask for: as much as any model of gan-export, and not a byte above."""

from pathlib import Path

import pytest
from hostile_files import CONSTANTS, IMAGES, NODES, Z, with_extra, with_inputs
from onnx_bytes import FLOAT, UINT8, constant, integers, model, node, value

import pocketgan_models
from pocketgan.errors import ModelError
from pocketgan.model import limits
from pocketgan.model.limits import BATCH_SIZE, MOST_CALL_BYTES, MOST_DERIVED_BYTES, Batching, Cost, check_graph, plan_batching


def refusal(contents: bytes) -> str:
    """Return what a file is refused with: one line."""
    with pytest.raises(ModelError) as caught:
        check_graph(contents)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def cost(nodes: list[bytes], constants: list[bytes], rank: int = 2) -> Cost:
    """Return what a harmless generator takes with these nodes in it, which make a tensor `big`."""
    return check_graph(with_extra("{}", nodes, constants, rank))


@pytest.mark.parametrize("name", pocketgan_models.names())
def test_the_bundled_models_stay_well_below_the_limits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, part in (("MOST_DERIVED_BYTES", 4), ("MOST_CALL_BYTES", 5), ("MOST_PRODUCTS", 50)):
        monkeypatch.setattr(limits, limit, getattr(limits, limit) // part)
    found = check_graph(pocketgan_models.path(name).read_bytes())
    monkeypatch.undo()
    assert plan_batching(found, 4, 3 * 28 * 28).threads == 4
    assert plan_batching(found, 1, 3 * 28 * 28).batch_size == BATCH_SIZE


@pytest.mark.parametrize("name", ["tiny", "tiny_conditional", "tiny_float", "no_card"])
def test_the_models_of_the_tests_are_taken(models: Path, name: str) -> None:
    check_graph((models / f"{name}.onnx").read_bytes())


def test_constants_may_take_up_to_the_limit_and_no_byte_more() -> None:
    def tiled(times: int) -> bytes:
        return with_extra("{}", [node("Tile", ["row", "times"], "big")], [constant("row", [1, 1]), integers("times", [1, times])])

    # The first entry of it and the same as a matrix, which its tail takes, are constants too.
    most = MOST_DERIVED_BYTES // 4 - 2
    check_graph(tiled(most))
    assert refusal(tiled(most + 1)) == (
        f"it would need {MOST_DERIVED_BYTES + 4:,} bytes of constants, expected at most {MOST_DERIVED_BYTES:,}: export the model "
        "again, or upgrade pocketgan"
    )


def test_an_image_may_take_up_to_the_limit_and_a_larger_file_buys_no_more() -> None:
    def repeated(times: int, ballast: int = 1) -> bytes:
        constants = [integers("times", [1, times]), constant("ballast", [ballast])]
        return with_extra("{}", [node("Tile", ["column", "times"], "big")], constants)

    most = MOST_CALL_BYTES // (16 * 4)
    check_graph(repeated(most - 10))
    assert "bytes for one image, expected at most" in refusal(repeated(most, ballast=2**20))


@pytest.mark.parametrize(("shape", "element_type"), [([63], UINT8), ([8, 8], FLOAT)])
def test_a_declared_output_must_be_the_one_that_is_made(shape: list[int], element_type: int) -> None:
    found = refusal(with_inputs("{}", [Z], [value("images", ["n", *shape], element_type)]))
    made = "its output 'images' has the shape [1, 8, 8] and type 2 for 1 images"
    assert found.startswith(f"{made}, declared are {[1, *shape]} and {element_type}")


def test_what_comes_after_a_bottleneck_does_not_add_to_what_was_before_it() -> None:
    constants = [
        *CONSTANTS,
        integers("times", [1, 1000]),
        *(integers(name, [at]) for name, at in (("from", 0), ("to", 16), ("axis", 1))),
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
    # A tensor that is used again stays until then, and what does not depend on the others may come at any time.
    assert image_bytes(repeated, *steps(2), node("Add", ["t2", "t0"], "big")) >= 4 * size
    assert image_bytes(repeated, node("Tanh", ["z"], "aside"), *steps(5), node("Mul", ["t5", "t5"], "big")) >= 7 * size


def test_what_a_node_needs_besides_counts_once_for_all_images() -> None:
    def with_kernel(size: int) -> Cost:
        nodes = [node("Reshape", ["z", "image"], "x"), node("Conv", ["x", "kernel"], "big", pads=[40] * 4)]
        return cost(nodes, [integers("image", [-1, 1, 4, 4]), constant("kernel", [1, 1, size, size])], rank=4)

    assert with_kernel(84).fixed_bytes < with_kernel(42).fixed_bytes
    assert with_kernel(42).fixed_bytes >= 43 * 43 * 42 * 42 * 4


def test_channels_count_as_onnxruntime_fills_them_up() -> None:
    def with_channels(channels: int) -> Cost:
        nodes = [node("Reshape", ["z", "image"], "x"), node("Conv", ["x", "kernel"], "y"), node("Relu", ["y"], "big")]
        constants = [integers("image", [-1, 1, 4, 4]), constant("kernel", [channels, 1, 1, 1])]
        return cost(nodes, constants, rank=4)

    # A convolution also needs a copy of its result, which is not padded.
    assert with_channels(16).image_bytes - with_channels(2).image_bytes == 14 * 16 * 4
    assert with_channels(17).image_bytes - with_channels(16).image_bytes == (2 * 16 + 1) * 16 * 4


def test_threads_and_batches_are_as_many_and_as_large_as_memory_allows() -> None:
    assert plan_batching(Cost(0, 1), 16, 1) == Batching(16, BATCH_SIZE)
    assert plan_batching(Cost(0, 2**20), 1, 0) == Batching(1, 48)
    assert plan_batching(Cost(0, 2**20), 4, 0) == Batching(4, 28)
    assert plan_batching(Cost(0, 2**20), 10**9, 0) == Batching(14, 8)
    assert plan_batching(Cost(2**24, 2**24), 8, 0) == Batching(1, 2)
    assert plan_batching(Cost(0, 1), 4, 2**20) == Batching(4, 11)
    assert plan_batching(Cost(MOST_CALL_BYTES, 2**30), 9, 2**30) == Batching(1, 1)
