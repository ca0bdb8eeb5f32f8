"""Parts and holes of ink: against slow, obvious code, on real digits, and on digits that are torn or filled."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from pocketgan_trainer.data.published import CLASSES, Digits
from pocketgan_trainer.evaluate.topology import (
    INK,
    count_topologies,
    euler_numbers,
    largest_topology_difference,
    topology_distance,
)

TOUCHING = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
SIDE_BY_SIDE = [(-1, 0), (1, 0), (0, -1), (0, 1)]


def count_areas(is_in: NDArray[np.bool_], steps: list[tuple[int, int]]) -> int:
    """Return into how many areas bool [H, W] falls, if one gets from place to place by these steps."""
    left, areas = {(int(row), int(column)) for row, column in np.argwhere(is_in)}, 0
    while left:
        reached, areas = [left.pop()], areas + 1
        while reached:
            row, column = reached.pop()
            near = {(row + down, column + right) for down, right in steps} & left
            left -= near
            reached += near
    return areas


def parts_minus_holes(image: NDArray[np.uint8]) -> int:
    """Return the number of parts of an image's ink minus that of its holes, found by walking through them."""
    ink = np.pad(image >= INK, 1)
    return count_areas(ink, TOUCHING) - (count_areas(~ink, SIDE_BY_SIDE) - 1)


def test_euler_numbers_are_parts_minus_holes(test_digits: Digits) -> None:
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (40, 7, 9), dtype=np.uint8)
    assert euler_numbers(noise).tolist() == [parts_minus_holes(image) for image in noise]
    digits = test_digits.images[:100]
    assert euler_numbers(digits).tolist() == [parts_minus_holes(image) for image in digits]


@pytest.mark.parametrize(
    ("rows", "number"),
    [
        (["    ", "    "], 0),
        (["####", "####"], 1),
        (["# # ", "    "], 2),
        (["#   ", " #  "], 1),
        (["####", "#  #", "####"], 0),
        ([" ## ", "#  #", " ## "], 0),
        (["###", "# #", "###", "# #", "###"], -1),
    ],
)
def test_the_euler_number_of_a_drawing(rows: list[str], number: int) -> None:
    drawing = np.array([[INK if place == "#" else INK - 1 for place in row] for row in rows], np.uint8)
    assert euler_numbers(drawing[None]).tolist() == [number]


def test_numbers_are_counted_by_class_and_extremes_together() -> None:
    dots = np.zeros((3, 20, 20), np.uint8)
    dots[0, ::2, ::2] = dots[1, 0, 0] = 255
    counts = count_topologies(euler_numbers(dots), np.array([2, 0, 2]), classes=3)
    assert [np.flatnonzero(row).tolist() for row in counts] == [[7], [], [6, 12]]
    assert euler_numbers(dots[:0]).shape == (0,)


def test_the_distance_is_the_mean_over_images_of_their_class() -> None:
    counts, others = np.zeros((3, 13), np.int64), np.zeros((3, 13), np.int64)
    counts[0, 6:9], others[0, 6:9] = (1, 1, 0), (0, 5, 5)  # half of them differ
    counts[1, 7], others[1, 7] = 6, 1
    counts[2, 9] = 5  # none of these among the others: says nothing
    assert topology_distance(counts, others) == pytest.approx(2 / 8 * 0.5)
    assert largest_topology_difference(counts, others) == (0, 0.5, -1)
    counts[0], others[0] = 0, 1
    assert largest_topology_difference(counts, others)[1] == 0
    assert topology_distance(counts, 0 * others) == 0


def test_digits_that_are_torn_or_filled_are_found(test_digits: Digits) -> None:
    order = np.random.default_rng(0).permutation(len(test_digits))
    images, labels = test_digits.images[order], test_digits.labels[order]
    half = len(order) // 2
    others = count_topologies(euler_numbers(images[:half]), labels[:half], CLASSES)
    alike = count_topologies(euler_numbers(images[half:]), labels[half:], CLASSES)
    assert topology_distance(alike, others) < 0.04
    closed = np.stack([np.asarray(Image.fromarray(image).filter(ImageFilter.MaxFilter(3))) for image in images[half:]])
    assert topology_distance(count_topologies(euler_numbers(closed), labels[half:], CLASSES), others) > 0.1
    cut = images[half:].copy()
    cut[:, 14] = 0
    torn = count_topologies(euler_numbers(cut), labels[half:], CLASSES)
    assert topology_distance(torn, others) > 0.5
    assert largest_topology_difference(torn, others)[2] > 0.9
