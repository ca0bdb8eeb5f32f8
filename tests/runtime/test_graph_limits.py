"""What a graph may ask for: as much as any model of gan-export, more for larger files, and not a byte above."""

import re
from pathlib import Path

import pytest
from hostile_files import with_extra
from onnx_bytes import constant, integers, node

import pocketgan_models
from pocketgan import graph_limits
from pocketgan.errors import ModelError
from pocketgan.generator import BATCH_SIZE
from pocketgan.graph_limits import IMAGES_AT_ONCE, MOST_DERIVED_BYTES, MOST_DRAWING_BYTES, check_graph


def refusal(contents: bytes) -> str:
    """Return what a file is refused with: one line."""
    with pytest.raises(ModelError) as caught:
        check_graph(contents)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def needed(contents: bytes, what: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return what the graph of a file is told to need, of one kind."""
    found = {}
    with monkeypatch.context() as patched:
        patched.setattr(graph_limits, "_refuse_above", lambda kind, number, most: found.update({kind: number}))
        check_graph(contents)
    return found[what]


def test_sizes_are_worked_out_for_as_many_images_as_are_drawn_at_once() -> None:
    assert IMAGES_AT_ONCE == BATCH_SIZE


@pytest.mark.parametrize("name", pocketgan_models.names())
def test_the_bundled_models_stay_well_below_the_limits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = pocketgan_models.path(name).read_bytes()
    check_graph(contents)
    monkeypatch.setattr(graph_limits, "MOST_DERIVED_BYTES", 0)
    monkeypatch.setattr(graph_limits, "MOST_PRODUCTS", graph_limits.MOST_PRODUCTS // 50)
    check_graph(contents)


@pytest.mark.parametrize("name", ["tiny", "tiny_conditional", "tiny_float", "no_card", "draws_twice_as_many"])
def test_the_models_of_the_tests_are_taken(models: Path, name: str) -> None:
    check_graph((models / f"{name}.onnx").read_bytes())


def test_constants_may_take_up_to_the_limit_and_no_byte_more() -> None:
    def tiled(times: int) -> bytes:
        return with_extra("{}", [node("Tile", ["row", "times"], "big")], [constant("row", [1, 1]), integers("times", [1, times])])

    # The first entry of it and the same as a matrix, which its tail takes, are constants too.
    most = (MOST_DERIVED_BYTES + 16 * len(tiled(2**21))) // 4 - 2
    check_graph(tiled(most))
    said = (
        r"it would need 8,\d{3},\d{3} bytes of constants, expected at most 8,\d{3},\d{3}: export the model again, or upgrade .*"
    )
    assert re.fullmatch(said, refusal(tiled(most + 1)))


def test_drawing_may_take_up_to_the_limit_and_more_for_a_larger_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def spread(columns: int) -> bytes:
        return with_extra("{}", [node("Mul", ["column", "row"], "big")], [constant("row", [1, columns])])

    what = "bytes for 64 images"
    for_each_column = needed(spread(2), what, monkeypatch) - needed(spread(1), what, monkeypatch)
    assert for_each_column == IMAGES_AT_ONCE * 16 * 4
    most = next(
        columns
        for columns in range(MOST_DRAWING_BYTES // for_each_column + 1000, 0, -1)
        if needed(spread(columns), what, monkeypatch) <= MOST_DRAWING_BYTES + 16 * len(spread(columns))
    )
    assert most > MOST_DRAWING_BYTES // for_each_column  # for the row is in the file
    check_graph(spread(most))
    assert what in refusal(spread(most + 1))


def test_what_a_node_needs_besides_counts() -> None:
    def with_kernel(size: int) -> bytes:
        nodes = [node("Reshape", ["z", "image"], "x"), node("Conv", ["x", "kernel"], "big", pads=[80] * 4)]
        constants = [integers("image", [-1, 1, 4, 4]), constant("kernel", [1, 1, size, size])]
        return with_extra("{}", nodes, constants, rank=4)

    check_graph(with_kernel(164))  # in one place only
    assert "bytes for 64 images" in refusal(with_kernel(82))  # 83 x 83 windows of 82 x 82 numbers


def test_channels_count_as_onnxruntime_fills_them_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_channels(channels: int) -> bytes:
        nodes = [node("Reshape", ["z", "image"], "x"), node("Conv", ["x", "kernel"], "y"), node("Relu", ["y"], "big")]
        constants = [integers("image", [-1, 1, 4, 4]), constant("kernel", [channels, 1, 1, 1])]
        return with_extra("{}", nodes, constants, rank=4)

    what = "bytes for 64 images"
    copies = 15 * IMAGES_AT_ONCE * 16 * 4  # of the convolution's result
    assert needed(with_channels(16), what, monkeypatch) - needed(with_channels(1), what, monkeypatch) == copies
    more = needed(with_channels(17), what, monkeypatch) - needed(with_channels(16), what, monkeypatch)
    assert more == (2 * 16 + 1) * IMAGES_AT_ONCE * 16 * 4
