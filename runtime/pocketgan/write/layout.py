"""How the digits of numbers lie: how large, turned and far apart they are, and where on the canvas.

Everything random about a number comes from its address. All arithmetic is of whole numbers, so that every machine places and
turns digits alike; lengths are in units of 1/256 of a pixel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from pocketgan.address import Stream
from pocketgan.errors import RequestError
from pocketgan.latents import WORDS_PER_BLOCK, random_words
from pocketgan.request import LONGEST_TEXT
from pocketgan.write.texts import GAP

_Pixel = TypeVar("_Pixel", bound=np.generic)

INK_LEVEL = 64
"""A pixel belongs to a digit if at least a quarter of it is ink."""

UNIT = 256
"""Units of length in a pixel."""

INK_OF_SIZE = 20, 28
"""The ink of MNIST's digits is 20 pixels high in images of 28."""

_WORDS_OF_A_CHARACTER, _WORDS_OF_A_NUMBER = 4, 16
_HALF_WORD = 2**15
_BLOCKS_OF_AN_IMAGE = 2**14  # more than a canvas has fields

JITTER_UNITS = 256
MOST_OVERLAP = 6
"""Digits may overlap by their size divided by this."""
_LARGEST_TURN = 3435  # of 2**16: the tangent of half of 6 degrees
_LARGEST_GROWTH_PERCENT = 12
_LARGEST_RISE_PERCENT = 10
_LARGEST_SPREAD_PERCENT = 60
_GAP_PERCENT = 45


@dataclass(frozen=True)
class Style:
    """How numbers are written."""

    size: int
    """Height of a digit's image in pixels; its ink is as high as about 20/28 of it."""
    spacing: int
    """Pixels between the ink of two digits; below 0 they overlap, by a sixth of the size at most."""
    jitter_units: int
    """How uneven digits are, in 1/JITTER_UNITS: their height, size, turn and distance; 0 for even ones."""
    canvas: tuple[int, int]
    """Width and height of an image in pixels."""
    numbers_each: int
    """How many numbers are in an image."""
    is_lined: bool = False
    """Whether numbers stand on printed lines."""

    def __post_init__(self) -> None:
        """Raise RequestError if digits would overlap so much that they change places."""
        if self.spacing < -(self.size // MOST_OVERLAP):
            least = -(self.size // MOST_OVERLAP)
            raise RequestError(f"spacing {self.spacing} is out of range: expected at least {least} with size {self.size}")


@dataclass(frozen=True)
class Glyph:
    """A digit on the canvas."""

    label: int
    left: int
    top: int
    ink: NDArray[np.uint8]
    """How much of each pixel is ink, uint8 [h, w], cut to those that belong to the digit."""

    def part(self, canvas: NDArray[_Pixel]) -> NDArray[_Pixel]:
        """Return the part of a canvas [H, W] that the digit lies on, [h, w]."""
        height, width = self.ink.shape
        return canvas[self.top : self.top + height, self.left : self.left + width]


def words_of(seed: int, number: int) -> NDArray[np.int64]:
    """Return the random numbers of a number's layout, from -2**15 to 2**15 - 1: first its own, then four for each character."""
    count = _WORDS_OF_A_NUMBER + LONGEST_TEXT * _WORDS_OF_A_CHARACTER
    block = number * (count // WORDS_PER_BLOCK)
    return random_words(Stream.layouts.key(seed), block, count).astype(np.int64) - _HALF_WORD


def rendered(images: NDArray[np.uint8], sizes: NDArray[np.int64], turns: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return images uint8 [n, H, W] scaled to these heights and turned, in the middle of squares: uint8 [n, R, R].

    `sizes` are in UNITs of a pixel, [n]; `turns` are the tangents of half of the angles, to the right, in 1/2**16, [n].
    Interpolates linearly.
    """
    count, height, width = images.shape
    side = int(-(-max(sizes, default=UNIT) * 3 // (2 * UNIT)))
    one = 2**16
    square = turns * turns // one
    cosines, sines = one * (one - square) // (one + square), 2 * one * turns // (one + square)
    steps = 2 * np.arange(side) + 1 - side  # of half a pixel, from the middle
    down, right = steps[None, :, None], steps[None, None, :]
    cosine, sine, size = (values[:, None, None] for values in (cosines, sines, sizes))
    # Where each pixel lies in the image, in UNITs.
    denominator = 2 * size * one // UNIT
    rows = (cosine * down - sine * right) * height * UNIT // denominator + (height - 1) * UNIT // 2
    columns = (sine * down + cosine * right) * height * UNIT // denominator + (width - 1) * UNIT // 2
    padded = np.pad(images, ((0, 0), (1, 2), (1, 2))).astype(np.int64)
    top, left = (((place // UNIT) + 1).clip(0, most + 1) for place, most in ((rows, height), (columns, width)))
    below, beside = rows % UNIT, columns % UNIT
    is_outside = (rows < -UNIT) | (rows >= height * UNIT) | (columns < -UNIT) | (columns >= width * UNIT)
    each = np.arange(count)[:, None, None]
    upper = padded[each, top, left] * (UNIT - beside) + padded[each, top, left + 1] * beside
    lower = padded[each, top + 1, left] * (UNIT - beside) + padded[each, top + 1, left + 1] * beside
    levels = (upper * (UNIT - below) + lower * below + UNIT**2 // 2) // UNIT**2
    return np.where(is_outside, 0, levels).astype(np.uint8)


@dataclass(frozen=True)
class Place:
    """Where a number goes: a rectangle of the canvas, in pixels."""

    left: int
    top: int
    width: int
    height: int


def usual_canvas(longest: int, size: int, spacing: int) -> tuple[int, int]:
    """Return width and height of a canvas for one number of up to `longest` characters."""
    return longest * (size * 3 // 5 + spacing) + size // 2, size * 5 // 4


class Page(NamedTuple):
    """Where the numbers of an image go, in the order in which they are read."""

    places: list[Place]
    lines: range
    """The rows of printed lines; empty without any."""


def page_of(style: Style, longest: int, seed: int, image: int) -> Page:
    """Return where the numbers of an image go: the whole canvas, or different fields of a grid that are chosen by its address.

    Raises RequestError if the canvas is less than half as wide as the longest text needs, or there are too few fields.
    """
    width, height = style.canvas
    usual_width, usual_height = usual_canvas(longest, style.size, style.spacing)
    if width < usual_width // 2:
        raise RequestError(
            f"texts of up to {longest} characters of size {style.size} do not fit onto {width} pixels: expected at least "
            f"{usual_width // 2}, or a smaller size"
        )
    is_alone = style.numbers_each == 1
    columns = 1 if is_alone else max(1, width // usual_width)
    lines = 1 if is_alone and not style.is_lined else max(1, height // usual_height)
    if style.numbers_each > columns * lines:
        raise RequestError(
            f"{style.numbers_each} numbers of up to {longest} characters do not fit onto {width}x{height} pixels: at most "
            f"{columns * lines} of size {style.size} do"
        )
    stream = np.random.Philox(key=Stream.places.key(seed), counter=image * _BLOCKS_OF_AN_IMAGE)
    fields = sorted(stream.random_raw(columns * lines).argsort()[: style.numbers_each].tolist())
    # Lines are at equal distances, from a random row on; without them the fields fill the canvas.
    pitch = min(usual_height, height)
    first = int(stream.random_raw()) * (height - lines * pitch + 1) >> 64
    lefts = [width * number // columns for number in range(columns + 1)]
    tops = [first + pitch * number if style.is_lined else height * number // lines for number in range(lines + 1)]
    margin = style.size // 8
    found = [
        Place(lefts[column] + margin, tops[line], lefts[column + 1] - lefts[column] - 2 * margin, tops[line + 1] - tops[line])
        for line, column in (divmod(field, columns) for field in fields)
    ]
    baseline = first + pitch // 2 + style.size * INK_OF_SIZE[0] // (2 * INK_OF_SIZE[1]) + 1
    return Page(found, range(baseline % pitch, height, pitch) if style.is_lined else range(0))


def written(
    style: Style, place: Place, text: str, images: NDArray[np.uint8], labels: Sequence[int], words: NDArray[np.int64]
) -> list[Glyph]:
    """Return the digits of one number as they lie in its place, from left to right.

    `images`, uint8 [n, H, W], and their `labels` are those of all characters but gaps; `words` is what `words_of` returned. A
    number that is too wide for its place is written smaller. Digits without ink are left out.
    """
    is_digit = np.array([character != GAP for character in text])
    each = words[_WORDS_OF_A_NUMBER:].reshape(-1, _WORDS_OF_A_CHARACTER)[: len(text)]
    growths, turns, rises, spreads = style.jitter_units * each.T // JITTER_UNITS
    sizes = style.size * UNIT * (100 * _HALF_WORD + _LARGEST_GROWTH_PERCENT * growths) // (100 * _HALF_WORD)
    gaps = style.spacing * UNIT * (100 * _HALF_WORD + _LARGEST_SPREAD_PERCENT * spreads) // (100 * _HALF_WORD)
    gaps += np.where(is_digit, 0, style.size * UNIT * _GAP_PERCENT // 100)
    inner = _ink_widths(images) * sizes[is_digit] // (images.shape[1] * UNIT)
    wanted, room = int(inner.sum() + gaps[:-1].sum()), (place.width - 2) * UNIT
    if wanted > room:
        sizes, gaps = sizes * room // wanted, gaps * room // wanted
    shapes = zip(images, sizes[is_digit], turns[is_digit] * _LARGEST_TURN // _HALF_WORD, strict=True)
    # One by one, since large digits take much memory.
    drawn = (_cut(rendered(image[None], size[None], turn[None])[0]) for image, size, turn in shapes)
    inks = [next(drawn) if digit else None for digit in is_digit]
    return _in_line(style, place, inks, labels, gaps, rises, words)


def _in_line(
    style: Style,
    place: Place,
    inks: Sequence[NDArray[np.uint8] | None],
    labels: Sequence[int],
    gaps: NDArray[np.int64],
    rises: NDArray[np.int64],
    words: NDArray[np.int64],
) -> list[Glyph]:
    """Return the glyphs of the digits' ink, [h, w] each, one after the other; None is a gap."""
    widths = [0 if ink is None else ink.shape[1] * UNIT for ink in inks]
    lefts = np.cumsum([0, *(width + gap for width, gap in zip(widths, gaps.tolist(), strict=True))])[:-1]
    spare_width = place.width * UNIT - int(lefts[-1]) - widths[-1]
    spare_height = (place.height - style.size) * UNIT
    # Anywhere in its place, all positions equally likely, but in the middle without jitter.
    start, middle = (
        max(spare, 0) * (_HALF_WORD + (int(word) if is_free else 0)) // (2 * _HALF_WORD)
        for spare, word, is_free in (
            (spare_width, words[0], style.jitter_units > 0),
            (spare_height, words[1], style.jitter_units > 0 and not style.is_lined),
        )
    )
    glyphs, digits = [], iter(labels)
    for ink, left, rise in zip(inks, lefts.tolist(), rises.tolist(), strict=True):
        if ink is None:
            continue
        label, (height, width) = next(digits), ink.shape
        if not height:
            continue
        lift = style.size * UNIT * _LARGEST_RISE_PERCENT * rise // (100 * _HALF_WORD)
        top = (middle + lift + style.size * UNIT // 2) // UNIT - height // 2
        glyphs.append(
            Glyph(
                label,
                place.left + min(max((start + left) // UNIT, 0), max(place.width - width, 0)),
                place.top + min(max(top, 0), max(place.height - height, 0)),
                ink[: place.height, : place.width],
            )
        )
    return glyphs


def _ink_widths(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return how wide the ink of images uint8 [n, H, W] is, in UNITs, [n]."""
    return np.array([UNIT * _cut(image).shape[1] for image in images], np.int64)


def _cut(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the part of an image, uint8 [H, W], that holds all pixels of its digit; [0, 0] without any."""
    is_ink = image >= INK_LEVEL
    rows, columns = np.flatnonzero(is_ink.any(axis=1)), np.flatnonzero(is_ink.any(axis=0))
    if not len(rows):
        return image[:0, :0]
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
