"""Sets the latents that stand for slant, thickness and width, so that images have the values that are asked for.

All of it is arithmetic of whole numbers, so that images are the same on every machine.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pocketgan.address import AskedTrait
from pocketgan.errors import RequestError
from pocketgan.latents import LARGEST_TICK
from pocketgan.model.card import ModelCard
from pocketgan.trait_table import (
    MIXING_UNITS,
    SCORES,
    TRAIT_NUMBERS,
    TRAITS,
    VALUES_PER_UNIT,
    ClassTraits,
    common_range,
)

_MOST_NAMED = 10


class TraitSetter:
    """Sets the latents of a model's images."""

    def __init__(self, card: ModelCard) -> None:
        self._card = card

    def check(self, asked: Sequence[AskedTrait], classes: Sequence[int]) -> None:
        """Raise RequestError unless the model can draw all values that are asked for in these classes, by their numbers."""
        for trait in asked:
            known = AskedTrait(trait.name, *self._hundredths(trait.name, classes))
            if known.least <= trait.least <= trait.most <= known.most:
                continue
            message = f"{trait.name} {trait} is out of range: model {self._card.name} draws"
            if known.least <= known.most:
                names = [self._card.classes[number] for number in classes] if self._card.classes else []
                whose = f" class {names[0]}" if len(names) == 1 else " all of these classes" if names else ""
                raise RequestError(f"{message}{whose} with a {trait.name} of {known} {TRAITS[trait.name]}")
            ranges = {number: AskedTrait(trait.name, *self._hundredths(trait.name, [number])) for number in classes}
            able = [number for number, one in ranges.items() if one.least <= trait.least <= trait.most <= one.most]
            others = [number for number in classes if number not in able][:_MOST_NAMED]
            each = ", ".join(f"{self._card.classes[number]} with {ranges[number]}" for number in others)
            which = f"those that can have it, {self._names(able)}" if able else f"classes that have a {trait.name} in common"
            raise RequestError(f"{message} class {each} {TRAITS[trait.name]}; choose {which}")

    def _names(self, classes: Sequence[int]) -> str:
        more = f" and {len(classes) - _MOST_NAMED} more" if len(classes) > _MOST_NAMED else ""
        return ", ".join(self._card.classes[number] for number in classes[:_MOST_NAMED]) + more

    def range_of(self, trait: str, classes: Sequence[int]) -> tuple[float, float]:
        """Return the least and the largest value that all these classes have. Raises RequestError if there is no such trait."""
        least, most = self._hundredths(trait, classes)
        return least / VALUES_PER_UNIT, most / VALUES_PER_UNIT

    def steps(self, trait: str, classes: NDArray[np.intp], count: int) -> NDArray[np.int64]:
        """Return `count` values of a trait at equal distances from the least to the most of each class: int64 [n, count]."""
        ends = self._values[classes, TRAIT_NUMBERS[trait]][:, [0, -1]]
        values: NDArray[np.int64] = ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * np.arange(count) // (count - 1)
        return values

    def _hundredths(self, trait: str, classes: Sequence[int]) -> tuple[int, int]:
        if trait not in TRAITS:
            raise RequestError(f"{trait!r} is not a trait: expected one of {', '.join(TRAITS)}")
        if self._card.traits is None:
            raise RequestError(
                f"model {self._card.name} cannot draw a chosen {trait}, as it was trained without traits: leave out {trait}, or "
                "choose another one, such as --model pocket"
            )
        return common_range((self._card.traits[number] for number in classes), trait)

    def set_traits(
        self,
        ticks: NDArray[np.int8],
        classes: NDArray[np.intp],
        asked: Sequence[AskedTrait],
        values: NDArray[np.int64],
    ) -> NDArray[np.int8]:
        """Return latents int8 [n, size] changed so that images have the values asked for, int64 [n, k], in hundredths.

        `classes` are the numbers of their classes, [n]. All other traits keep the scores that they would have.
        """
        scores = (self._mixing[classes] @ ticks[:, : len(TRAITS), None].astype(np.int64))[..., 0]  # in 1 / MIXING_UNITS
        for column, trait in enumerate(asked):
            number = TRAIT_NUMBERS[trait.name]
            scores[:, number] = _scores_of(values[:, column], self._values[classes, number])
        determinants = self._determinants[classes, None]
        wanted = (2 * (self._adjugates[classes] @ scores[..., None])[..., 0] + determinants) // (2 * determinants)
        changed = ticks.copy()
        changed[:, : len(TRAITS)] = wanted.clip(-LARGEST_TICK, LARGEST_TICK)
        return changed

    @property
    def _table(self) -> tuple[ClassTraits, ...]:
        assert self._card.traits is not None  # `check` has made sure
        return self._card.traits

    @cached_property
    def _values(self) -> NDArray[np.int64]:
        """The values that go with SCORES, [classes, traits, scores]."""
        return np.array([of_class.values for of_class in self._table], np.int64)

    @cached_property
    def _mixing(self) -> NDArray[np.int64]:
        return np.array([of_class.mixing for of_class in self._table], np.int64)

    @cached_property
    def _adjugates(self) -> NDArray[np.int64]:
        return np.array([of_class.adjugate for of_class in self._table], np.int64)

    @cached_property
    def _determinants(self) -> NDArray[np.int64]:
        return np.array([of_class.determinant for of_class in self._table], np.int64)


def _scores_of(values: NDArray[np.int64], known: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the scores of values int64 [n], in 1 / MIXING_UNITS, between those of the `known` values int64 [n, scores]."""
    below = (known[:, 1:-1] <= values[:, None]).sum(axis=1)  # the number of the interval
    each = np.arange(len(values))
    low, high = known[each, below], known[each, below + 1]
    scores: NDArray[np.int64] = MIXING_UNITS * (SCORES[0] + SCORES.step * below)
    scores += MIXING_UNITS * SCORES.step * (values - low) // (high - low)
    return scores
