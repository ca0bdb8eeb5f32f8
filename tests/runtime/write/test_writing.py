"""Images of numbers: the model's own digits, each number by one hand, the same in any batch, part and thread."""

import hashlib

import numpy as np
import pytest

from pocketgan.address import CONSISTENCY_UNITS, Hand, ImageRange, asked_traits
from pocketgan.errors import RequestError
from pocketgan.generator import Generator
from pocketgan.latents import LATENT_STEP
from pocketgan.request import LONGEST_TEXT
from pocketgan.write.layout import Style, usual_canvas
from pocketgan.write.paper import Paper, Ruling
from pocketgan.write.patterns import parse_pattern
from pocketgan.write.texts import Texts, checked_pattern, checked_texts
from pocketgan.write.writing import Writing, WritingRequest

PLAIN = Style(28, 4, 0, (120, 40), 1)
SEVERAL = Style(20, 3, 200, (300, 120), 5)


@pytest.fixture(scope="module")
def nano() -> Generator:
    return Generator.load("nano")


def request(texts: Texts, style: Style = PLAIN, **changes: object) -> WritingRequest:
    """Return a request for ten images of seed 6."""
    values: dict[str, object] = {"paper": Paper(), "hand": None, "consistency_units": 179, "asked": ()}
    return WritingRequest(6, 0, 10, texts, style, truncation_units=256, options={}, **(values | changes))  # type: ignore[arg-type]


def test_digits_are_those_that_the_model_draws_at_their_addresses(nano: Generator) -> None:
    writing = Writing(nano, request(checked_texts(["20 6", "7"])), 1)
    for index, labels in ((0, [2, 0, 6]), (1, [7]), (4, [2, 0, 6])):
        indices = range(index * LONGEST_TEXT, index * LONGEST_TEXT + len(labels))
        ticks = nano.ticks(ImageRange(6, indices, 256, Hand(6, index, 179)), np.array(labels))
        expected = nano.draw_latents(ticks * np.float32(LATENT_STEP), labels)
        (image,) = writing.images(range(index, index + 1))
        (glyphs,) = image.numbers
        assert [glyph.label for glyph in glyphs] == labels
        for glyph, digit in zip(glyphs, expected, strict=True):
            rows, columns = np.nonzero(digit >= 64)
            part = digit[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            np.testing.assert_array_equal(glyph.ink, part)
            height, width = part.shape
            np.testing.assert_array_equal(image.pixels[glyph.top : glyph.top + height, glyph.left : glyph.left + width], part)


def test_images_are_the_same_in_any_batch_and_thread(nano: Generator) -> None:
    texts = checked_pattern(parse_pattern("[0-9]{1,5}"), 6)
    paper = Paper(230, Ruling.squares, 12, noise=7, ink_percent=(60, 100))
    wanted = request(texts, SEVERAL, paper=paper)
    writing = Writing(nano, wanted, 1)
    images = np.concatenate([batch.images for batch in writing.batches(range(40))])
    assert images.shape == (40, 120, 300)
    np.testing.assert_array_equal(np.stack([one.pixels for one in writing.images(range(23, 26))]), images[23:26])
    threaded = np.concatenate([batch.images for batch in Writing(nano, wanted, 3).batches(range(40))])
    np.testing.assert_array_equal(threaded, images)
    assert len(np.unique(images.reshape(40, -1), axis=0)) == 40


def test_one_hand_can_write_all_numbers(nano: Generator) -> None:
    texts = checked_texts(["3333"])
    style = Style(28, 4, 0, usual_canvas(4, 28), 1)

    def differences(**changes: object) -> float:
        """Return how much the first digits of two numbers differ."""
        images = Writing(nano, request(texts, style, consistency_units=CONSISTENCY_UNITS, **changes), 1).images(range(2))
        first, second = (image.numbers[0] for image in images)
        assert all(np.array_equal(glyph.ink, first[0].ink) for glyph in first)  # consistency 1: all threes of a hand are equal
        return float(not np.array_equal(first[0].ink, second[0].ink))

    assert differences() == 1
    assert differences(hand=Hand(6, 2, CONSISTENCY_UNITS)) == 0


def test_what_an_image_says_and_which_numbers_it_shows(nano: Generator) -> None:
    writing = Writing(nano, request(checked_texts(["1", "22", "3 3"]), SEVERAL), 1)
    assert writing.numbers_of(2) == range(10, 15)
    assert writing.text(2) == "22 3 3 1 22 3 3"
    (image,) = writing.images(range(2, 3))
    assert [[glyph.label for glyph in number] for number in image.numbers] == [[2, 2], [3, 3], [1], [2, 2], [3, 3]]


def test_what_cannot_be_drawn_is_refused(nano: Generator, tiny: Generator) -> None:
    with pytest.raises(RequestError, match=r"has no class 'x'"):
        Writing(nano, request(checked_texts(["12x"])), 1)
    with pytest.raises(RequestError, match=r"has no classes"):
        Writing(tiny, request(checked_texts(["12"])), 1)
    with pytest.raises(RequestError, match=r"cannot draw a chosen slant"):
        Writing(nano, request(checked_texts(["12"]), asked=asked_traits(slant=10)), 1)
    with pytest.raises(RequestError, match=r"do not fit onto 300x120 pixels"):
        request(checked_texts(["123456789012"]), SEVERAL)
    with pytest.raises(RequestError, match=r"are out of range: expected 0 to"):
        WritingRequest(6, 2**44, 1, checked_texts(["12"]), PLAIN, Paper(), 256, None, 179, (), {})


def test_these_images_never_change(conditional: Generator) -> None:
    texts = checked_pattern(parse_pattern("[0-9]{2,4} [0-9]{2}"), 6)
    paper = Paper(230, Ruling.lines, 12, noise=7, ink_percent=(60, 100))
    images = Writing(conditional, request(texts, Style(20, 3, 200, (400, 120), 3), paper=paper), 1).images(range(50))
    digest = hashlib.sha256(b"".join(image.pixels.tobytes() for image in images)).hexdigest()
    assert digest == "bab83c32c7aed54066e8b2063dac69917135e2f912f8915ba11aa7362dad463d"
