"""Choosing rows by class: each of the class that was wanted, no row twice, by chance."""

import numpy as np
import pytest

from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.data.split import rows_of_classes


def random(seed: int) -> np.random.Generator:
    """Return a source of chance."""
    return np.random.Generator(np.random.Philox(seed))


def test_each_row_is_of_the_class_that_was_wanted_and_none_comes_twice(digits: Digits) -> None:
    wanted = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3] * 5)
    rows = rows_of_classes(digits.labels, wanted, random(0))
    np.testing.assert_array_equal(digits.labels[rows], wanted)
    assert len(set(rows.tolist())) == len(wanted)


def test_chance_decides_among_the_rows_of_a_class(digits: Digits) -> None:
    wanted = np.arange(10)
    first, again, other = (rows_of_classes(digits.labels, wanted, random(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_all_of_a_class_can_be_wanted_but_not_more() -> None:
    labels = np.array([7, 2, 7, 7])
    assert sorted(rows_of_classes(labels, np.array([7, 7, 7]), random(0)).tolist()) == [0, 2, 3]
    with pytest.raises(ValueError, match="larger sample than population"):
        rows_of_classes(labels, np.array([7] * 4), random(0))
