"""Contact sheets: every image whole, in reading order, with a gap around it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketgan.output.sheet import contact_sheet

GAP_GREY = 48


def images(count: int, height: int = 3, width: int = 5) -> NDArray[np.uint8]:
    """Return images of which every pixel says which image it is of."""
    return np.arange(100, 100 + count, dtype=np.uint8)[:, None, None] * np.ones((1, height, width), dtype=np.uint8)


@pytest.mark.parametrize(
    ("count", "columns", "size"),
    [
        (1, None, (2 + 12, 2 + 8)),
        (2, None, (2 + 2 * 12, 2 + 8)),
        (4, None, (2 + 2 * 12, 2 + 2 * 8)),
        (5, None, (2 + 3 * 12, 2 + 2 * 8)),
        (10, None, (2 + 4 * 12, 2 + 3 * 8)),
        (10, 10, (2 + 10 * 12, 2 + 8)),
        (10, 1, (2 + 12, 2 + 10 * 8)),
        (3, 100, (2 + 3 * 12, 2 + 8)),
    ],
)
def test_the_sheet_is_as_large_as_its_rows_and_columns(count: int, columns: int | None, size: tuple[int, int]) -> None:
    assert contact_sheet(images(count), columns).size == size  # width, height


@pytest.mark.parametrize(("scale", "gap"), [(1, 0), (2, 2), (4, 1)])
def test_images_stand_row_by_row_with_gaps_around_them(scale: int, gap: int) -> None:
    sheet = np.asarray(contact_sheet(images(5), columns=3, scale=scale, gap=gap))
    expected = np.full_like(sheet, GAP_GREY)
    for position in range(5):
        top = gap + position // 3 * (3 * scale + gap)
        left = gap + position % 3 * (5 * scale + gap)
        expected[top : top + 3 * scale, left : left + 5 * scale] = 100 + position
    np.testing.assert_array_equal(sheet, expected)


def test_pixels_are_repeated_not_smoothed() -> None:
    image = np.array([[[0, 255], [90, 10]]], dtype=np.uint8)
    sheet = np.asarray(contact_sheet(image, scale=3, gap=0))
    np.testing.assert_array_equal(sheet, np.kron(image[0], np.ones((3, 3), dtype=np.uint8)))


def test_the_sheet_is_grey() -> None:
    assert contact_sheet(images(2)).mode == "L"
