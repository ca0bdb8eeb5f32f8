"""The paper that numbers are written on: plain, lined or squared, or a picture; noise; and the ink.

All of it comes from the address of an image, in whole numbers.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgan.address import SEED_LIMIT
from pocketgan.errors import RequestError, first_line
from pocketgan.files import open_regular_file
from pocketgan.latents import TICKS_OF_ONE, normal_ticks

_KEY_OF_PAPER = 7 * SEED_LIMIT
"""What is added to the key of the random numbers, see `latents`."""
_BLOCKS_OF_AN_IMAGE = 2**21  # the most pixels of a canvas, 2**24, take a sixteenth as many, and one more is for the rest
PAPER_LEVEL = 236
LINE_LEVEL = 176
_FULL_INK = 100
_MOST_PICTURE_PIXELS = 2**26


class Ruling(StrEnum):
    """Printed paper."""

    lines = "lines"
    squares = "squares"


@dataclass(frozen=True)
class Paper:
    """What numbers are written on, and how dark."""

    level: int = 0
    """Grey level of the paper, 0 to 255, where nothing is printed."""
    ruling: Ruling | None = None
    distance: int = 0
    """Pixels between printed lines."""
    picture: NDArray[np.uint8] | None = field(default=None, compare=False)
    """A picture of which the paper is a part, uint8 [H, W]; None for paper of one level."""
    noise: int = 0
    """Standard deviation of noise, in grey levels."""
    ink_percent: tuple[int, int] = (_FULL_INK, _FULL_INK)
    """The least and the most strength of ink; each image has its own."""


def on_paper(paper: Paper, seed: int, image: int, ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image uint8 [H, W] of ink, how much of each pixel it covers, on paper: white on dark paper, black on light."""
    height, width = ink.shape
    key, block = _KEY_OF_PAPER + seed, image * _BLOCKS_OF_AN_IMAGE
    words = np.random.Philox(key=key, counter=block).random_raw(4).tolist()
    levels = _blank(paper, height, width, words[0], words[1]).astype(np.int32)
    if paper.noise:
        ticks = normal_ticks(key, block + 1, height * width).reshape(height, width)
        levels = (levels + paper.noise * ticks.astype(np.int32) // TICKS_OF_ONE).clip(0, 255)
    least, most = paper.ink_percent
    strength = least + words[2] * (most - least + 1) // 2**64
    of_ink = 255 if levels.mean() < 128 else 0
    covered = ink.astype(np.int32) * strength
    whole = 255 * _FULL_INK
    mixed: NDArray[np.int32] = (levels * (whole - covered) + of_ink * covered + whole // 2) // whole
    return mixed.astype(np.uint8)


def _blank(paper: Paper, height: int, width: int, down: int, right: int) -> NDArray[np.uint8]:
    """Return paper without ink, uint8 [height, width]; two random numbers below 2**64 say which part of it."""
    if paper.picture is not None:
        top, left = (
            number * (most - size + 1) >> 64
            for number, most, size in zip((down, right), paper.picture.shape, (height, width), strict=True)
        )
        return paper.picture[top : top + height, left : left + width]
    blank = np.full((height, width), paper.level, np.uint8)
    line = paper.level * LINE_LEVEL // PAPER_LEVEL
    if paper.ruling is not None:
        blank[down * paper.distance >> 64 :: paper.distance] = line
    if paper.ruling is Ruling.squares:
        blank[:, right * paper.distance >> 64 :: paper.distance] = line
    return blank


def read_picture(path: Path, canvas: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a picture in grey, uint8 [H, W]. Raises RequestError if it cannot be read, or is smaller than the canvas."""
    from PIL import Image

    try:
        with open_regular_file(path) as file, Image.open(file) as picture:
            width, height = picture.size
            is_usable = canvas[0] <= width and canvas[1] <= height and width * height <= _MOST_PICTURE_PIXELS
            pixels = np.asarray(picture.convert("L")) if is_usable else None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # Pillow's, for files that are no pictures
        why = (error.strerror if isinstance(error, OSError) else None) or first_line(error)
        raise RequestError(
            f"cannot read the picture {path}: {why}; expected lines, squares, a grey level, or a picture"
        ) from error
    if pixels is None:
        raise RequestError(
            f"{path} has {width}x{height} pixels: expected at least the canvas's {canvas[0]}x{canvas[1]}, and at most "
            f"{_MOST_PICTURE_PIXELS:,} in all"
        )
    return pixels
