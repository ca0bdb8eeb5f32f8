"""How digits lie: scaled and turned exactly, within their place, from left to right, each by its address."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pocketgan.errors import RequestError
from pocketgan.generator import Generator
from pocketgan.write.layout import INK_LEVEL, UNIT, Glyph, Place, Style, page_of, rendered, usual_canvas, words_of, written

PLAIN = Style(size=28, spacing=4, jitter_units=0, canvas=(140, 35), numbers_each=1)
UNEVEN = Style(size=28, spacing=4, jitter_units=256, canvas=(140, 35), numbers_each=1)
PLACE = Place(0, 0, 140, 35)


@pytest.fixture(scope="module")
def digits() -> NDArray[np.uint8]:
    """Ten digits, 0 to 9."""
    return Generator.load("nano").generate(10)


def sizes(pixels: float, count: int = 10) -> NDArray[np.int64]:
    return np.full(count, round(pixels * UNIT), np.int64)


def no_turns(count: int = 10) -> NDArray[np.int64]:
    return np.zeros(count, np.int64)


def test_a_digit_of_its_own_size_keeps_its_pixels(digits: NDArray[np.uint8]) -> None:
    drawn = rendered(digits, sizes(28), no_turns())
    margin = (drawn.shape[1] - 28) // 2
    np.testing.assert_array_equal(drawn[:, margin:-margin, margin:-margin], digits)
    assert drawn.sum() == digits.sum()


def test_half_of_a_turn_is_two_flips(digits: NDArray[np.uint8]) -> None:
    almost = rendered(digits, sizes(28), np.full(10, 2**30, np.int64))  # the tangent of nearly a right angle
    margin = (almost.shape[1] - 28) // 2
    difference = almost[:, margin:-margin, margin:-margin].astype(int) - digits[:, ::-1, ::-1]
    assert np.abs(difference).mean() < 3


@pytest.mark.parametrize("degrees", [-20, 6])
def test_turns_and_sizes_are_those_of_pillow(digits: NDArray[np.uint8], degrees: float) -> None:
    turn = round(np.tan(np.radians(degrees) / 2) * 2**16)
    drawn = rendered(digits, sizes(28), np.full(10, turn, np.int64))
    side = drawn.shape[1]
    margin = (side - 28) // 2
    for image, mine in zip(digits, drawn, strict=True):
        padded = Image.fromarray(np.pad(image, margin))
        theirs = np.asarray(padded.rotate(-degrees, Image.Resampling.BILINEAR))
        assert np.abs(theirs.astype(int) - mine).mean() < 1.5
    larger = rendered(digits, sizes(56), no_turns())
    inner = (larger.shape[1] - 56) // 2
    theirs = np.asarray(Image.fromarray(digits[3]).resize((56, 56), Image.Resampling.BILINEAR))
    assert np.abs(theirs.astype(int) - larger[3, inner:-inner, inner:-inner]).mean() < 1.5


def boxes(glyphs: list[Glyph]) -> list[tuple[int, int, int, int]]:
    """Return left, top, right and bottom of each digit."""
    return [(one.left, one.top, one.left + one.ink.shape[1], one.top + one.ink.shape[0]) for one in glyphs]


def number(style: Style, place: Place, text: str, digits: NDArray[np.uint8], seed: int = 0) -> list[Glyph]:
    """Return the digits of number 0."""
    labels = [int(character) for character in text if character != " "]
    return written(style, place, text, digits[labels], labels, words_of(seed, 0))


def test_without_jitter_digits_stand_in_a_line_at_equal_distances(digits: NDArray[np.uint8]) -> None:
    glyphs = number(PLAIN, PLACE, "20 6", digits)
    assert [glyph.label for glyph in glyphs] == [2, 0, 6]
    for glyph, label in zip(glyphs, (2, 0, 6), strict=True):
        rows, columns = np.nonzero(digits[label] >= INK_LEVEL)
        np.testing.assert_array_equal(glyph.ink, digits[label][rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])
        assert glyph.top + glyph.ink.shape[0] // 2 == 17
    (_, _, first_end, _), (second, _, second_end, _), (third, _, _, _) = boxes(glyphs)
    assert second - first_end == pytest.approx(4, abs=1)
    assert third - second_end == pytest.approx(4 + 4 + 28 * 0.45, abs=1)  # a gap is 45 % of the size
    left, _, right, _ = boxes(glyphs)[0][0], 0, boxes(glyphs)[-1][2], 0
    assert abs(left - (140 - right)) <= 1


def test_with_jitter_digits_differ_in_all_respects_and_stay_in_their_place(digits: NDArray[np.uint8]) -> None:
    place = Place(10, 20, 120, 40)
    seen = set()
    for seed in range(50):
        glyphs = number(UNEVEN, place, "3333", digits, seed)
        for left, top, right, bottom in boxes(glyphs):
            assert 10 <= left < right <= 130
            assert 20 <= top < bottom <= 60
            seen.add((right - left, bottom - top, top))
        assert all(before.left < after.left for before, after in pairwise(glyphs))
    assert len(seen) > 100


def test_a_number_that_is_too_wide_is_written_smaller(digits: NDArray[np.uint8]) -> None:
    place = Place(0, 0, 60, 35)
    for style in (PLAIN, UNEVEN):
        glyphs = number(style, place, "20262026", digits)
        assert len(glyphs) == 8
        assert max(right for _, _, right, _ in boxes(glyphs)) <= 60
        assert max(bottom - top for _, top, _, bottom in boxes(glyphs)) < 14


def test_a_digit_without_ink_is_left_out(digits: NDArray[np.uint8]) -> None:
    images = digits[[2, 0]].copy()
    images[1] = 0
    glyphs = written(PLAIN, PLACE, "20", images, [2, 0], words_of(0, 0))
    assert [glyph.label for glyph in glyphs] == [2]


def test_numbers_get_different_fields_of_a_grid_by_address() -> None:
    style = Style(28, 4, 128, (640, 480), 12)
    seen = set()
    for image in range(20):
        fields = page_of(style, 5, 7, image).places
        assert len(set(fields)) == 12
        assert fields == sorted(fields, key=lambda place: (place.top, place.left))
        assert all(place.left + place.width <= 640 and place.top + place.height <= 480 for place in fields)
        assert all(place.width >= usual_canvas(5, 28, 4)[0] - 1 - 6 and place.height >= 35 for place in fields)
        seen.add(tuple(fields))
    assert len(seen) == 20
    assert page_of(style, 5, 7, 3) == page_of(style, 5, 7, 3)
    assert page_of(PLAIN, 5, 7, 3).places == [Place(3, 0, 134, 35)]
    with pytest.raises(
        RequestError, match=r"^80 numbers of up to 5 characters do not fit onto 640x480 pixels: at most \d+ of size 28 do$"
    ):
        page_of(Style(28, 4, 128, (640, 480), 80), 5, 7, 0)


def test_random_numbers_of_a_layout_do_not_overlap_those_of_the_next() -> None:
    assert len(words_of(3, 0)) == 16 + 4 * 32
    assert not set(words_of(3, 0)[-16:]) & set(words_of(3, 1)[:16])
    assert abs(np.concatenate([words_of(3, number) for number in range(200)]).mean()) < 400


def test_numbers_on_lined_paper_stand_on_its_lines(digits: NDArray[np.uint8]) -> None:
    firsts = set()
    for numbers_each in (1, 5):
        style = Style(28, 4, 256, (300, 230), numbers_each, is_lined=True)
        for image in range(20):
            page = page_of(style, 4, 7, image)
            assert page.lines.step == 35
            firsts.add(page.lines.start)
            for place in page.places:
                bottoms = [bottom for _, _, _, bottom in boxes(number(style, place, "2026", digits, image))]
                line = min(page.lines, key=lambda row: abs(row - np.median(bottoms)))
                assert abs(line - np.median(bottoms)) <= 4
    assert len(firsts) > 10
    assert page_of(PLAIN, 4, 7, 0).lines == range(0)
