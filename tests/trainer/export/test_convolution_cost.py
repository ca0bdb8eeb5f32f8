"""What a convolution costs: products by places, outputs in sixteens, and the copies."""

import pytest

from pocketgan_trainer.export.convolution_cost import convolution_cost


def test_outputs_are_paid_for_in_sixteens() -> None:
    one = convolution_cost(places=10, outputs=1, inputs=8, kernel_rows=1, kernel_columns=1)
    assert one == 10 * 16 * 8
    assert convolution_cost(10, 16, 8, 1, 1) == one
    assert convolution_cost(10, 17, 8, 1, 1) == 2 * one


def test_a_kernel_of_one_place_copies_nothing_all_others_a_row_at_a_time() -> None:
    for columns in (2, 3, 9):
        multiplied = 16 * 8 * columns
        rows = [convolution_cost(1, 16, 8, rows, columns) - rows * multiplied for rows in (1, 2, 3)]
        assert rows == [rows[0], 2 * rows[0], 3 * rows[0]]
        assert rows[0] > 0


@pytest.mark.parametrize("places", [0, 1, 49, 784])
def test_cost_goes_with_the_places(places: int) -> None:
    assert convolution_cost(places, 4, 8, 3, 3) == places * convolution_cost(1, 4, 8, 3, 3)
