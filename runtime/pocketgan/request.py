"""What one call of gan-gen draws, and parsers of options: digits, texts, grids, ranges and canvases.

Classes have the names in the model card: "0" to "9" for digits. A range such as 0-4 names classes that are whole numbers.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from reprlib import repr as shortened
from typing import TYPE_CHECKING

from pocketgan.address import ImageRange, images_of_rows
from pocketgan.errors import RequestError

if TYPE_CHECKING:
    from pocketgan.model.card import ModelCard


LARGEST_HEIGHT = 512
"""The most pixels that images may be scaled to: batches of larger ones would take too much memory."""

CLASSES_OF_CHARACTERS = {"/": "slash", ".": "point", ",": "comma", ":": "colon", "-": "dash", "+": "plus"}
"""The classes that these characters stand for in a text, since names of classes are letters and digits."""


class Existing(StrEnum):
    """What to do with files that exist already."""

    refuse = "refuse"
    overwrite = "overwrite"
    resume = "resume"
    """Keep them if they are from the same run, and complete it."""


@dataclass(frozen=True)
class Selection:
    """Which images or rows of text to draw, and how they look. Their pixels depend on this and the model alone.

    Names are as `parse_digits` returns them, and text as `parse_text` accepts it.
    """

    rows: ImageRange
    """The images, or the rows of text, and the hand and the traits that they are drawn with."""
    names: tuple[str, ...] | None
    """Names of the classes to draw in turn, or the characters of the text; None for all classes of the model."""
    text: str | None
    """What each row shows, one image for each character; None for single images."""
    height: int | None
    """Height that images are scaled to, in pixels; None for the model's own."""
    is_inverted: bool

    def __post_init__(self) -> None:
        """Raise RequestError if a row has an image whose index is out of range."""
        self.images(self.indices)

    @property
    def indices(self) -> range:
        """The indices of all images or rows."""
        return self.rows.indices

    @property
    def row_length(self) -> int:
        """How many images of the model stand side by side: one for each character of a text."""
        return 1 if self.text is None else len(self.text)

    def images(self, indices: range) -> ImageRange:
        """Return the images of the model that consecutive images or rows of this selection consist of."""
        return images_of_rows(self.rows._replace(indices=indices), self.row_length)


@dataclass(frozen=True)
class Grid:
    """The columns and rows of a sheet of images."""

    columns: int
    rows: int

    def __str__(self) -> str:
        return f"{self.columns}x{self.rows}"


_GRID = re.compile(r"([1-9][0-9]{0,3})x([1-9][0-9]{0,3})", re.IGNORECASE)


def parse_grid(spec: str) -> Grid:
    """Parse a grid such as `10x5`: ten columns, five rows. Raises RequestError if it is malformed."""
    match = _GRID.fullmatch(spec)
    if not match:
        raise RequestError(f"{shortened(spec)} is not a grid: expected columns and rows of 1 to 9999 each, such as 10x10")
    return Grid(int(match[1]), int(match[2]))


_WHOLE_RANGE = re.compile(r"([0-9]{1,4})(?:\.\.([0-9]{1,4}))?")


def parse_whole_range(spec: str) -> tuple[int, int]:
    """Parse a whole number such as `5`, or a range such as `3..8`. Raises RequestError if it is malformed."""
    match = _WHOLE_RANGE.fullmatch(spec)
    if not match:
        raise RequestError(f"{shortened(spec)} is not a range: expected a whole number, or a range such as 3..8")
    return int(match[1]), int(match[2] or match[1])


_CANVAS = re.compile(r"([0-9]{1,5})x([0-9]{1,5})", re.IGNORECASE)


def parse_canvas(spec: str) -> tuple[int, int]:
    """Parse width and height in pixels, such as `256x64`. Raises RequestError if they are malformed."""
    match = _CANVAS.fullmatch(spec)
    if not match:
        raise RequestError(f"{shortened(spec)} is not a canvas: expected WIDTHxHEIGHT in pixels, such as 256x64")
    return int(match[1]), int(match[2])


MOST_ENTRIES = 1000
"""The most classes that a specification may name, counting repetitions."""

LONGEST_TEXT = 32
"""Characters in one row of text."""

_NAME = re.compile(r"[0-9A-Za-z]{1,32}")
_RANGE = re.compile(r"(0|[1-9][0-9]{0,8})-(0|[1-9][0-9]{0,8})")
_MOST_NAMES_SHOWN = 100


def parse_digit(name: str) -> tuple[str, ...]:
    """Return the name as a tuple of one. Raises RequestError unless it has 1 to 32 characters, all ASCII letters or digits."""
    if not _NAME.fullmatch(name):
        raise RequestError(f"{shortened(name)} is not a class: expected one name, such as 7; --digits takes several")
    return (name,)


def parse_digits(spec: str) -> tuple[str, ...]:
    """Parse a list of class names and ranges such as "0-4,7", with both ends of a range included.

    Order and repetitions are kept: "0,0,1" draws two images of class 0 for each of class 1. Raises RequestError if the
    specification is malformed or names more than MOST_ENTRIES classes.
    """
    names: list[str] = []
    for entry in spec.split(","):
        if ends := _RANGE.fullmatch(entry):
            first, last = int(ends[1]), int(ends[2])
            if first > last:
                raise RequestError(f"the range {entry} runs backwards: expected {last}-{first}")
            # A huge range is cut off one name above the limit, which is enough to refuse it.
            names += map(str, range(first, min(last, first + MOST_ENTRIES) + 1))
        elif _NAME.fullmatch(entry):
            names.append(entry)
        else:
            raise RequestError(
                f"{shortened(entry)} is neither a class nor a range: expected names and ranges with commas between, such as 0-4,7"
            )
        if len(names) > MOST_ENTRIES:
            raise RequestError(f"{shortened(spec)} names too many classes: expected at most {MOST_ENTRIES:,}")
    return tuple(names)


def parse_text(text: str) -> tuple[str, ...]:
    """Return the class names of a row of text. Raises RequestError if it is empty or too long."""
    if not 1 <= len(text) <= LONGEST_TEXT:
        raise RequestError(f"the text {shortened(text)} has {len(text)} characters: expected 1 to {LONGEST_TEXT}")
    return names_of_characters(text)


def names_of_characters(characters: Iterable[str]) -> tuple[str, ...]:
    """Return the class name of each character: itself, for letters and digits."""
    return tuple(CLASSES_OF_CHARACTERS.get(character, character) for character in characters)


def labels_of_names(card: "ModelCard", names: Sequence[str]) -> tuple[int, ...]:
    """Return the labels of classes by their names. Raises RequestError if the model lacks one of them."""
    if not card.classes:
        raise RequestError(
            f"model {card.name} has no classes: it cannot draw chosen digits or text; choose another one, such as --model pocket"
        )
    label_of_name = dict(zip(card.classes, card.labels, strict=True))
    for name in names:
        if name not in label_of_name:
            more = len(card.classes) - _MOST_NAMES_SHOWN
            known = ", ".join(card.classes[:_MOST_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
            remedy = "; the bundled --model pocket draws digits" if re.fullmatch("[0-9]", name) else ""
            raise RequestError(f"model {card.name} has no class {name!r}: its classes are {known}{remedy}")
    return tuple(label_of_name[name] for name in names)
