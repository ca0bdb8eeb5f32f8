"""The request of one call of gan-gen: which images, and the parsers of its options for digits, text and grids.

Classes are named as in the model card: "0" to "9" for digits. A range stands for names that are whole numbers.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from reprlib import repr as shortened
from typing import TYPE_CHECKING

from pocketgan.address import TRUNCATION_UNITS, ImageRange, image_range, images_of_rows
from pocketgan.errors import RequestError

if TYPE_CHECKING:
    from pocketgan.model.card import ModelCard


LARGEST_HEIGHT = 512
"""Pixels that images may be enlarged to: batches of larger ones would take too much memory."""


class Existing(StrEnum):
    """What is done about files that exist already."""

    refuse = "refuse"
    overwrite = "overwrite"
    resume = "resume"
    """They are kept if they are of the same run, which is then completed."""


@dataclass(frozen=True)
class Selection:
    """Which images, or rows of text, and what they look like: with the model, all that their pixels depend on.

    Names and text are as the parsers below return and accept them.
    """

    seed: int
    start: int
    """Index of the first image or row."""
    count: int
    names: tuple[str, ...] | None
    """Names of the classes that are drawn in turn, those of a text are its characters; None for all of the model's."""
    text: str | None
    """What each row shows, one image a character; None for images."""
    truncation_units: int
    """As `address.truncation_units` returns it."""
    height: int | None
    """Pixels that images are enlarged or reduced to; None for the model's own."""
    is_inverted: bool

    def __post_init__(self) -> None:
        """Raise RequestError if there are no such images or rows."""
        images_of_rows(image_range(self.seed, self.start, self.count), self.row_length)

    @property
    def indices(self) -> range:
        """The indices of all images or rows."""
        return range(self.start, self.start + self.count)

    @property
    def truncation(self) -> float:
        """The truncation that is really used: the nearest that latents can be scaled by exactly."""
        return self.truncation_units / TRUNCATION_UNITS

    @property
    def row_length(self) -> int:
        """How many of the model's images stand side by side in one that is drawn."""
        return 1 if self.text is None else len(self.text)

    def images(self, indices: range) -> ImageRange:
        """Return the model's images that consecutive indices of this selection stand for."""
        return images_of_rows(ImageRange(self.seed, indices, self.truncation_units), self.row_length)


@dataclass(frozen=True)
class Grid:
    """How many images a sheet shows."""

    columns: int
    rows: int

    def __str__(self) -> str:
        return f"{self.columns}x{self.rows}"


_GRID = re.compile(r"([1-9][0-9]{0,3})x([1-9][0-9]{0,3})", re.IGNORECASE)


def parse_grid(spec: str) -> Grid:
    """Return the grid that is written as `10x5`: ten columns, five rows. Raises RequestError if it is none."""
    match = _GRID.fullmatch(spec)
    if not match:
        raise RequestError(f"{shortened(spec)} is no grid: expected columns and rows of 1 to 9999 each, such as 10x10")
    return Grid(int(match[1]), int(match[2]))


MOST_ENTRIES = 1000
"""Entries that a specification may stand for."""

LONGEST_TEXT = 32
"""Characters in one row of text."""

_NAME = re.compile(r"[0-9A-Za-z]{1,32}")
_RANGE = re.compile(r"(0|[1-9][0-9]{0,8})-(0|[1-9][0-9]{0,8})")
_MOST_NAMES_SHOWN = 100


def parse_digit(name: str) -> tuple[str, ...]:
    """Return the class name alone. Raises RequestError if it cannot be one: 1 to 32 ASCII letters and digits."""
    if not _NAME.fullmatch(name):
        raise RequestError(f"{shortened(name)} is not a class: expected one name, such as 7; --digits takes several")
    return (name,)


def parse_digits(spec: str) -> tuple[str, ...]:
    """Return the class names of a specification: names and ranges such as 0-4, both ends included, with commas between.

    The order is kept, and so are names that come twice: "0,0,1" draws two of class 0 for each of class 1. Raises RequestError if
    the specification is malformed or stands for more than MOST_ENTRIES names.
    """
    names: list[str] = []
    for entry in spec.split(","):
        if ends := _RANGE.fullmatch(entry):
            first, last = int(ends[1]), int(ends[2])
            if first > last:
                raise RequestError(f"the range {entry} runs backwards: expected {last}-{first}")
            # Cut before it is written out: one entry too many is enough to refuse.
            names += map(str, range(first, min(last, first + MOST_ENTRIES) + 1))
        elif _NAME.fullmatch(entry):
            names.append(entry)
        else:
            raise RequestError(
                f"{shortened(entry)} is neither a class nor a range: expected names and ranges with commas between, such as 0-4,7"
            )
        if len(names) > MOST_ENTRIES:
            raise RequestError(f"{shortened(spec)} stands for too many classes: expected at most {MOST_ENTRIES:,}")
    return tuple(names)


def parse_text(text: str) -> tuple[str, ...]:
    """Return the class names that a row of text is drawn from: its characters. Raises RequestError if it is empty or too long."""
    if not 1 <= len(text) <= LONGEST_TEXT:
        raise RequestError(f"the text {shortened(text)} has {len(text)} characters: expected 1 to {LONGEST_TEXT}")
    return tuple(text)


def labels_of_names(card: "ModelCard", names: Sequence[str]) -> tuple[int, ...]:
    """Return the labels of classes by their names. Raises RequestError if the model has no classes, or not one of these."""
    if not card.classes:
        raise RequestError(f"model {card.name} has no classes: it draws neither chosen digits nor text; choose another model")
    label_of_name = dict(zip(card.classes, card.labels, strict=True))
    for name in names:
        if name not in label_of_name:
            more = len(card.classes) - _MOST_NAMES_SHOWN
            known = ", ".join(card.classes[:_MOST_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
            raise RequestError(f"model {card.name} has no class {name!r}: its classes are {known}")
    return tuple(label_of_name[name] for name in names)
