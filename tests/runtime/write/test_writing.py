"""Images of numbers: the model's own digits, each number by one hand, the same in any batch, part and thread."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from chosen_traits import with_traits
from drawings import with_classes
from numpy.typing import NDArray

from pocketgan.address import CONSISTENCY_UNITS, AskedTrait, Hand, ImageRange, asked_traits, image_range
from pocketgan.errors import RequestError
from pocketgan.generator import Generator
from pocketgan.latents import LATENT_STEP
from pocketgan.request import LONGEST_TEXT
from pocketgan.write.layout import Style, usual_canvas
from pocketgan.write.options import Ruling
from pocketgan.write.paper import Paper
from pocketgan.write.patterns import parse_pattern
from pocketgan.write.texts import Texts, checked_pattern, checked_texts
from pocketgan.write.writing import Writing, WritingRequest, WrittenNumbers

BLACK = Paper()
PLAIN = Style(28, 4, 0, (120, 40), 1)
SEVERAL = Style(20, 3, 200, (300, 120), 5)


@pytest.fixture(scope="module")
def nano() -> Generator:
    return Generator.load("nano")


def request(
    texts: Texts,
    style: Style = PLAIN,
    paper: Paper = BLACK,
    hand: Hand | None = None,
    consistency_units: int = 179,
    asked: tuple[AskedTrait, ...] = (),
) -> WritingRequest:
    """Return a request for ten images of seed 6."""
    return WritingRequest(ImageRange(6, range(10), 256, hand, asked), texts, style, paper, consistency_units, {})


def pixels_of(writing: Writing, index: int) -> NDArray[np.uint8]:
    """Return an image."""
    (batch,) = writing.batches(range(index, index + 1))
    image: NDArray[np.uint8] = batch.images[0]
    return image


def numbers_of(writing: Writing, index: int) -> WrittenNumbers:
    """Return the digits of an image."""
    (batch,) = writing.batches(range(index, index + 1))
    (numbers,) = batch.numbers
    return numbers


def test_digits_are_those_that_the_model_draws_at_their_addresses(nano: Generator) -> None:
    writing = Writing(nano, request(checked_texts(["20 6", "7"])), 1)
    for index, labels in ((0, [2, 0, 6]), (1, [7]), (4, [2, 0, 6])):
        indices = range(index * LONGEST_TEXT, index * LONGEST_TEXT + len(labels))
        ticks = nano.ticks(ImageRange(6, indices, 256, Hand(6, index, 179)), np.array(labels))
        expected = nano.draw_latents(ticks * np.float32(LATENT_STEP), labels)
        image = pixels_of(writing, index)
        (glyphs,) = numbers_of(writing, index)
        assert [glyph.label for glyph in glyphs] == labels
        for glyph, digit in zip(glyphs, expected, strict=True):
            rows, columns = np.nonzero(digit >= 64)
            part = digit[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            np.testing.assert_array_equal(glyph.ink, part)
            height, width = part.shape
            np.testing.assert_array_equal(image[glyph.top : glyph.top + height, glyph.left : glyph.left + width], part)


def test_a_separator_that_the_model_can_write_stands_in_place_of_a_gap(nano: Generator, tmp_path: Path) -> None:
    texts = checked_pattern(parse_pattern("[0-8] [0-8]"), 6, separators="/.")
    with_point = with_classes(nano, tmp_path, classes=(*"012345678", "point"))
    without, written = (Writing(generator, request(texts)).text(0) for generator in (nano, with_point))
    assert written == without.replace(" ", ".")
    (glyphs,) = numbers_of(Writing(with_point, request(texts)), 0)
    assert [glyph.label for glyph in glyphs] == [int(written[0]), 9, int(written[2])]


def test_images_are_the_same_in_any_batch_and_thread(nano: Generator) -> None:
    texts = checked_pattern(parse_pattern("[0-9]{1,5}"), 6)
    paper = Paper(230, Ruling.squares, 12, noise=7, ink_percent=(60, 100))
    wanted = request(texts, SEVERAL, paper=paper)
    writing = Writing(nano, wanted, 1)
    images = np.concatenate([batch.images for batch in writing.batches(range(40))])
    assert images.shape == (40, 120, 300)
    np.testing.assert_array_equal(pixels_of(writing, 23), images[23])
    threaded = np.concatenate([batch.images for batch in Writing(nano, wanted, 3).batches(range(40))])
    np.testing.assert_array_equal(threaded, images)
    assert len(np.unique(images.reshape(40, -1), axis=0)) == 40


def test_one_hand_can_write_all_numbers(nano: Generator) -> None:
    texts = checked_texts(["3333"])
    style = Style(28, 4, 0, usual_canvas(4, 28, 4), 1)

    def differences(hand: Hand | None = None) -> float:
        """Return how much the first digits of two numbers differ."""
        writing = Writing(nano, request(texts, style, hand=hand, consistency_units=CONSISTENCY_UNITS), 1)
        first, second = (numbers_of(writing, index)[0] for index in (0, 1))
        assert all(np.array_equal(glyph.ink, first[0].ink) for glyph in first)  # consistency 1: all threes of a hand are equal
        return float(not np.array_equal(first[0].ink, second[0].ink))

    assert differences() == 1
    assert differences(hand=Hand(6, 2, CONSISTENCY_UNITS)) == 0


def test_what_an_image_says_and_which_numbers_it_shows(nano: Generator) -> None:
    writing = Writing(nano, request(checked_texts(["1", "22", "3 3"]), SEVERAL), 1)
    assert writing.numbers_of(2) == range(10, 15)
    assert writing.text(2) == "22 3 3 1 22 3 3"
    labels = [[glyph.label for glyph in number] for number in numbers_of(writing, 2)]
    assert labels == [[2, 2], [3, 3], [1], [2, 2], [3, 3]]


def test_what_cannot_be_drawn_is_refused(nano: Generator, conditional: Generator, tiny: Generator) -> None:
    with pytest.raises(RequestError, match=r"has no class 'x'"):
        Writing(nano, request(checked_texts(["12x"])), 1)
    with pytest.raises(RequestError, match=r"has no classes"):
        Writing(tiny, request(checked_texts(["12"])), 1)
    with pytest.raises(RequestError, match=r"cannot draw a chosen slant"):
        Writing(conditional, request(checked_texts(["12"]), asked=asked_traits(slant=10)), 1)
    with pytest.raises(RequestError, match=r"do not fit onto 300x120 pixels"):
        request(checked_texts(["123456789012"]), SEVERAL)
    with pytest.raises(
        RequestError, match=r"^texts of up to 32 characters of size 28 do not fit onto 120 pixels: expected at least 327"
    ):
        request(checked_texts(["1" * 32]))
    with pytest.raises(RequestError, match=r"^spacing -5 is out of range: expected at least -4 with size 28$"):
        Style(28, -5, 0, (120, 40), 1)
    with pytest.raises(RequestError, match=r"are out of range: expected 0 to"):
        WritingRequest(image_range(6, 2**44, 1), checked_texts(["12"]), PLAIN, Paper(), 179, {})


def test_a_range_of_a_trait_is_drawn_from_once_for_a_number(conditional: Generator) -> None:
    chosen = with_traits(conditional)
    wanted = request(
        checked_texts(["3333"]), Style(28, 4, 0, (120, 40), 1), asked=asked_traits(slant=(-4, 25)), consistency_units=256
    )
    first, second = (numbers_of(Writing(chosen, wanted, 1), index)[0] for index in (0, 1))
    assert all(np.array_equal(glyph.ink, first[0].ink) for glyph in first)
    assert not np.array_equal(first[0].ink, second[0].ink)


def test_the_limits_on_memory_hold_for_large_canvases(nano: Generator) -> None:
    style = Style(28, 4, 0, (4096, 4096), 1)
    batches = Writing(nano, request(checked_texts(["12"]), style), 1).batches(range(3))
    assert [len(batch.images) for batch in batches] == [1, 1, 1]


def test_these_images_never_change(conditional: Generator) -> None:
    texts = checked_pattern(parse_pattern("[0-9]{2,4} [0-9]{2}"), 6)
    paper = Paper(230, Ruling.lines, 12, noise=7, ink_percent=(60, 100))
    writing = Writing(conditional, request(texts, Style(20, 3, 200, (400, 120), 3), paper=paper), 1)
    digest = hashlib.sha256(b"".join(batch.images.tobytes() for batch in writing.batches(range(50)))).hexdigest()
    assert digest == "3baa3dcda4466aada76a033a6a2952b25001950a8f3b1cc2e687f5c729812351"
