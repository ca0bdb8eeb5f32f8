"""Contact sheets: the first images, row by row with gaps around them, if they fit into memory."""

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawings import contents, drawing_of, images_of
from full_disk import small_files_only
from numpy.typing import NDArray
from PIL import Image

from pocketgan.contact_sheet import contact_sheet
from pocketgan.errors import OutputError
from pocketgan.generator import Generator
from pocketgan.output.sheet import check_sheet, shown_images, shown_scale, write_grid, write_sheet
from pocketgan.request import Grid


def noise(*shape: int) -> NDArray[np.uint8]:
    """Return pixels that do not compress."""
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def size_of(sheet: Path) -> tuple[int, int]:
    """Return the width and height of an image file."""
    with Image.open(sheet) as image:
        return image.size


def as_png(images: NDArray[np.uint8], columns: int, scale: int) -> bytes:
    """Return a contact sheet as a PNG file."""
    expected = io.BytesIO()
    contact_sheet(images, columns, scale).save(expected, format="PNG")
    return expected.getvalue()


@pytest.mark.parametrize(
    ("options", "grid", "scale"),
    [
        ({}, Grid(12, 10), 4),
        ({"start": 95, "seed": 3, "truncation": 0.5, "threads": 3}, Grid(1, 10), 4),
        ({"text": "42", "names": ("7", "2")}, Grid(2, 3), 4),
        ({"height": 40, "is_inverted": True}, Grid(3, 2), 2),
        ({"height": 120}, Grid(3, 2), 1),
    ],
    ids=str,
)
def test_a_sheet_shows_the_first_images(
    tmp_path: Path, conditional: Generator, options: dict[str, Any], grid: Grid, scale: int
) -> None:
    drawing = drawing_of(conditional, 200, **options)
    write_sheet(tmp_path / "grid.png", drawing, grid)
    sheet = as_png(images_of(drawing)[: grid.columns * grid.rows], grid.columns, scale)
    assert contents(tmp_path) == {"grid.png": sheet}


@pytest.mark.parametrize(
    ("count", "grid", "columns", "rows"),
    [
        (10, Grid(5, 2), 5, 2),
        (10, Grid(4, 4), 4, 3),
        (10, Grid(4, 9999), 4, 3),
        (3, Grid(5, 2), 3, 1),
        (1, Grid(9999, 9999), 1, 1),
        (100, Grid(1, 7), 1, 7),
        (100, Grid(70, 1), 70, 1),
    ],
)
def test_a_sheet_has_no_more_rows_than_there_are_images(
    tmp_path: Path, tiny: Generator, count: int, grid: Grid, columns: int, rows: int
) -> None:
    write_sheet(tmp_path / "grid.png", drawing_of(tiny, count), grid)
    assert size_of(tmp_path / "grid.png") == (2 + columns * 34, 2 + rows * 34)


@pytest.mark.parametrize(
    ("height", "scale"), [(1, 4), (8, 4), (28, 4), (29, 3), (37, 3), (38, 2), (40, 2), (56, 2), (57, 1), (112, 1), (300, 1)]
)
def test_small_images_are_enlarged(tmp_path: Path, height: int, scale: int) -> None:
    assert shown_scale(height) == scale
    write_grid(tmp_path / "grid.png", noise(1, height, height), 1)
    assert size_of(tmp_path / "grid.png") == (height * scale + 4, height * scale + 4)


@pytest.mark.parametrize(("count", "scale"), [(30, 4), (34, 4), (35, 3), (62, 3), (63, 2)])
def test_large_sheets_are_enlarged_less(tmp_path: Path, count: int, scale: int) -> None:
    write_grid(tmp_path / "grid.png", np.zeros((count, 10, 10_000), np.uint8), 1)
    assert size_of(tmp_path / "grid.png") == (10_000 * scale + 4, count * (10 * scale + 2) + 2)


@pytest.mark.parametrize(
    ("options", "grid", "message"),
    [
        ({"count": 671_089}, Grid(1025, 1024), "671,089 images of 8x8"),
        ({"count": 10**6, "height": 512}, Grid(255, 1), "255 images of 512x512"),
        ({"count": 255, "height": 512}, Grid(9999, 9999), "255 images of 512x512"),
        ({"count": 100, "height": 512, "text": "1" * 32}, Grid(4, 2), "8 images of 512x16384"),
    ],
    ids=str,
)
def test_a_sheet_too_large_for_a_small_device_is_refused(
    conditional: Generator, options: dict[str, Any], grid: Grid, message: str
) -> None:
    drawing = drawing_of(conditional, **options)
    with pytest.raises(OutputError) as caught:
        check_sheet(drawing, shown_images(drawing, grid))
    assert str(caught.value) == f"a grid of {message} is too large: expected at most 67,108,864 pixels in all"


@pytest.mark.parametrize(
    ("options", "grid"),
    [
        ({"count": 671_088}, Grid(1024, 1024)),
        ({"count": 2**20, "height": 6}, Grid(1024, 1024)),  # exactly the largest number of pixels
        ({"count": 10}, Grid(9999, 9999)),
        ({"count": 254, "height": 512}, Grid(9999, 9999)),
    ],
    ids=str,
)
def test_a_sheet_that_fits_is_not_refused(conditional: Generator, options: dict[str, Any], grid: Grid) -> None:
    drawing = drawing_of(conditional, **options)
    check_sheet(drawing, shown_images(drawing, grid))


def test_a_full_disk_leaves_the_older_sheet(tmp_path: Path, tiny: Generator) -> None:
    (tmp_path / "grid.png").write_bytes(b"old")
    expected = re.escape(f"cannot write {tmp_path / 'grid.png'}: File too large")
    with pytest.raises(OutputError, match=f"^{expected}$"), small_files_only(300):
        write_sheet(tmp_path / "grid.png", drawing_of(tiny, 100), Grid(10, 10))
    assert contents(tmp_path) == {"grid.png": b"old"}


GAP_GREY = 48


def numbered(count: int, height: int = 3, width: int = 5) -> NDArray[np.uint8]:
    """Return images whose pixels all have the number of their image."""
    return np.arange(100, 100 + count, dtype=np.uint8)[:, None, None] * np.ones((1, height, width), dtype=np.uint8)


@pytest.mark.parametrize(
    ("count", "columns", "size"),
    [
        (1, None, (2 + 12, 2 + 8)),
        (5, None, (2 + 3 * 12, 2 + 2 * 8)),
        (10, None, (2 + 4 * 12, 2 + 3 * 8)),
        (10, 10, (2 + 10 * 12, 2 + 8)),
        (10, 1, (2 + 12, 2 + 10 * 8)),
        (3, 100, (2 + 3 * 12, 2 + 8)),
    ],
)
def test_a_sheet_has_the_size_of_its_rows_and_columns(count: int, columns: int | None, size: tuple[int, int]) -> None:
    sheet = contact_sheet(numbered(count), columns)
    assert (sheet.size, sheet.mode) == (size, "L")  # width, height


@pytest.mark.parametrize(("scale", "gap"), [(1, 0), (2, 2), (4, 1)])
def test_images_are_laid_out_row_by_row_with_gaps_around_them(scale: int, gap: int) -> None:
    sheet = np.asarray(contact_sheet(numbered(5), columns=3, scale=scale, gap=gap))
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
