"""Names: of classes, made fit for a model card, and of data sets, made fit for a run folder."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.errors import DataError

MOST_CLASSES = 1000
LONGEST_CLASS = 32
LONGEST_DATA_SET = 40
RESERVED = ("mnist", "fashion-mnist", "kmnist")
"""Names that only the published data sets bear, because more is known of those."""
_SHOWN = 5


def class_names(names: Sequence[str], where: Path) -> tuple[str, ...]:
    """Return a name fit for a model card for each name: its ASCII letters and digits, without accents, at most 32.

    Raises DataError, which names `where` they come from, if nothing is left of one, if two become equal, or if there are more
    than 1000.
    """
    if len(names) > MOST_CLASSES:
        message = f"{where} has {len(names):,} classes: expected at most {MOST_CLASSES:,}; join some, or leave labels out"
        raise DataError(message)
    originals: dict[str, str] = {}
    for name in names:
        fit = "".join(letter for letter in _ascii(name) if letter.isalnum())[:LONGEST_CLASS]
        if not fit:
            message = f"{where} has a class {name!r}: expected ASCII letters or digits in its name; rename it"
            raise DataError(message)
        if fit in originals:
            message = f"{where} has classes {originals[fit]!r} and {name!r}, which are both {fit} in a model card; rename one"
            raise DataError(message)
        originals[fit] = name
    return tuple(originals)


def renaming_notes(names: Sequence[str], fit_names: Sequence[str]) -> tuple[str, ...]:
    """Return a note on those names that became others, if any did."""
    changed = [f"{name} became {fit}" for name, fit in zip(names, fit_names, strict=True) if name != fit]
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
