"""What a model knows about traits: which values its images have, and which latents stand for them.

For images of a class, each trait has a score, which is distributed like a latent: normally. The table says which values go with
some scores, and how the scores depend on the first latents. It is whole numbers, so all machines compute alike with it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType

from pocketgan.errors import CardError


class Trait(StrEnum):
    """The traits, in the order of their latents."""

    slant = "slant"
    """To the right if positive."""
    thickness = "thickness"
    width = "width"
    """As if it were upright."""


HAND = "hand"


class Varied(StrEnum):
    """What `--vary` can vary: a trait, or the hand."""

    slant = Trait.slant.value
    thickness = Trait.thickness.value
    width = Trait.width.value
    hand = HAND


TRAITS: Mapping[str, str] = MappingProxyType({Trait.slant: "degrees", Trait.thickness: "pixels", Trait.width: "pixels"})
"""Their units."""

TRAIT_NUMBERS: Mapping[str, int] = MappingProxyType({name: number for number, name in enumerate(TRAITS)})
"""The number of each trait's latent."""

VALUES_PER_UNIT = 100
"""Values are whole numbers of hundredths of a degree or a pixel."""

SCORES = range(-64, 65, 16)
"""The scores, in steps of a latent, that the table has values for: from two standard deviations below to two above the median."""

MIXING_UNITS = 256
"""The mixing is whole numbers of 1/256."""

_LARGEST_VALUE = 100_000
_LARGEST_MIXING = 4 * MIXING_UNITS
_LEAST_DETERMINANT = MIXING_UNITS**3 // 64


@dataclass(frozen=True)
class ClassTraits:
    """The traits of a model's images of one class."""

    values: tuple[tuple[int, ...], ...]
    """For each trait, the values that go with SCORES, ascending."""
    mixing: tuple[tuple[int, ...], ...]
    """For each trait, how its score depends on the first latents: the score is their products' sum, over MIXING_UNITS."""

    def __post_init__(self) -> None:
        """Raise CardError unless each score has its value, and latents can be found for any scores."""
        if [len(row) for row in self.values] != [len(SCORES)] * len(TRAITS):
            raise _wrong("values", f"{len(SCORES)} values for each of {len(TRAITS)} traits")
        if not all(-_LARGEST_VALUE <= low < high <= _LARGEST_VALUE for row in self.values for low, high in pairwise(row)):
            raise _wrong("values", f"ascending ones from {-_LARGEST_VALUE} to {_LARGEST_VALUE}")
        if [len(row) for row in self.mixing] != [len(TRAITS)] * len(TRAITS):
            raise _wrong("mixing", f"{len(TRAITS)} rows of {len(TRAITS)}")
        if not all(-_LARGEST_MIXING <= share <= _LARGEST_MIXING for row in self.mixing for share in row):
            raise _wrong("mixing", f"shares from {-_LARGEST_MIXING} to {_LARGEST_MIXING}")
        if abs(self.determinant) < _LEAST_DETERMINANT:
            raise _wrong("mixing", "traits that can be told apart")

    @property
    def adjugate(self) -> tuple[tuple[int, ...], ...]:
        """The mixing's adjugate matrix: its product with scores, over the determinant and times MIXING_UNITS, is the latents."""
        m = self.mixing
        return tuple(
            tuple(
                m[(column + 1) % 3][(row + 1) % 3] * m[(column + 2) % 3][(row + 2) % 3]
                - m[(column + 1) % 3][(row + 2) % 3] * m[(column + 2) % 3][(row + 1) % 3]
                for column in range(3)
            )
            for row in range(3)
        )

    @property
    def determinant(self) -> int:
        """The determinant of the mixing."""
        return sum(share * self.adjugate[column][0] for column, share in enumerate(self.mixing[0]))


def common_range(table: Iterable[ClassTraits], trait: str) -> tuple[int, int]:
    """Return the least and the largest value of a trait that can be asked for in all these classes.

    If they have no value in common, the least is above the largest.
    """
    values = [of_class.values[TRAIT_NUMBERS[trait]] for of_class in table]
    return max(of_class[0] for of_class in values), min(of_class[-1] for of_class in values)


def _wrong(what: str, expected: str) -> CardError:
    return CardError(f"the model card's traits have other {what} than expected ({expected}): export the model again")


def traits_from_json(values: Sequence[object]) -> tuple[ClassTraits, ...]:
    """Return the traits of each class of a model from JSON values. Raises CardError if they are malformed."""
    return tuple(ClassTraits(*(_rows(of_class, name) for name in ("values", "mixing"))) for of_class in values)


def _rows(of_class: object, name: str) -> tuple[tuple[int, ...], ...]:
    rows = of_class.get(name) if isinstance(of_class, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise _wrong(name, "lists of whole numbers")
    if not all(type(number) is int for row in rows for number in row):
        raise _wrong(name, "whole numbers")
    return tuple(map(tuple, rows))
