"""The paper that numbers are written on: plain, lined or squared, or a picture; noise; and the ink.

All of it comes from the address of an image, in whole numbers.
"""

import hashlib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgan.address import Stream
from pocketgan.errors import RequestError, suggestion
from pocketgan.files import open_regular_file
from pocketgan.latents import TICKS_OF_ONE, normal_ticks
from pocketgan.write.layout import Glyph
from pocketgan.write.options import Ruling

_BLOCKS_OF_AN_IMAGE = 2**21  # the most pixels of a canvas, 2**24, take a sixteenth as many, and one more is for the rest
PAPER_LEVEL = 236
LINE_LEVEL = 176
_FULL_INK = 100
_MOST_PICTURE_PIXELS = 2**25
_PICTURE_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")


@dataclass(frozen=True)
class Paper:
    """What numbers are written on, and how dark."""

    level: int = 0
    """Grey level of the paper, 0 to 255, where nothing is printed."""
    ruling: Ruling | None = None
    distance: int = 0
    """Pixels between the lines of squares."""
    picture: NDArray[np.uint8] | None = field(default=None, compare=False)
    """A picture of which the paper is a part, uint8 [H, W]; None for paper of one level."""
    noise: int = 0
    """Standard deviation of noise, in grey levels."""
    ink_percent: tuple[int, int] = (_FULL_INK, _FULL_INK)
    """The least and the most strength of ink; each image has its own."""

    @property
    def sha256(self) -> str | None:
        """Digest of the picture's pixels, in hexadecimal; None without a picture."""
        if self.picture is None:
            return None
        return hashlib.sha256(repr(self.picture.shape).encode() + self.picture.tobytes()).hexdigest()


def on_paper(
    paper: Paper, seed: int, image: int, size: tuple[int, int], digits: Iterable[Glyph], lines: range = range(0)
) -> NDArray[np.uint8]:
    """Return an image uint8 [H, W] of digits on paper: each is white where that is dark, black where it is light.

    `size` is its height and width; `lines` are the rows of printed lines, on lined paper.
    """
    height, width = size
    key, block = Stream.papers.key(seed), image * _BLOCKS_OF_AN_IMAGE
    words = np.random.Philox(key=key, counter=block).random_raw(4).tolist()
    levels = _blank(paper, height, width, words[0], words[1], lines).astype(np.int32)
    ink, of_ink = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    for digit in digits:
        part = digit.part(ink)
        of_ink_here = 255 if digit.part(levels).mean() < 128 else 0
        digit.part(of_ink)[digit.ink > part] = of_ink_here
        np.maximum(part, digit.ink, out=part)
    if paper.noise:
        ticks = normal_ticks(key, block + 1, height * width).reshape(height, width)
        levels = (levels + (paper.noise * ticks.astype(np.int32) + TICKS_OF_ONE // 2) // TICKS_OF_ONE).clip(0, 255)
    least, most = paper.ink_percent
    strength = least + words[2] * (most - least + 1) // 2**64
    covered = ink.astype(np.int32) * strength
    whole = 255 * _FULL_INK
    mixed: NDArray[np.int32] = (levels * (whole - covered) + of_ink * covered + whole // 2) // whole
    return mixed.astype(np.uint8)


def _blank(paper: Paper, height: int, width: int, down: int, right: int, lines: range) -> NDArray[np.uint8]:
    """Return paper without ink, uint8 [height, width]; two random numbers below 2**64 say which part of it."""
    if paper.picture is not None:
        top, left = (
            number * (most - size + 1) >> 64
            for number, most, size in zip((down, right), paper.picture.shape, (height, width), strict=True)
        )
        return paper.picture[top : top + height, left : left + width]
    blank = np.full((height, width), paper.level, np.uint8)
    line = paper.level * LINE_LEVEL // PAPER_LEVEL
    if paper.ruling is Ruling.lines:
        blank[list(lines)] = line
    if paper.ruling is Ruling.squares:
        blank[down * paper.distance >> 64 :: paper.distance] = line
        blank[:, right * paper.distance >> 64 :: paper.distance] = line
    return blank


def read_picture(path: Path, canvas: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a picture in grey, uint8 [H, W]; what is transparent is white.

    Raises RequestError if it cannot be read, has more than 8 bits, or is smaller than the canvas.
    """
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings(), open_regular_file(path) as file:
            warnings.simplefilter("error", Image.DecompressionBombWarning)  # more pixels than are allowed here
            with Image.open(file, formats=_PICTURE_FORMATS) as picture:
                if picture.mode.startswith(("I", "F")):
                    raise RequestError(f"{path} has more than 8 bits for a pixel: expected a picture with 8")
                if picture.width * picture.height > _MOST_PICTURE_PIXELS:
                    raise RequestError(f"{path} has too many pixels: expected at most {_MOST_PICTURE_PIXELS:,}")
                seen = ImageOps.exif_transpose(picture)
                if "A" in seen.getbands() or "transparency" in seen.info:
                    seen = seen.convert("LA")
                    white = Image.new("L", seen.size, 255)
                    white.paste(seen.getchannel("L"), mask=seen.getchannel("A"))
                    seen = white
                pixels: NDArray[np.uint8] = np.asarray(seen.convert("L"))
    except RequestError:  # a ValueError too
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        why = "it has too many pixels" if isinstance(error, Warning | Image.DecompressionBombError) else "it is not a picture"
        why = (error.strerror if isinstance(error, OSError) else None) or why
        expected = "expected lines, squares, a grey level, or a PNG, JPEG, TIFF, BMP or WebP file" + suggestion(str(path), Ruling)
        raise RequestError(f"cannot read the picture {path}: {why}; {expected}") from error
    height, width = pixels.shape
    if width < canvas[0] or height < canvas[1]:
        raise RequestError(f"{path} has {width}x{height} pixels: expected at least the canvas's {canvas[0]}x{canvas[1]}")
    return pixels
