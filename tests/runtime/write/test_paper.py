"""Paper and ink: levels, lines, pictures and noise, in whole numbers and by address."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pocketgan.errors import RequestError
from pocketgan.write.layout import Glyph
from pocketgan.write.options import Ruling
from pocketgan.write.paper import Paper, on_paper, read_picture

SIZE = 40, 60
RAMP = np.broadcast_to(np.arange(256, dtype=np.uint8), (2, 256)).copy()
FULL = np.full((1, 1), 255, np.uint8)


def drawn(paper: Paper, image: int, ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image of seed 5 that is as large as its only digit."""
    return on_paper(paper, 5, image, (ink.shape[0], ink.shape[1]), [Glyph(0, 0, 0, ink)])


def test_ink_is_white_on_black_and_black_on_white() -> None:
    np.testing.assert_array_equal(drawn(Paper(), 0, RAMP), RAMP)
    np.testing.assert_array_equal(drawn(Paper(level=255), 0, RAMP), 255 - RAMP)


def test_each_digit_can_be_seen_on_a_picture_that_is_dark_in_parts() -> None:
    half_dark = np.repeat(np.array([[20, 230]], np.uint8), 30, axis=1).repeat(40, axis=0)
    digits = [Glyph(3, left, 10, np.full((8, 5), 255, np.uint8)) for left in (5, 40)]
    image = on_paper(Paper(picture=half_dark), 5, 0, SIZE, digits)
    assert [np.unique(digit.part(image)).tolist() for digit in digits] == [[255], [0]]
    assert (np.delete(image, range(10, 18), axis=0) == np.delete(half_dark, range(10, 18), axis=0)).all()


def test_where_digits_overlap_the_one_with_more_ink_is_seen() -> None:
    light = Paper(picture=np.array([[0, 0, 255, 255]], np.uint8))
    digits = [Glyph(1, 0, 0, np.array([[255, 255, 100]], np.uint8)), Glyph(2, 2, 0, np.array([[200, 255]], np.uint8))]
    assert on_paper(light, 5, 0, (1, 4), digits).tolist() == [[255, 255, 55, 0]]


def test_ink_has_a_strength_of_its_own_in_each_image() -> None:
    assert drawn(Paper(ink_percent=(40, 40)), 0, FULL)[0, 0] == 102
    levels = [int(drawn(Paper(level=200, ink_percent=(50, 100)), image, FULL)[0, 0]) for image in range(300)]
    assert (min(levels), max(levels)) == (0, 100)
    assert len(set(levels)) > 40


def test_lines_are_where_they_are_asked_for_and_squares_begin_anywhere() -> None:
    lined = on_paper(Paper(236, Ruling.lines), 5, 0, SIZE, [], range(7, 40, 12))
    assert np.flatnonzero((lined == 176).all(axis=1)).tolist() == [7, 19, 31]
    assert (np.delete(lined, [7, 19, 31], axis=0) == 236).all()
    starts = set()
    for image in range(200):
        squared = on_paper(Paper(236, Ruling.squares, 10), 5, image, SIZE, [])
        rows, columns = (np.flatnonzero((squared == 176).all(axis=axis)) for axis in (1, 0))
        assert ((np.diff(rows) == 10).all(), (np.diff(columns) == 10).all()) == (True, True)
        starts.add((int(rows[0]), int(columns[0])))
    assert {row for row, _ in starts} == {column for _, column in starts} == set(range(10))


def test_noise_is_normal_and_clipped_and_by_address() -> None:
    large = 300, 300
    noisy = on_paper(Paper(level=128, noise=10), 5, 7, large, []).astype(float)
    assert noisy.mean() == pytest.approx(128, abs=0.1)
    assert noisy.std() == pytest.approx(10, rel=0.03)
    np.testing.assert_array_equal(on_paper(Paper(level=128, noise=10), 5, 7, large, []), noisy)
    assert not (on_paper(Paper(level=128, noise=10), 5, 8, large, []) == noisy).all()
    assert on_paper(Paper(noise=50), 5, 7, large, []).min() == 0


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "paper.png"
    Image.fromarray(np.arange(100 * 80, dtype=np.uint16).reshape(80, 100).astype(np.uint8)).convert("RGB").save(path)
    return path


def test_paper_is_a_part_of_a_picture(picture: Path) -> None:
    pixels = read_picture(picture, (60, 40))
    parts = [on_paper(Paper(picture=pixels), 5, image, SIZE, []) for image in range(20)]
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (40, 60))
    assert all((windows == part).all(axis=(2, 3)).any() for part in parts)
    assert len({part.tobytes() for part in parts}) > 10
    np.testing.assert_array_equal(on_paper(Paper(picture=pixels), 5, 0, (80, 100), []), pixels)


def test_pictures_that_cannot_be_used_are_refused(picture: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"paper.png has 100x80 pixels: expected at least the canvas's 101x40$"):
        read_picture(picture, (101, 40))
    with pytest.raises(
        RequestError, match=r"^cannot read the picture .*gone.png: No such file or directory; expected lines, squares"
    ):
        read_picture(tmp_path / "gone.png", (10, 10))
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(
        RequestError,
        match=r"^cannot read the picture .*text.png: it is not a picture; expected lines, squares, a grey level, or a PNG",
    ):
        read_picture(tmp_path / "text.png", (10, 10))


def test_what_is_transparent_is_white_and_more_than_8_bits_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "paper.png"
    Image.new("LA", (20, 10), (0, 0)).save(path)
    assert (read_picture(path, (20, 10)) == 255).all()
    Image.fromarray(np.full((10, 20), 40_000, np.uint16)).save(path)
    with pytest.raises(RequestError, match=r"paper.png has more than 8 bits for a pixel: expected a picture with 8$"):
        read_picture(path, (20, 10))


def test_ink_has_one_colour_whatever_the_noise() -> None:
    assert {int(drawn(Paper(level=128, noise=60), image, FULL)[0, 0]) for image in range(100)} == {0}
