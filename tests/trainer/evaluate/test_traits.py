"""Traits of pixels: on real digits, whose figures are known, and on images made by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.evaluate.traits import (
    edge_distance,
    is_sized_and_centered,
    level_distance,
    one_full_ink,
    usual_full_ink,
)


def image_with_box(top: int, left: int, height: int, width: int) -> NDArray[np.uint8]:
    """Return one image uint8 [1, 28, 28] with a box of ink."""
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, top : top + height, left : left + width] = 200
    return image


def test_real_digits_are_sized_and_centered_and_a_shift_shows(test_digits: Digits) -> None:
    obey = is_sized_and_centered(test_digits.images)
    assert obey.mean() > 0.999
    assert is_sized_and_centered(np.roll(test_digits.images, 1, axis=1)).mean() < 0.001
    assert is_sized_and_centered(np.roll(test_digits.images, -1, axis=2)).mean() < 0.001


@pytest.mark.parametrize(
    ("box", "obeys"),
    [
        ((4, 10, 20, 8), True),  # its centre is at 13.5, the least that is within half a pixel of 14
        ((5, 10, 20, 8), False),
        ((3, 10, 20, 8), False),
        ((10, 4, 8, 20), True),
        ((10, 5, 8, 20), False),
        ((4, 4, 20, 20), True),
        ((4, 10, 19, 9), False),
        ((4, 10, 21, 9), False),
    ],
)
def test_the_longer_side_must_be_20_and_the_centre_within_half_a_pixel(box: tuple[int, int, int, int], obeys: bool) -> None:
    assert is_sized_and_centered(image_with_box(*box)).tolist() == [obeys]


def test_no_ink_does_not_obey() -> None:
    assert is_sized_and_centered(np.zeros((2, 28, 28), np.uint8)).tolist() == [False, False]


def test_full_ink_is_counted_by_level() -> None:
    images = np.zeros((3, 4, 4), np.uint8)
    images[0, 0] = (250, 252, 254, 249)
    images[1, 0] = (255, 255, 255, 253)
    assert usual_full_ink(images) == pytest.approx(3 / 7)
    assert one_full_ink(images) == pytest.approx((1 / 3 + 3 / 4) / 2)  # the third image has none, and does not count
    assert usual_full_ink(images[2:]) == one_full_ink(images[2:]) == 0


def test_levels_and_edges_are_compared_by_histograms() -> None:
    images, others = np.zeros((1, 2, 2), np.uint8), np.zeros((1, 2, 2), np.uint8)
    images[0], others[0] = ((0, 16), (16, 40)), ((0, 23), (200, 200))
    assert level_distance(images, images) == 0
    assert level_distance(images, others) == pytest.approx(2 / 3)  # one bin of 1/3 in common
    # Differences 16, 24, 16, 24 and 23, 200, 177.
    assert edge_distance(images, others) == pytest.approx(1 - 1 / 3)
    assert edge_distance(images, np.zeros((1, 2, 2), np.uint8)) == 1  # no edges at all


def test_real_digits_traits_and_what_changes_them(test_digits: Digits) -> None:
    order = np.random.default_rng(0).permutation(len(test_digits))
    some, others = test_digits.images[order[:5_000]], test_digits.images[order[5_000:]]
    assert usual_full_ink(some) == pytest.approx(0.88, abs=0.01)
    assert one_full_ink(some) == pytest.approx(0.78, abs=0.01)
    assert max(level_distance(some, others), edge_distance(some, others)) < 0.02
    whitened = np.where(some >= 250, 255, some).astype(np.uint8)
    assert (usual_full_ink(whitened), one_full_ink(whitened)) == (0, 1)
    assert level_distance(np.right_shift(some, 1), others) > 0.2
    assert edge_distance(np.right_shift(some, 1), others) > 0.2
