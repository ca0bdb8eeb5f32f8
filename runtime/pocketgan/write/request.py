"""`writing_request`: what numbers say and how they look, from the options of gan-write or arguments in Python, checked."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from reprlib import repr as shortened
from typing import NamedTuple, SupportsIndex, TypeAlias

from pocketgan.address import (
    CONSISTENCY_UNITS,
    DEFAULT_CONSISTENCY,
    FULL_VARIETY,
    HandName,
    TraitRange,
    asked_traits,
    consistency_units,
    image_range,
    share_in_units,
    whole,
)
from pocketgan.errors import RequestError, of_argument
from pocketgan.request import LARGEST_HEIGHT, LONGEST_TEXT
from pocketgan.write.layout import JITTER_UNITS, Style, usual_canvas
from pocketgan.write.options import (
    DEFAULT_COUNT,
    DEFAULT_JITTER,
    DEFAULT_LENGTH,
    DEFAULT_SIZE,
    LARGEST_CANVAS,
    LEAST_SIZE,
    MOST_NOISE,
    MOST_NUMBERS,
    MOST_SPACING,
    SPACING_PERCENT,
    Ruling,
)
from pocketgan.write.paper import PAPER_LEVEL, Paper, read_picture
from pocketgan.write.patterns import SEPARATORS, Characters, Repeated, parse_pattern
from pocketgan.write.texts import ListedTexts, Texts, checked_pattern, checked_texts, read_texts
from pocketgan.write.writing import WritingRequest

WholeRange: TypeAlias = SupportsIndex | tuple[SupportsIndex, SupportsIndex]
"""A whole number, or the least and the most."""


def writing_request(
    *,
    text: str | None = None,
    texts: Sequence[str] | Path | ListedTexts | None = None,
    pattern: str | None = None,
    length: WholeRange | None = None,
    count: SupportsIndex | None = None,
    numbers: SupportsIndex = 1,
    seed: SupportsIndex = 0,
    start: SupportsIndex = 0,
    size: SupportsIndex = DEFAULT_SIZE,
    spacing: SupportsIndex | None = None,
    jitter: float = DEFAULT_JITTER,
    canvas: tuple[SupportsIndex, SupportsIndex] | None = None,
    background: SupportsIndex | str | Path = 0,
    noise: SupportsIndex = 0,
    ink: WholeRange = 100,
    hand: HandName | None = None,
    consistency: float = DEFAULT_CONSISTENCY,
    slant: TraitRange | None = None,
    thickness: TraitRange | None = None,
    truncation: float = FULL_VARIETY,
) -> WritingRequest:
    """Return images `start` to `start + count - 1` of the numbers of a seed, for `Writing`.

    They say a `text`, or `texts` in turn, from a sequence or the lines of a file, or random ones: of a `pattern`, or of digits,
    `length` of them, which is 3 to 6 if nothing else is asked for. Without a `count`, there are as many images as it takes to
    show all `texts`, and 10 of others. `size`, `spacing` and `canvas`, its width and
    height, are in pixels, `jitter` and `consistency` from 0 to 1, `background` and `noise` in grey levels, `ink` in percent; a
    `background` may also be `lines`, `squares` or the path of a picture. `hand`, `slant`, `thickness` and `truncation` are those
    of `Generator.generate`.

    Raises RequestError, which names the argument, if one is out of range, or the numbers do not fit onto the canvas.
    """
    says = _says(text, texts, pattern, length)
    numbers = _within("numbers", numbers, 1, MOST_NUMBERS)
    if count is None:
        count = usual_count(says.source, numbers)
    asked = asked_traits(slant, thickness)
    with of_argument("consistency"):
        shared_units = consistency_units(consistency)
    of_hand = DEFAULT_CONSISTENCY if hand is None else consistency
    images = image_range(seed, start, count, truncation, hand, of_hand, asked)
    written = says.source if isinstance(says.source, ListedTexts) else replace(says.source, seed=images.seed)
    size = _within("size", size, LEAST_SIZE, LARGEST_HEIGHT)
    gap = size * SPACING_PERCENT // 100 if spacing is None else _within("spacing", spacing, -MOST_SPACING, MOST_SPACING)
    if numbers > 1 and canvas is None:
        with of_argument("numbers"):
            raise RequestError("several numbers need a canvas to lie on, such as one of 640x480 pixels")
    with of_argument("canvas"):
        pixels = _canvas(canvas, written.longest, size, gap)
    with of_argument("jitter"):
        jitter_units = share_in_units("jitter", jitter, JITTER_UNITS)
    with of_argument("ink"):
        strength = _range("ink", ink, 100)
    noise = _within("noise", noise, 0, MOST_NOISE)
    with of_argument("background"):
        paper = _paper(background, size, pixels, noise, strength)
    with of_argument("spacing"):
        style = Style(size, gap, jitter_units, pixels, numbers, is_lined=paper.ruling is Ruling.lines)
    options = {
        says.argument: says.spelled,
        "numbers": numbers,
        "size": size,
        "spacing": gap,
        "jitter": jitter_units / JITTER_UNITS,
        "canvas": f"{pixels[0]}x{pixels[1]}",
        "background": paper.ruling.value if paper.ruling else str(background),
        "noise": noise,
        "ink": _spelled(strength),
        "consistency": shared_units / CONSISTENCY_UNITS,
        **images.about_writing,
        "truncation": images.truncation,
    }
    return WritingRequest(images, written, style, paper, shared_units, options)


class _Says(NamedTuple):
    """What numbers say, by one of the arguments."""

    argument: str
    spelled: str
    """Its value as gan-write takes it."""
    source: Texts
    """Random ones have seed 0 until the seed is known."""


def usual_count(source: Texts | None, numbers: int) -> int:
    """Return how many images there are if nobody says it: enough for all texts of a list, `numbers` of them in each image."""
    if isinstance(source, ListedTexts) and len(source.texts) > 1:
        return -(-len(source.texts) // numbers)
    return DEFAULT_COUNT


def _says(
    text: str | None, texts: Sequence[str] | Path | ListedTexts | None, pattern: str | None, length: WholeRange | None
) -> _Says:
    """Return what was asked for. Raises RequestError if two arguments say it, or the texts cannot be drawn."""
    given = {
        name: value
        for name, value in {"text": text, "texts": texts, "pattern": pattern, "length": length}.items()
        if value is not None
    }
    if len(given) > 1:
        first, second, *_ = given
        with of_argument(first):
            raise RequestError(f"{first} and {second} cannot be combined: each says what to write; choose one")
    for name, value in given.items():
        if name in ("text", "pattern") and not isinstance(value, str):
            with of_argument(name):
                raise RequestError(f"{name} {shortened(value)} is not text: expected a string")
    if isinstance(texts, str):
        with of_argument("texts"):
            raise RequestError(f"texts {shortened(texts)} is one text: expected a sequence of them, or a Path")
    with of_argument(next(iter(given), "length")):
        if text is not None:
            return _Says("text", text, checked_texts([text]))
        if texts is not None:
            if not isinstance(texts, ListedTexts):
                texts = read_texts(texts) if isinstance(texts, Path) else checked_texts(texts)
            return _Says("texts", texts.source, texts)
        if pattern is not None:
            return _Says("pattern", pattern, checked_pattern(parse_pattern(pattern), 0, SEPARATORS.get(pattern, "")))
        digits = _range("length", DEFAULT_LENGTH if length is None else length, LONGEST_TEXT)
        return _Says("length", _spelled(digits), checked_pattern(Repeated(Characters("0123456789"), *digits), 0))


def _within(name: str, value: SupportsIndex, least: int, most: int) -> int:
    """Return an argument that is a whole number. Raises RequestError if it is none, or out of range."""
    with of_argument(name):
        number = whole(name, value)
        if not least <= number <= most:
            raise RequestError(f"{name} {number} is out of range: expected {least} to {most}")
        return number


def _range(name: str, values: WholeRange, largest: int) -> tuple[int, int]:
    """Return the least and the most of an argument. Raises RequestError if it is malformed, or out of 1 to `largest`."""
    ends = values if isinstance(values, tuple) else (values, values)
    if len(ends) != 2:
        raise RequestError(f"{name} {shortened(values)}: expected a whole number, or the least and the most")
    least, most = (whole(name, end) for end in ends)
    if least > most:
        raise RequestError(f"{name} {least}..{most} runs backwards: expected {most}..{least}")
    if not 1 <= least <= most <= largest:
        example = f"{largest // 4}..{largest}"
        raise RequestError(
            f"{name} {_spelled((least, most))} is out of range: expected whole numbers from 1 to {largest}, such as {example}"
        )
    return least, most


def _spelled(ends: tuple[int, int]) -> str:
    return str(ends[0]) if ends[0] == ends[1] else f"{ends[0]}..{ends[1]}"


def _canvas(canvas: tuple[SupportsIndex, SupportsIndex] | None, longest: int, size: int, spacing: int) -> tuple[int, int]:
    """Return width and height of a canvas; without one, those of one for a text with `longest` characters.

    Raises RequestError if it is too large, or too small for a digit.
    """
    if canvas is None:
        width, height = usual_canvas(longest, size, spacing)
    elif isinstance(canvas, tuple) and len(canvas) == 2:
        width, height = (whole("canvas", side) for side in canvas)
    else:
        raise RequestError(f"canvas {shortened(canvas)}: expected width and height in pixels")
    if not (size <= width <= LARGEST_CANVAS and size <= height <= LARGEST_CANVAS):
        found = f"{width}x{height} pixels" + (f" for {longest} characters" if canvas is None else "")
        raise RequestError(f"{found}: expected width and height from {size}, the size of a digit, to {LARGEST_CANVAS} pixels")
    return width, height


def _paper(background: SupportsIndex | str | Path, size: int, canvas: tuple[int, int], noise: int, ink: tuple[int, int]) -> Paper:
    """Return the paper. Raises RequestError if a picture cannot be read, or is smaller than the canvas."""
    if not isinstance(background, str | Path):
        level = _within("background", background, 0, 255)
        return Paper(level=level, noise=noise, ink_percent=ink)
    if isinstance(background, str) and background.lower() in set(Ruling):
        return Paper(PAPER_LEVEL, Ruling(background.lower()), size // 2, noise=noise, ink_percent=ink)
    return Paper(picture=read_picture(Path(background), canvas), noise=noise, ink_percent=ink)
