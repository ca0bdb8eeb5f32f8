"""Packing several columns: the widened kernel gives the same numbers, and the number of columns is the one that costs least."""

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from pocketgan_trainer.export.graph_builder import GraphBuilder
from pocketgan_trainer.export.integer_layers import best_packing, convolution_cost, widen_kernel
from pocketgan_trainer.export.weights import largest_neighbour_sum


def wide_kernel(values: NDArray[np.int8], columns: int) -> NDArray[np.int8]:
    """Return the kernel that the nodes of `widen_kernel` compute in onnx's reference implementation."""
    graph = GraphBuilder()
    name = widen_kernel(graph, "weight", values, columns)
    graph.reshape("images", graph.node("Cast", "bytes", name, to=2), [1, 1, -1])
    model = graph.model(1, 1, values.size)
    model.graph.output[0].name = name
    (wide,) = ReferenceEvaluator(model).run(None, {"z": np.zeros((1, 1), np.float32)})
    assert isinstance(wide, np.ndarray)
    return wide


@pytest.mark.parametrize("columns", [2, 3, 14])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 3, 3), (1, 2, 5, 4)], ids=str)
def test_each_column_has_the_narrow_kernel_in_its_position_and_zeros_elsewhere(shape: tuple[int, ...], columns: int) -> None:
    values = np.random.default_rng(0).integers(-127, 128, size=shape).astype(np.int8)
    outputs, _, _, size = shape
    wide = wide_kernel(values, columns)
    assert wide.dtype == np.int8
    assert wide.shape == (columns * outputs, *shape[1:3], size + columns - 1)
    for column in range(columns):
        of_column = wide[column * outputs : (column + 1) * outputs]
        np.testing.assert_array_equal(of_column[..., column : column + size], values)
        assert np.count_nonzero(of_column) == np.count_nonzero(values)
    assert largest_neighbour_sum(wide) <= max(largest_neighbour_sum(values), 127)


@pytest.mark.parametrize(
    ("kernel", "size", "columns"),
    [
        ((96, 48, 3, 3), 7, 1),
        ((48, 24, 3, 3), 14, 1),
        ((8, 12, 3, 3), 28, 4),
        ((1, 8, 3, 3), 28, 14),
        ((24, 12, 3, 3), 14, 2),
        ((4, 6, 3, 3), 28, 7),
        ((2352, 74, 1, 1), 1, 1),
        ((128, 256, 1, 1), 7, 1),
    ],
    ids=str,
)
def test_layers_are_packed_as_measured_to_be_fastest(kernel: tuple[int, ...], size: int, columns: int) -> None:
    assert best_packing(kernel, size, size).columns == columns


@pytest.mark.parametrize("width", [1, 5, 12])
@pytest.mark.parametrize("outputs", [1, 3, 100])
def test_the_width_is_a_multiple_of_the_columns(width: int, outputs: int) -> None:
    packing = best_packing((outputs, 4, 3, 3), 5, width)
    assert width % packing.columns == 0
    assert packing.cost > 0


def without_the_call(positions: int, outputs: int, inputs: int, rows: int, columns: int) -> int:
    """Return the cost without the constant cost of calling a kernel."""
    return convolution_cost(positions, outputs, inputs, rows, columns) - convolution_cost(0, outputs, inputs, rows, columns)


def test_outputs_cost_the_next_multiple_of_sixteen() -> None:
    costs = [without_the_call(10, outputs, 8, 1, 1) for outputs in (1, 16, 17, 32, 33)]
    assert costs == [costs[0], costs[0], 2 * costs[0], 2 * costs[0], 3 * costs[0]]
    assert costs[0] == 10 * 16 * 8  # multiply-adds


def test_a_1x1_kernel_copies_nothing_and_all_others_copy_each_row() -> None:
    for columns in (2, 3, 9):
        copied = [without_the_call(1, 16, 8, rows, columns) - rows * 16 * 8 * columns for rows in (1, 2, 3)]
        assert copied == [copied[0], 2 * copied[0], 3 * copied[0]]
        assert copied[0] > 0


def test_several_small_convolutions_cost_more_than_one_with_the_same_products() -> None:
    assert 4 * convolution_cost(49, 16, 16, 2, 2) > convolution_cost(4 * 49, 16, 16, 2, 2)
