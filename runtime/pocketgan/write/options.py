"""Parsers of gan-write's options: texts, canvas, style, paper."""

import re
import sys
from pathlib import Path

from pocketgan.errors import RequestError
from pocketgan.request import LONGEST_TEXT
from pocketgan.write.kinds import Ruling
from pocketgan.write.layout import JITTER_UNITS, usual_canvas
from pocketgan.write.paper import PAPER_LEVEL, Paper, read_picture
from pocketgan.write.patterns import Characters, Repeated, parse_pattern
from pocketgan.write.texts import Texts, checked_pattern, checked_texts, read_texts

LARGEST_CANVAS = 4096
"""Pixels of a side."""


def texts_of(option: str, spec: str, seed: int) -> Texts:
    """Return what numbers say by the option `text`, `texts`, `pattern` or `length`. Raises RequestError if it is malformed."""
    if option == "text":
        return checked_texts([spec])
    if option == "texts":
        if spec == "-" and sys.stdin is None:
            raise RequestError("cannot read standard input: it is closed")
        return read_texts(sys.stdin.buffer if spec == "-" else Path(spec))
    if option == "pattern":
        return checked_pattern(parse_pattern(spec), seed)
    return checked_pattern(Repeated(Characters("0123456789"), *whole_range(spec, LONGEST_TEXT)), seed)


_RANGE = re.compile(r"([0-9]{1,4})(?:\.\.([0-9]{1,4}))?")


def whole_range(spec: str, largest: int) -> tuple[int, int]:
    """Parse a number or a range such as 3..8. Raises RequestError if it is malformed, or out of 1 to `largest`."""
    match = _RANGE.fullmatch(spec)
    least, most = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= least <= most <= largest:
        raise RequestError(f"{spec!r}: expected a whole number from 1 to {largest}, or a range such as 3..8")
    return least, most


_CANVAS = re.compile(r"([0-9]{1,5})x([0-9]{1,5})", re.IGNORECASE)


def canvas_of(spec: str | None, longest: int, size: int, spacing: int) -> tuple[int, int]:
    """Parse a canvas such as 256x64; without one, return one for a text with `longest` characters.

    Raises RequestError if it is malformed, too large, or too small for a digit.
    """
    match = None if spec is None else _CANVAS.fullmatch(spec)
    width, height = usual_canvas(longest, size, spacing) if spec is None else (int(match[1]), int(match[2])) if match else (0, 0)
    if not (size <= width <= LARGEST_CANVAS and size <= height <= LARGEST_CANVAS):
        found = f"{width}x{height} pixels for {longest} characters" if spec is None else repr(spec)
        raise RequestError(f"{found}: expected WIDTHxHEIGHT from {size}, the size of a digit, to {LARGEST_CANVAS} pixels")
    return width, height


def jitter_units_of(jitter: float) -> int:
    """Return a jitter in JITTER_UNITS. Raises RequestError unless it is 0 to 1."""
    if not 0 <= jitter <= 1:  # nor is nan
        raise RequestError(f"jitter {jitter} is out of range: expected 0 to 1")
    return round(jitter * JITTER_UNITS)


def paper_of(background: str, size: int, canvas: tuple[int, int], noise: int, ink: tuple[int, int]) -> Paper:
    """Return the paper. Raises RequestError if a picture cannot be read, or is smaller than the canvas."""
    if background.isdecimal() and background.isascii():
        if len(background) > 3 or int(background) > 255:
            raise RequestError(f"grey level {background[:9]} is out of range: expected 0 to 255")
        return Paper(level=int(background), noise=noise, ink_percent=ink)
    if background in set(Ruling):
        return Paper(PAPER_LEVEL, Ruling(background), size // 2, noise=noise, ink_percent=ink)
    return Paper(picture=read_picture(Path(background), canvas), noise=noise, ink_percent=ink)
