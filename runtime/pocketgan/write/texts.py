"""What numbers say: texts that are listed, or those of a pattern, each found by the number's address."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from reprlib import repr as shortened
from typing import BinaryIO, TypeAlias

import numpy as np

from pocketgan.address import Stream
from pocketgan.errors import RequestError
from pocketgan.files import open_regular_file
from pocketgan.request import CLASSES_OF_CHARACTERS, LONGEST_TEXT
from pocketgan.write.patterns import Pattern

GAP = " "
"""The character that leaves a gap."""

_MOST_CHOICES = 256
"""The most random numbers that a text is made of."""
_MOST_TEXTS = 1_000_000
_MOST_BYTES = 2**25


@dataclass(frozen=True)
class ListedTexts:
    """Texts that are given, in turn."""

    texts: tuple[str, ...]
    source: str = field(default="-", compare=False)
    """The file that they come from, or - for none."""

    @property
    def sha256(self) -> str:
        """Digest of all texts, in hexadecimal."""
        return hashlib.sha256("\n".join(self.texts).encode()).hexdigest()

    @property
    def longest(self) -> int:
        """The most characters of a text."""
        return max(map(len, self.texts))

    @property
    def characters(self) -> frozenset[str]:
        """All characters of all texts."""
        return frozenset("".join(self.texts))

    def text(self, number: int) -> str:
        """Return what a number says."""
        return self.texts[number % len(self.texts)]


@dataclass(frozen=True)
class RandomTexts:
    """Texts of a pattern."""

    seed: int
    pattern: Pattern
    separators: str = ""
    """Characters that may stand in place of a gap."""
    separator: str = GAP
    """What stands there."""

    @property
    def longest(self) -> int:
        """The most characters of a text."""
        return self.pattern.longest

    @property
    def characters(self) -> frozenset[str]:
        """All characters of all texts."""
        return frozenset(self.separator if character == GAP else character for character in self.pattern.all_characters)

    def text(self, number: int) -> str:
        """Return what a number says: it depends on the seed, the number and the pattern only."""
        words = np.random.Philox(key=Stream.texts.key(self.seed), counter=number * _MOST_CHOICES // 4)
        return self.pattern.text(lambda count: int(words.random_raw()) * count >> 64).replace(GAP, self.separator)


Texts: TypeAlias = ListedTexts | RandomTexts


def texts_in_classes(texts: Texts, classes: Sequence[str]) -> Texts:
    """Return texts as a model with these classes writes them: with its separator in place of a gap, if it has one."""
    if isinstance(texts, ListedTexts):
        return texts
    known = (character for character in texts.separators if CLASSES_OF_CHARACTERS[character] in classes)
    return replace(texts, separator=next(known, GAP))


def checked_texts(texts: Iterable[str], source: str = "-") -> ListedTexts:
    """Return texts as they can be drawn, without gaps at their ends; `source` is the file that they come from, or - for none.

    Raises RequestError if there are none, or too many, or one is empty or too long.
    """
    given = tuple(texts)
    for text in given:
        if not isinstance(text, str):
            raise RequestError(f"the text {shortened(text)} is not text: expected a string")
    listed = tuple(text.strip(GAP) for text in given)
    if not 1 <= len(listed) <= _MOST_TEXTS:
        raise RequestError(f"{len(listed):,} texts: expected 1 to {_MOST_TEXTS:,}")
    for text in listed:
        if not 1 <= len(text) <= LONGEST_TEXT:
            raise RequestError(f"the text {shortened(text)} has {len(text)} characters: expected 1 to {LONGEST_TEXT}")
    return ListedTexts(listed, source)


def checked_pattern(pattern: Pattern, seed: int, separators: str = "") -> RandomTexts:
    """Return the texts of a pattern, see RandomTexts. Raises RequestError if one could be empty or too long."""
    if pattern.longest > LONGEST_TEXT:
        raise RequestError(f"the pattern makes texts of up to {pattern.longest} characters: expected at most {LONGEST_TEXT}")
    if pattern.choices > _MOST_CHOICES:
        raise RequestError(f"the pattern makes {pattern.choices:,} choices for a text: expected at most {_MOST_CHOICES}")
    if pattern.shortest < 1:
        raise RequestError("the pattern makes texts without a digit: expected at least one character that is no gap")
    return RandomTexts(seed, pattern, separators)


def read_texts(source: Path | BinaryIO) -> ListedTexts:
    """Return the texts in a file, one in each line; lines without any are left out. Raises RequestError if it cannot be read."""
    name = source if isinstance(source, Path) else "standard input"
    try:
        if isinstance(source, Path):
            with open_regular_file(source) as file:
                contents = file.read(_MOST_BYTES + 1)
        else:
            contents = source.read(_MOST_BYTES + 1)
        if len(contents) > _MOST_BYTES:
            raise RequestError(f"{name} has more than {_MOST_BYTES:,} bytes: expected a text in each line")
        lines = contents.decode("utf-8-sig").splitlines()
    except OSError as error:
        raise RequestError(f"cannot read {name}: {error.strerror}; expected a file with a text in each line") from error
    except UnicodeDecodeError as error:
        raise RequestError(f"{name} is not text in UTF-8: expected a text in each line") from error
    for number, line in enumerate(lines, 1):
        if len(line.strip(GAP)) > LONGEST_TEXT:
            raise RequestError(f"{name}, line {number}: expected at most {LONGEST_TEXT} characters, found {len(line.strip(GAP))}")
    try:
        return checked_texts((line for line in lines if line.strip(GAP)), str(source) if isinstance(source, Path) else "-")
    except RequestError as error:
        raise RequestError(f"{name}: {error}") from error
