"""What a convolution costs: products by places, outputs in sixteens, and the copies."""

from pocketgan_trainer.export.packing import convolution_cost


def without_the_call(places: int, outputs: int, inputs: int, rows: int, columns: int) -> int:
    """Return the cost but for what each call of a kernel costs, whatever it does."""
    return convolution_cost(places, outputs, inputs, rows, columns) - convolution_cost(0, outputs, inputs, rows, columns)


def test_outputs_are_paid_for_in_sixteens() -> None:
    costs = [without_the_call(10, outputs, 8, 1, 1) for outputs in (1, 16, 17, 32, 33)]
    assert costs == [costs[0], costs[0], 2 * costs[0], 2 * costs[0], 3 * costs[0]]
    assert costs[0] == 10 * 16 * 8  # multiply-adds


def test_a_kernel_of_one_place_copies_nothing_all_others_a_row_at_a_time() -> None:
    for columns in (2, 3, 9):
        copied = [without_the_call(1, 16, 8, rows, columns) - rows * 16 * 8 * columns for rows in (1, 2, 3)]
        assert copied == [copied[0], 2 * copied[0], 3 * copied[0]]
        assert copied[0] > 0


def test_many_small_kernels_cost_more_than_one_that_does_as_much() -> None:
    assert 4 * convolution_cost(49, 16, 16, 2, 2) > convolution_cost(4 * 49, 16, 16, 2, 2)
