"""Patterns of texts, such as `[0-9]{5}`: a small part of regular expressions, of which every text is found by its address.

A library that generates texts from regular expressions may choose others in its next release; these texts never change.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from math import prod
from types import MappingProxyType
from typing import TypeAlias

from pocketgan.errors import RequestError, suggestion

LONGEST_PATTERN = 256
MOST_REPETITIONS = 32
_SPECIAL = "[](){}|?*+.\\^$"

Choose: TypeAlias = Callable[[int], int]
"""Returns a random whole number from 0 to below its argument."""

NAMED_PATTERNS: Mapping[str, str] = MappingProxyType(
    {
        "date": "(0[1-9]|1[0-9]|2[0-8]) (0[1-9]|1[0-2]) (19|20)[0-9]{2}|(29|30) (0[13-9]|1[0-2]) (19|20)[0-9]{2}"
        "|31 (0[13578]|1[02]) (19|20)[0-9]{2}",
        "time": "([01][0-9]|2[0-3]) [0-5][0-9]",
        "amount": "[1-9][0-9]{0,4} [0-9]{2}",
        "zip": "[0-9]{5}",
        "phone": "0[1-9][0-9]{1,3} [0-9]{5,8}",
    }
)
"""Patterns by name: day, month and year; hours and minutes; an amount with cents; a ZIP code; a telephone number."""


SEPARATORS: Mapping[str, str] = MappingProxyType({"date": "/.-", "time": ":.", "amount": ".,", "phone": "-/"})
"""What stands in place of the gap of a pattern by name: the first of these characters that the model has as a class."""


@dataclass(frozen=True)
class Characters:
    """One character out of several, all equally likely."""

    characters: str

    @cached_property
    def count(self) -> int:
        """How many texts there are."""
        return len(self.characters)

    @cached_property
    def longest(self) -> int:
        """The most characters of a text."""
        return 1

    @property
    def shortest(self) -> int:
        """The fewest characters of a text that are no gaps."""
        return 0 if " " in self.characters else 1

    @property
    def all_characters(self) -> frozenset[str]:
        """The characters of all texts."""
        return frozenset(self.characters)

    @cached_property
    def choices(self) -> int:
        """How often a text is chosen from several, at most."""
        return 1

    def text(self, choose: Choose) -> str:
        """Return a random text."""
        return self.characters[choose(len(self.characters))]


@dataclass(frozen=True)
class Repeated:
    """A pattern several times; each number of times is equally likely."""

    pattern: "Pattern"
    least: int
    most: int

    @cached_property
    def count(self) -> int:
        """How many texts there are."""
        # A pattern that never comes may have too many texts to count.
        return sum(self.pattern.count**times for times in range(self.least, self.most + 1)) if self.most else 1

    @cached_property
    def longest(self) -> int:
        """The most characters of a text."""
        return self.pattern.longest * self.most

    @property
    def shortest(self) -> int:
        """The fewest characters of a text that are no gaps."""
        return self.pattern.shortest * self.least

    @property
    def all_characters(self) -> frozenset[str]:
        """The characters of all texts."""
        return self.pattern.all_characters if self.most else frozenset()

    @cached_property
    def choices(self) -> int:
        """How often a text is chosen from several, at most."""
        return 1 + self.most * self.pattern.choices

    def text(self, choose: Choose) -> str:
        """Return a random text."""
        times = self.least + choose(self.most - self.least + 1)
        return "".join(self.pattern.text(choose) for _ in range(times))


@dataclass(frozen=True)
class InOrder:
    """Patterns one after the other."""

    parts: tuple["Pattern", ...]

    @cached_property
    def count(self) -> int:
        """How many texts there are."""
        return prod(part.count for part in self.parts)

    @cached_property
    def longest(self) -> int:
        """The most characters of a text."""
        return sum(part.longest for part in self.parts)

    @property
    def shortest(self) -> int:
        """The fewest characters of a text that are no gaps."""
        return sum(part.shortest for part in self.parts)

    @property
    def all_characters(self) -> frozenset[str]:
        """The characters of all texts."""
        return frozenset().union(*(part.all_characters for part in self.parts))

    @cached_property
    def choices(self) -> int:
        """How often a text is chosen from several, at most."""
        return sum(part.choices for part in self.parts)

    def text(self, choose: Choose) -> str:
        """Return a random text."""
        return "".join(part.text(choose) for part in self.parts)


@dataclass(frozen=True)
class OneOf:
    """One of several patterns, each as likely as it has texts."""

    branches: tuple["Pattern", ...]

    @cached_property
    def count(self) -> int:
        """How many texts there are."""
        return sum(branch.count for branch in self.branches)

    @cached_property
    def longest(self) -> int:
        """The most characters of a text."""
        return max(branch.longest for branch in self.branches)

    @property
    def shortest(self) -> int:
        """The fewest characters of a text that are no gaps."""
        return min(branch.shortest for branch in self.branches)

    @property
    def all_characters(self) -> frozenset[str]:
        """The characters of all texts."""
        return frozenset().union(*(branch.all_characters for branch in self.branches))

    @cached_property
    def choices(self) -> int:
        """How often a text is chosen from several, at most."""
        return 1 + max(branch.choices for branch in self.branches)

    def text(self, choose: Choose) -> str:
        """Return a random text."""
        place, ends = choose(self.count), accumulate(branch.count for branch in self.branches)
        return next(branch for branch, end in zip(self.branches, ends, strict=True) if place < end).text(choose)


Pattern: TypeAlias = Characters | Repeated | InOrder | OneOf


def parse_pattern(source: str) -> Pattern:
    r"""Return a pattern, or the one of that name in NAMED_PATTERNS.

    It may have characters, `\d`, sets such as `[0-9]`, groups with alternatives such as `(19|20)`, and after any of these `{3}`,
    `{2,5}` or `?`. A backslash before any other character that is no letter or digit stands for that character; `^` at the
    beginning and `$` at the end change nothing. Raises RequestError, which says what was found, for anything else.
    """
    if source.isalpha() and source not in NAMED_PATTERNS and (close := suggestion(source.lower(), NAMED_PATTERNS)):
        raise RequestError(f"no pattern is called {source!r}{close}")
    source = NAMED_PATTERNS.get(source, source)
    if len(source) > LONGEST_PATTERN:
        raise RequestError(f"the pattern has {len(source):,} characters: expected at most {LONGEST_PATTERN}")
    reader = _Reader(source)
    reader.skip_anchors()
    pattern = reader.alternatives()
    if reader.rest:
        raise reader.error(f"expected nothing more, found {reader.rest[0]!r}")
    return pattern


class _Reader:
    """Reads a pattern from left to right."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.rest = source

    def error(self, message: str) -> RequestError:
        return RequestError(
            f"the pattern '{self.source}' cannot be read at character {len(self.source) - len(self.rest) + 1}: {message}"
        )

    def skip_anchors(self) -> None:
        """Skip `^` at the beginning and `$` at the end: a text is always the whole."""
        self._takes("^")
        if self.rest.endswith("$") and not self.rest.endswith("\\$"):
            self.rest = self.rest[:-1]

    def alternatives(self) -> Pattern:
        branches = [self.sequence()]
        while self._takes("|"):
            branches.append(self.sequence())
        return branches[0] if len(branches) == 1 else OneOf(tuple(branches))

    def sequence(self) -> Pattern:
        parts = []
        while self.rest and self.rest[0] not in "|)":
            parts.append(self._repeated(self._atom()))
        return parts[0] if len(parts) == 1 else InOrder(tuple(parts))

    def _atom(self) -> Pattern:
        if self._takes("(?:") or self._takes("("):
            pattern = self.alternatives()
            if not self._takes(")"):
                raise self.error("expected )")
            return pattern
        if self._takes("["):
            return self._set()
        if self._takes("\\"):
            return Characters(self._escaped())
        if self.rest[0] in _SPECIAL:
            hint = "; use {1,8} for a limited number" if self.rest[0] in "*+" else ""
            raise self.error(f"{self.rest[0]!r} is not supported{hint}")
        return Characters(self._next())

    def _set(self) -> Characters:
        characters = ""
        while not self._takes("]"):
            if not self.rest or self.rest[0] == "[" or (self.rest[0] == "^" and not characters):
                raise self.error("expected characters and ranges such as 0-9, and ]")
            if self._takes("\\"):
                characters += self._escaped()
                continue
            first = self._next()
            if len(self.rest) >= 2 and self.rest[0] == "-" and self.rest[1] != "]":
                self._next()
                last = self._next()
                if not first <= last:
                    raise self.error(f"the range {first}-{last} runs backwards")
                characters += "".join(map(chr, range(ord(first), ord(last) + 1)))
            else:
                characters += first
        if not characters:
            raise self.error("the set is empty")
        return Characters("".join(dict.fromkeys(characters)))

    def _escaped(self) -> str:
        """Return the characters that the one after a backslash stands for."""
        if self._takes("d"):
            return "0123456789"
        if not self.rest or self.rest[0].isalnum():
            raise self.error(r"expected \d, or a character that is no letter or digit, after the backslash")
        return self._next()

    def _repeated(self, pattern: Pattern) -> Pattern:
        if self._takes("?"):
            return Repeated(pattern, 0, 1)
        if not self._takes("{"):
            return pattern
        least = self._number()
        most = self._number() if self._takes(",") else least
        if not self._takes("}"):
            raise self.error("expected a number of repetitions such as {5} or {2,5}")
        if not least <= most <= MOST_REPETITIONS:
            raise self.error(f"expected at most {MOST_REPETITIONS} repetitions, the lower number first")
        return Repeated(pattern, least, most)

    def _number(self) -> int:
        digits = ""
        while self.rest and self.rest[0] in "0123456789" and len(digits) < 3:
            digits += self._next()
        if not digits:
            raise self.error("expected a number of repetitions such as {5} or {2,5}")
        return int(digits)

    def _next(self) -> str:
        first, self.rest = self.rest[0], self.rest[1:]
        return first

    def _takes(self, expected: str) -> bool:
        found = self.rest.startswith(expected)
        if found:
            self.rest = self.rest[len(expected) :]
        return found
