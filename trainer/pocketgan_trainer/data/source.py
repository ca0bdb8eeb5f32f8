"""The request to a source of images, what it returns, and the checks that all sources share: counts, variety, classes."""

import re
import textwrap
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as shortened

import numpy as np
from numpy.typing import NDArray

from pocketgan.address import MOST_CLASSES
from pocketgan.model.card import LARGEST_LABEL, LONGEST_CLASS, labels_in_names
from pocketgan_trainer.errors import DataError

FEWEST_IMAGES = 200
FEWEST_DISTINCT = 10
"""Of images that differ from each other."""
LARGEST_CONTENTS = 2**30
"""In bytes, of all images of one source: 20 times MNIST."""
MOST_IMAGES = LARGEST_CONTENTS // 32**2
"""So that they fit into memory at 32x32."""
LONGEST_DATA_SET = 40
PICTURE_FORMATS = {"PNG": (".png",), "JPEG": (".jpg", ".jpeg"), "BMP": (".bmp",), "GIF": (".gif",), "WEBP": (".webp",)}
"""The formats of pictures that are read, as Pillow calls them, and how the names of such files end."""
_SHOWN = 5


@dataclass(frozen=True)
class WantedImages:
    """Which images are wanted of a source."""

    fewest: int = FEWEST_IMAGES
    """Fewer are refused."""
    shape: tuple[int, int] | None = None
    """Their height and width, and then pictures must be grey; None if any will do."""
    classes: tuple[str, ...] | None = None
    """The only class names that are accepted; None if any will do."""
    formats: tuple[str, ...] = tuple(PICTURE_FORMATS)
    """Of pictures: keys of PICTURE_FORMATS."""

    def check_count(self, count: int, where: object) -> None:
        """Raise DataError, which says `where` they are, if there are too few or too many images."""
        if count < self.fewest:
            noun = "image" if count == 1 else "images"
            raise DataError(f"{where} holds {count:,} {noun}: expected at least {self.fewest}, better 2,000; add more")
        if count > MOST_IMAGES:
            raise DataError(f"{where} holds {count:,} images: expected at most {MOST_IMAGES:,}; take a part of them")


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
class NamedClasses:
    """Classes as a model card names them, and the class of each image; without arguments there are none."""

    names: tuple[str, ...] = ()
    labels: NDArray[np.int64] | None = None
    """[N], each below `len(names)`; None if there are no classes."""
    notes: tuple[str, ...] = ()
    """On names that were changed."""
    class_labels: tuple[int, ...] | None = None
    """The numbers that the data gives the classes, where their names do not say them: see `ModelCard.labels`."""


@dataclass(frozen=True, eq=False)
class ImageSource:
    """Images before they have the size that a network takes."""

    name: str
    """Of the data set: lower-case letters, digits, hyphens."""
    classes: NamedClasses
    kinds: Mapping[PictureKind, int]
    """How many pictures there are of each kind."""
    pictures: Iterable[NDArray[np.uint8]]
    """N grey pictures [H, W]: an array [N, H, W], or read one after the other, once. Raises DataError if one is damaged."""
    notes: tuple[str, ...] = ()
    """Warnings for the user, a sentence each."""
    is_published: bool = False
    """Whether these are exactly the images of a known data set, whose layout stays unchanged."""

    @property
    def count(self) -> int:
        """The number of pictures."""
        return sum(self.kinds.values())


def array_source(name: str, images: NDArray[np.integer], classes: NamedClasses, is_published: bool = False) -> ImageSource:
    """Return grey images [N, H, W] or [N, H, W, 1], 0 to 255, as a source."""
    count, height, width = images.shape[:3]
    pixels = np.ascontiguousarray(images.reshape(count, height, width), dtype=np.uint8)
    kinds = {PictureKind(width, height, "grey"): count}
    return ImageSource(name, classes, kinds, pixels, notes=classes.notes, is_published=is_published)


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


def name_classes(values: NDArray[np.generic] | Sequence[str], where: Path) -> NamedClasses:
    """Return the classes of images with these labels [N]: whole numbers from 0 on, named by their digits, or names.

    Classes are in alphabetical order, or in that of their numbers if all names are numbers. Raises DataError as `class_names`
    does, and if a number is negative or a name is no text.
    """
    if isinstance(values, np.ndarray):
        # A text for each label, of which there may be a million, would take a hundred times their memory.
        distinct, places = np.unique(values, return_inverse=True)
        check_class_count(len(distinct), where)
        _check_numbers(distinct, where)
        try:
            originals = [
                value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in distinct.tolist()
            ]
        except (ValueError, SystemError) as error:  # numpy's, of numbers that are no characters
            message = f"{where} has labels that are no text: expected names of classes; save them again"
            raise DataError(message) from error
    else:
        originals = list(set(values))
        check_class_count(len(originals), where)
        place_of = {name: place for place, name in enumerate(originals)}
        places = np.array([place_of[name] for name in values])
    are_numbers = all(name.isascii() and name.isdecimal() for name in originals)
    order = sorted(range(len(originals)), key=lambda place: (int(originals[place]) if are_numbers else 0, originals[place]))
    ordered = [originals[place] for place in order]
    names = class_names(ordered, where)
    return NamedClasses(names, np.argsort(order).astype(np.int64)[places], _renaming_notes(ordered, names))


def name_numbered_classes(labels: NDArray[np.integer], names: Mapping[int, str], where: Path) -> NamedClasses:
    """Return the classes of images with these labels [N], in the order of their numbers, of which `names` has the names.

    Raises DataError as `class_names` does, and for a number that is negative or has no name.
    """
    values, places = np.unique(labels, return_inverse=True)
    check_class_count(len(values), where)
    _check_numbers(values, where)
    numbers: list[int] = values.tolist()
    if (absent := next((number for number in numbers if number not in names), None)) is not None:
        raise DataError(
            f"{where} has images of label {absent}, for which there is no name: expected one for each; fetch it again"
        )
    originals = [names[number] for number in numbers]
    fit = class_names(originals, where)
    # A card needs no word of labels that its names or places say anyway, and holds none that are larger.
    is_needed = tuple(numbers) != (labels_in_names(fit) or tuple(range(len(fit)))) and numbers[-1] <= LARGEST_LABEL
    return NamedClasses(fit, places.astype(np.int64), _renaming_notes(originals, fit), tuple(numbers) if is_needed else None)


def class_names(names: Sequence[str], where: Path) -> tuple[str, ...]:
    """Return a name fit for a model card for each name: its ASCII letters and digits, without accents, at most 32.

    Raises DataError, which names `where` they come from, if nothing is left of one, or if two become equal.
    """
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


def check_class_count(count: int, where: Path) -> None:
    """Raise DataError if there are more classes than a model card may hold."""
    if count > MOST_CLASSES:
        message = f"{where} has {count:,} classes: expected at most {MOST_CLASSES:,}; join some, or leave labels out"
        raise DataError(message)


def _check_numbers(distinct: NDArray[np.generic], where: Path) -> None:
    if np.issubdtype(distinct.dtype, np.integer) and len(distinct) and int(distinct[0]) < 0:
        message = f"{where} has labels from {distinct[0]} on: expected whole numbers from 0 on; leave those images out"
        raise DataError(message)


def _renaming_notes(names: Sequence[str], fit_names: Sequence[str]) -> tuple[str, ...]:
    """Return a note on those names that were changed, if any were."""
    changed = [f"{textwrap.shorten(name, 80)} became {fit}" for name, fit in zip(names, fit_names, strict=True) if name != fit]
    if not changed:
        return ()
    rest = f", and {len(changed) - _SHOWN:,} more" if len(changed) > _SHOWN else ""
    return (f"Class names were reduced to ASCII letters and digits: {', '.join(changed[:_SHOWN])}{rest}.",)


def data_set_name(text: str) -> str:
    """Return the name of a data set made from a folder's or file's: lower-case letters, digits, single hyphens, at most 40.

    The name is `images` if nothing is left.
    """
    return re.sub("[^a-z0-9]+", "-", _ascii(text).lower()).strip("-")[:LONGEST_DATA_SET].strip("-") or "images"


def _ascii(text: str) -> str:
    """Return the text without accents and without all other letters that are not ASCII."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
