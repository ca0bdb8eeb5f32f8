"""Figures of classes by hand, and the table of figures itself."""

import math

import numpy as np
import pytest

from pocketgan_trainer.evaluate.figures import (
    FIGURES,
    accuracy,
    accuracy_of_class,
    class_divergence,
    largest_confusions,
    number,
)
from pocketgan_trainer.evaluate.image_set import confusion_matrix

ASKED, JUDGED = np.array([1, 1, 1, 1, 2, 2, 3]), np.array([1, 1, 1, 3, 2, 1, 3])


def histogram(*judged: int) -> list[int]:
    """Return the number of images judged as each digit."""
    return np.bincount(judged, minlength=10).tolist()


def test_keys_are_unique_and_bands_are_keys() -> None:
    keys = [figure.key for figure in FIGURES]
    assert len(set(keys)) == len(keys)
    assert {figure.band for figure in FIGURES} - {None} <= set(keys)


def test_divergence_is_of_the_judged_from_the_expected_and_not_the_other_way() -> None:
    found = class_divergence(histogram(0, 1, 1, 1), np.array([0.5, 0.5, 0, 0, 0, 0, 0, 0, 0, 0]))
    assert found == pytest.approx(0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5))


def test_a_digit_that_is_not_expected_at_all_is_infinitely_far() -> None:
    assert class_divergence(histogram(0, 1), np.eye(10)[0]) == math.inf


@pytest.mark.parametrize("label_type", [np.uint8, np.int64])
def test_confusion_has_a_row_for_each_digit_asked_for_and_a_column_for_each_judged(label_type: type[np.integer]) -> None:
    confusion = confusion_matrix(np.array([9, 9, 0, 4], label_type), np.array([9, 4, 0, 9]))
    expected = np.zeros((10, 10), np.int64)
    expected[9, 9] = expected[9, 4] = expected[0, 0] = expected[4, 9] = 1
    assert confusion.dtype == np.int64
    np.testing.assert_array_equal(confusion, expected)


def test_accuracy_is_the_share_of_those_asked_for() -> None:
    confusion = confusion_matrix(ASKED, JUDGED)
    assert accuracy(confusion) == pytest.approx(5 / 7)
    np.testing.assert_allclose(accuracy_of_class(confusion), [math.nan, 0.75, 0.5, 1, *[math.nan] * 6])


def test_the_largest_confusions_are_shares_of_those_asked_for() -> None:
    assert largest_confusions(confusion_matrix(ASKED, JUDGED)) == "2 as 1: 50.00 %, 1 as 3: 25.00 %"
    asked = np.repeat([3, 5, 6, 8], [100, 50, 20, 10])
    judged = asked.copy()
    judged[[0, 1, 2, 3, 100, 150, 170]] = 7  # 4 of 100, 1 of 50, 1 of 20, 1 of 10
    assert largest_confusions(confusion_matrix(asked, judged)) == "8 as 7: 10.00 %, 6 as 7: 5.00 %, 3 as 7: 4.00 %"


def test_without_confusions_there_are_none() -> None:
    assert largest_confusions(confusion_matrix(ASKED, ASKED)) == "none"


def test_a_figure_that_is_no_number_is_named() -> None:
    assert number({"classes.accuracy": 0.5}, "classes.accuracy") == 0.5
    with pytest.raises(TypeError, match=r"classes\.accuracy is None: expected a number"):
        number({"classes.accuracy": None}, "classes.accuracy")
