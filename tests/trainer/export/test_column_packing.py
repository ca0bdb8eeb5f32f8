"""Several columns at once: the same numbers, on the same bytes, as many as cost least."""

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from pocketgan_trainer.export.nodes import GraphNotes
from pocketgan_trainer.export.packing import best_packing, widened
from pocketgan_trainer.export.weights import largest_neighbour_sum


def wide_kernel(values: NDArray[np.int8], columns: int) -> NDArray[np.int8]:
    """Return what the nodes of `widened` make of a kernel, by onnx's own reference."""
    notes = GraphNotes()
    name = widened(notes, "weight", values, columns)
    notes.reshape("images", notes.node("Cast", "bytes", name, to=2), [1, 1, -1])
    model = notes.model(1, 1, values.size)
    model.graph.output[0].name = name
    (wide,) = ReferenceEvaluator(model).run(None, {"z": np.zeros((1, 1), np.float32)})
    assert isinstance(wide, np.ndarray)
    return wide


@pytest.mark.parametrize("columns", [2, 3, 7, 14])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 3, 3), (4, 5, 2, 2), (1, 2, 5, 4)], ids=str)
def test_each_column_has_the_narrow_kernel_at_its_place_and_zeros_beside_it(shape: tuple[int, ...], columns: int) -> None:
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
    ],
    ids=str,
)
def test_pockets_and_nanos_layers_are_packed_as_was_measured_to_be_fastest(
    kernel: tuple[int, ...], size: int, columns: int
) -> None:
    assert best_packing(kernel, size, size).columns == columns


@pytest.mark.parametrize("width", [1, 2, 5, 6, 7, 12, 28])
@pytest.mark.parametrize("outputs", [1, 3, 16, 100])
def test_the_width_is_a_multiple_of_the_columns(width: int, outputs: int) -> None:
    packing = best_packing((outputs, 4, 3, 3), 5, width)
    assert width % packing.columns == 0
    assert packing.cost > 0


def test_a_kernel_of_one_place_with_many_outputs_is_left_alone() -> None:
    assert best_packing((2352, 74, 1, 1), 1, 1).columns == 1
    assert best_packing((128, 256, 1, 1), 7, 7).columns == 1
