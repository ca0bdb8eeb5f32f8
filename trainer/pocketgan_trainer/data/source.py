"""What every source of training images returns, and the checks that all of them share: counts, variety, class names."""

import re
import textwrap
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as shortened

import numpy as np
from numpy.typing import NDArray

from pocketgan.model.card import LARGEST_LABEL, labels_in_names
from pocketgan_trainer.errors import DataError


@dataclass(frozen=True, order=True)
class PictureKind:
    """What a picture is before it is converted."""

    width: int
    height: int
    colours: str
    """In words, such as `grey`."""
    is_animated: bool = False
    """Whether it has more frames than the first, which alone is read."""

    def __str__(self) -> str:
        return f"{self.width}x{self.height} ({self.colours}{', animated' if self.is_animated else ''})"


@dataclass(frozen=True, eq=False)
class ImageSource:
    """Images before they have the size that a network takes."""

    name: str
    """Of the data set: lower-case letters, digits, hyphens."""
    classes: tuple[str, ...]
    """By label, fit for a model card; empty if there are no labels."""
    labels: NDArray[np.int64] | None
    """[N], each below `len(classes)`."""
    kinds: Mapping[PictureKind, int]
    """How many pictures there are of each kind."""
    pictures: Iterable[NDArray[np.uint8]]
    """N grey pictures [H, W]: an array [N, H, W], or read one after the other, once. Raises DataError if one is damaged."""
    notes: tuple[str, ...] = ()
    """Warnings for the user, a sentence each."""
    class_labels: tuple[int, ...] | None = None
    """The numbers that the data gives the classes, where their names do not say them: see `own_labels`."""
    is_published: bool = False
    """Whether these are the very images of a known data set, which need neither checks nor another layout."""

    @property
    def count(self) -> int:
        """The number of pictures."""
        return sum(self.kinds.values())


def array_kinds(images: NDArray[np.uint8]) -> dict[PictureKind, int]:
    """Return the one kind of the images of an array [N, H, W]."""
    count, height, width = images.shape
    return {PictureKind(width, height, "grey"): count}


MOST_CLASSES = 1000
LONGEST_CLASS = 32
LONGEST_DATA_SET = 40
RESERVED = ("mnist", "fashion-mnist", "kmnist")
"""Names that only the published data sets bear, because more is known of those."""
_SHOWN = 5


@dataclass(frozen=True, eq=False)
class NamedClasses:
    """Classes as a model card names them, and which of them each image is of."""

    names: tuple[str, ...]
    labels: NDArray[np.int64]
    """[N], each below `len(names)`."""
    notes: tuple[str, ...]
    """On names that became others."""


def name_classes(values: NDArray[np.generic], where: Path) -> NamedClasses:
    """Return the classes of images with these labels [N]: whole numbers from 0 on, named by their digits, or names.

    Raises DataError as `class_names` does, and if a number is negative or a name is no text.
    """
    # A text for each label, of which there may be a million, would take a hundred times their memory.
    distinct, places = np.unique(values, return_inverse=True)
    check_classes(len(distinct), where)
    if np.issubdtype(distinct.dtype, np.integer) and int(distinct[0]) < 0:
        message = f"{where} has labels from {distinct[0]} on: expected whole numbers from 0 on; leave those images out"
        raise DataError(message)
    try:
        originals = [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in distinct.tolist()]
    except (ValueError, SystemError) as error:  # numpy's, of numbers that are no characters
        message = f"{where} has labels that are no text: expected names of classes; save them again"
        raise DataError(message) from error
    ordered = in_order(originals)
    names = class_names(ordered, where)
    return NamedClasses(names, number_labels(originals, ordered)[places], renaming_notes(ordered, names))


def own_labels(names: Sequence[str], numbers: Sequence[int]) -> tuple[int, ...] | None:
    """Return the numbers that data gives to classes of these names, or None where a model card needs no word of them.

    That is where they are what the card's `labels` are anyway, or more than a card may hold.
    """
    anyway = labels_in_names(names) or tuple(range(len(names)))
    return None if tuple(numbers) == anyway or max(numbers) > LARGEST_LABEL else tuple(numbers)


def check_classes(count: int, where: Path) -> None:
    """Raise DataError if there are more classes than a model card may hold."""
    if count > MOST_CLASSES:
        message = f"{where} has {count:,} classes: expected at most {MOST_CLASSES:,}; join some, or leave labels out"
        raise DataError(message)


def class_names(names: Sequence[str], where: Path) -> tuple[str, ...]:
    """Return a name fit for a model card for each name: its ASCII letters and digits, without accents, at most 32.

    Raises DataError, which names `where` they come from, if nothing is left of one, if two become equal, or if there are more
    than 1000.
    """
    check_classes(len(names), where)
    originals: dict[str, str] = {}
    for name in names:
        fit = "".join(letter for letter in _ascii(name) if letter.isalnum())[:LONGEST_CLASS]
        if not fit:
            message = f"{where} has a class {shortened(name)}: expected ASCII letters or digits in its name; rename it"
            raise DataError(message)
        if fit in originals:
            both = f"{shortened(originals[fit])} and {shortened(name)}"
            message = f"{where} has classes {both}, which are both {fit} in a model card; rename one"
            raise DataError(message)
        originals[fit] = name
    return tuple(originals)


def renaming_notes(names: Sequence[str], fit_names: Sequence[str]) -> tuple[str, ...]:
    """Return a note on those names that became others, if any did."""
    changed = [f"{textwrap.shorten(name, 80)} became {fit}" for name, fit in zip(names, fit_names, strict=True) if name != fit]
    if not changed:
        return ()
    rest = f", and {len(changed) - _SHOWN:,} more" if len(changed) > _SHOWN else ""
    return (f"Class names were reduced to ASCII letters and digits: {', '.join(changed[:_SHOWN])}{rest}.",)


def in_order(names: Sequence[str]) -> list[str]:
    """Return names sorted, by their value if all are numbers: 10 after 9."""
    if all(name.isascii() and name.isdecimal() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def number_labels(names: Sequence[str], ordered: Sequence[str]) -> NDArray[np.int64]:
    """Return the place of each of `names` [N] among `ordered`: int64 [N]."""
    places = {name: place for place, name in enumerate(ordered)}
    return np.array([places[name] for name in names], dtype=np.int64)


def data_set_name(text: str) -> str:
    """Return the name of a data set made from a folder's or file's: lower-case letters, digits, single hyphens, at most 40.

    What would be a published data set's name gets `my-` before it; `images` stands for what leaves nothing.
    """
    slug = re.sub("[^a-z0-9]+", "-", _ascii(text).lower()).strip("-")[:LONGEST_DATA_SET].strip("-") or "images"
    return f"my-{slug}" if slug in RESERVED else slug


def _ascii(text: str) -> str:
    """Return the text without accents and without all other letters that are not ASCII."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")


FEWEST_IMAGES = 200
FEWEST_DISTINCT = 10
"""Images that differ from each other, however many there are in all."""
LARGEST_CONTENTS = 2**30
"""In bytes, of all images of one file: 20 times MNIST."""
MOST_IMAGES = LARGEST_CONTENTS // 32**2
"""So that they fit into memory at 32x32."""


def check_count(count: int, where: str, fewest: int = FEWEST_IMAGES) -> None:
    """Raise DataError, which says `where` they are, if there are fewer images than `fewest` or too many."""
    if count < fewest:
        noun = "image" if count == 1 else "images"
        message = f"{where} holds {count:,} {noun}: expected at least {fewest}, better 2,000; add more"
        raise DataError(message)
    if count > MOST_IMAGES:
        message = f"{where} holds {count:,} images: expected at most {MOST_IMAGES:,}; take a part of them"
        raise DataError(message)


def check_variety(images: NDArray[np.uint8], where: str) -> None:
    """Raise DataError if hardly any of the images [N, S, S] differ."""
    distinct: set[bytes] = set()
    for image in images:
        distinct.add(image.tobytes())
        if len(distinct) == FEWEST_DISTINCT:
            return
    if len(distinct) == 1:
        found = f"all {len(images):,} images of {where} are {'equal' if images.any() else 'black'}"
    else:
        found = f"the {len(images):,} images of {where} are only {len(distinct)} different ones, repeated"
    message = f"{found}: expected at least {FEWEST_DISTINCT} different ones; check how they were made, or add others"
    raise DataError(message)
