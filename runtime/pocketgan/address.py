"""Addresses of images: seeds, indices, truncations, hands and traits, checked, and ranges of indices split into shards."""

import re
import secrets
from enum import IntEnum
from numbers import Real
from operator import index
from reprlib import repr as shortened
from typing import NamedTuple, SupportsIndex, TypeAlias

from pocketgan.errors import RequestError, of_argument
from pocketgan.trait_table import TRAITS, VALUES_PER_UNIT

SEED_LIMIT = 2**64
"""Seeds are 0 <= seed < SEED_LIMIT: the first of the two words of Philox's key."""


class Stream(IntEnum):
    """What a stream of random numbers is for: the second word of Philox's key."""

    images = 0
    hands = 1
    traits = 2
    classes_of_hands = 3
    texts = 4
    layouts = 5
    places = 6
    papers = 7

    def key(self, seed: int) -> int:
        """Return the key of this stream of a seed."""
        return self * SEED_LIMIT + seed


INDEX_LIMIT = 2**48
"""Indices of images are 0 <= index < INDEX_LIMIT, far inside Philox's 256-bit counter."""

FULL_VARIETY = 1.0
"""The truncation that leaves latents as they are."""

TRUNCATION_UNITS = 256
"""Truncations are whole numbers of units of 1/256, so that latents are scaled in integers, alike on every machine."""

DEFAULT_CONSISTENCY = 0.7
"""How much digits that one hand writes have in common, unless something else is asked for."""

CONSISTENCY_UNITS = 256
"""Consistencies are whole numbers of units of 1/256, so that latents are mixed in integers, alike on every machine."""

MOST_CLASSES = 1000
"""The most classes of a model."""

LARGEST_ARRAY_BYTES = 2**30
"""The largest array that is returned: 1.3 million images of 28x28."""


HandName: TypeAlias = SupportsIndex | tuple[SupportsIndex, SupportsIndex]
"""The seed and the number of a hand, or its number alone, for the seed of the images."""


class Hand(NamedTuple):
    """A hand that images are written by: one of the endless series of a seed. Its latents are not those of any image."""

    seed: int
    number: int
    consistency_units: int
    """0 to CONSISTENCY_UNITS: see `latents.latent_ticks`."""

    @property
    def consistency(self) -> float:
        """The consistency as it is applied: a multiple of 1/256."""
        return self.consistency_units / CONSISTENCY_UNITS


TraitRange: TypeAlias = float | tuple[float, float]
"""A value that is asked for, or the least and the most."""


class AskedTrait(NamedTuple):
    """A trait of images that is asked for. If `least` and `most` differ, each image has a value between, all equally likely."""

    name: str
    """A key of `trait_table.TRAITS`."""
    least: int
    """In hundredths of its unit."""
    most: int

    def __str__(self) -> str:
        ends = [f"{value / VALUES_PER_UNIT:g}" for value in (self.least, self.most)]
        return ends[0] if self.least == self.most else "..".join(ends)


class ImageRange(NamedTuple):
    """Consecutive images of a seed. `image_range` has checked its numbers, so nothing checks them again."""

    seed: int
    indices: range
    """In steps of 1."""
    truncation_units: int
    """1 to TRUNCATION_UNITS: see `truncation_units`."""
    hand: Hand | None = None
    """The hand that writes all of them; None if each is by a hand of its own."""
    asked: tuple[AskedTrait, ...] = ()
    """The traits that are asked for, in the order of `trait_table.TRAITS`; others are as they come."""

    @property
    def truncation(self) -> float:
        """The truncation as it is applied: a multiple of 1/256."""
        return self.truncation_units / TRUNCATION_UNITS

    @property
    def about_writing(self) -> dict[str, str | float]:
        """How images are written, as far as it was asked for: by the names of gan-gen's options, a hand and traits."""
        about: dict[str, str | float] = {trait.name: str(trait) for trait in self.asked}
        if self.hand is not None:
            about |= {"hand": f"{self.hand.seed}:{self.hand.number}", "consistency": self.hand.consistency}
        return about

    @property
    def first_hand(self) -> Hand:
        """The hand of the images, or hand 0 of their seed if each is by its own."""
        return self.hand or Hand(self.seed, 0, consistency_units(DEFAULT_CONSISTENCY))


def image_range(
    seed: SupportsIndex | None,
    start: SupportsIndex,
    count: SupportsIndex,
    truncation: float = FULL_VARIETY,
    hand: HandName | None = None,
    consistency: float = DEFAULT_CONSISTENCY,
    asked: tuple[AskedTrait, ...] = (),
) -> ImageRange:
    """Return the images `start` to `start + count - 1` of a seed, as plain integers, which do not overflow as numpy's do.

    Without a seed, that is a large one chosen now, another in each call. With a `hand`, all are by that one, and `consistency` is
    how much they have in common, 0 to 1.
    `asked` is what `asked_traits` returned.
    Raises RequestError if an argument is out of range, or not a number of its kind.
    """
    with of_argument("seed"):
        seed = secrets.randbits(63) if seed is None else _seed("seed", seed)
    with of_argument("count"):
        count = whole("count", count)
        if count < 1:
            raise RequestError(f"count {count} is out of range: expected at least 1")
    with of_argument("start"):
        start = whole("start", start)
        if start < 0 or start + count > INDEX_LIMIT:
            found = f"images {start} to {start + count - 1}"
            raise RequestError(f"{found} are out of range: expected indices 0 to {INDEX_LIMIT - 1}")
    with of_argument("consistency"):
        units = consistency_units(consistency)
        if hand is None and consistency != DEFAULT_CONSISTENCY:
            raise RequestError("consistency says how much images by one hand look alike: it needs a hand")
    with of_argument("hand"):
        writer = None if hand is None else hand_of(hand, seed, units)
    with of_argument("truncation"):
        return ImageRange(seed, range(start, start + count), truncation_units(truncation), writer, asked)


def shortest_decimal(share: float) -> str:
    """Return the shortest number that stands for the same multiple of 1/256 as a truncation or a consistency."""
    places = (places for places in range(1, 4) if round(round(share, places) * TRUNCATION_UNITS) == share * TRUNCATION_UNITS)
    return f"{share:.{next(places)}f}"


def consistency_units(consistency: float) -> int:
    """Return a consistency in units of 1/CONSISTENCY_UNITS, rounded. Raises RequestError unless it is 0 to 1."""
    return share_in_units("consistency", consistency, CONSISTENCY_UNITS)


def share_in_units(name: str, share: float, units: int, is_positive: bool = False) -> int:
    """Return the argument `name`, a share, in units of 1/`units`, rounded.

    Raises RequestError unless it is a number from 0 to 1, and above 0 if it must be positive.
    """
    if isinstance(share, bool) or not isinstance(share, Real):
        raise RequestError(f"{name} {share!r} is not a number")
    if not 0 <= share <= 1 or (is_positive and not share):  # nor is nan
        raise RequestError(f"{name} {share} is out of range: expected {'above 0, at most 1' if is_positive else '0 to 1'}")
    return round(float(share) * units)


def hand_of(name: HandName, seed: int, units: int) -> Hand:
    """Return a hand by its name, with its consistency in units; a number alone is one of `seed`.

    Raises RequestError if a number is out of range.
    """
    if isinstance(name, tuple):
        if len(name) != 2:
            raise RequestError(f"hand {shortened(name)}: expected a number, or a seed and a number")
        seed, name = _seed("the hand's seed", name[0]), name[1]
    number = whole("hand", name)
    if not 0 <= number < INDEX_LIMIT:
        raise RequestError(f"hand {number} is out of range: expected 0 to {INDEX_LIMIT - 1}")
    return Hand(seed, number, units)


_HAND = re.compile(r"(?:([0-9]{1,20}):)?([0-9]{1,15})")


def parse_hand(spec: str) -> HandName:
    """Parse the name of a hand such as `3`, or `7:3` for one of seed 7. Raises RequestError if it is malformed."""
    match = _HAND.fullmatch(spec)
    if not match:
        raise RequestError(f"{shortened(spec)} is not a hand: expected its number, such as 3, or SEED:NUMBER, such as 7:3")
    return int(match[2]) if match[1] is None else (int(match[1]), int(match[2]))


def asked_traits(
    slant: TraitRange | None = None, thickness: TraitRange | None = None, width: TraitRange | None = None
) -> tuple[AskedTrait, ...]:
    """Return the traits that are asked for: each a value, or the least and the most, in degrees or pixels; None if it is not.

    Raises RequestError for anything else. Which values a model can draw, it checks itself.
    """
    asked = []
    for name, value in zip(TRAITS, (slant, thickness, width), strict=True):
        if value is not None:
            with of_argument(name):
                asked.append(_asked_trait(name, value))
    return tuple(asked)


def _asked_trait(name: str, value: TraitRange) -> AskedTrait:
    ends = value if isinstance(value, tuple) else (value, value)
    if len(ends) != 2 or any(isinstance(end, bool) or not isinstance(end, Real) for end in ends):
        raise RequestError(f"{name} {shortened(value)}: expected a number, or the least and the most")
    if not all(abs(end) <= _LARGEST_ASKED for end in ends):  # nor is nan
        raise RequestError(f"{name} {shortened(value)} is out of range: expected {-_LARGEST_ASKED} to {_LARGEST_ASKED}")
    least, most = (round(float(end) * VALUES_PER_UNIT) for end in ends)
    if least > most:
        first, last = map(float, ends)
        raise RequestError(f"{name} {first:g}..{last:g} runs backwards: expected {last:g}..{first:g}")
    return AskedTrait(name, least, most)


_LARGEST_ASKED = 1000
_NUMBER = r"([+-]?[0-9]{1,4}(?:\.[0-9]{1,6})?)"
_TRAIT = re.compile(rf"{_NUMBER}(?:\.\.{_NUMBER})?")


def parse_trait(spec: str) -> TraitRange:
    """Parse a value of a trait such as `15`, or `-5..20` for any from -5 to 20. Raises RequestError if it is malformed."""
    match = _TRAIT.fullmatch(spec)
    if not match:
        raise RequestError(f"{shortened(spec)} is not a value: expected a number such as 15, or a range such as -5..20")
    return float(match[1]) if match[2] is None else (float(match[1]), float(match[2]))


def _seed(name: str, value: SupportsIndex) -> int:
    seed = whole(name, value)
    if not 0 <= seed < SEED_LIMIT:
        raise RequestError(f"{name} {seed} is out of range: expected 0 to {SEED_LIMIT - 1}")
    return seed


def random_seed() -> int:
    """Return a seed that nobody can foresee, small enough to note down."""
    return secrets.randbits(32)


def whole(name: str, value: SupportsIndex) -> int:
    """Return an argument as a plain integer. Raises RequestError if it is not a whole number."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return index(value)
    except TypeError as error:  # also for an array of several numbers
        raise RequestError(f"{name} {value!r} is not a whole number") from error


def images_of_rows(rows: ImageRange, length: int) -> ImageRange:
    """Return the images that make up rows of `length` images each. Raises RequestError if an index is out of range."""
    start, stop, most = rows.indices.start, rows.indices.stop, INDEX_LIMIT // length
    if stop > most:
        with of_argument("start"):
            raise RequestError(
                f"rows {start} to {stop - 1} of {length} characters are out of range: expected indices 0 to {most - 1}"
            )
    return rows._replace(indices=range(start * length, stop * length))


def truncation_units(truncation: float) -> int:
    """Return a truncation in units of 1/TRUNCATION_UNITS, rounded to the nearest (ties to even), but at least 1.

    A truncation psi multiplies each latent: 1 is full variety, less gives images closer to the average (T. Karras et al., "A
    Style-Based Generator Architecture for Generative Adversarial Networks", 2019, appendix B; here of z, whose mean is 0).
    Raises RequestError unless it is above 0 and at most 1.
    """
    return max(1, share_in_units("truncation", truncation, TRUNCATION_UNITS, is_positive=True))


def check_array(what: str, size_bytes: int, remedy: str) -> None:
    """Raise RequestError, which ends with `remedy`, if an array of `size_bytes` is too large to be returned at once."""
    if size_bytes > LARGEST_ARRAY_BYTES:
        raise RequestError(f"{what} would take {size_bytes:,} bytes, expected at most {LARGEST_ARRAY_BYTES:,}: {remedy}")


_SHARD = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")


class Shard(NamedTuple):
    """One of several parts of a run of images."""

    number: int
    """From 0, as Kubernetes and most others count: 0 <= number < of."""
    of: int


RANDOM = "random"


def parse_seed(text: str) -> int:
    """Parse a seed, a whole number from 0; `random` is one that is chosen now. Raises RequestError if it is neither."""
    if text == RANDOM:
        return random_seed()
    if not re.fullmatch("[0-9]{1,40}", text):
        raise RequestError(f"{shortened(text)} is not a seed: expected a whole number from 0 to {SEED_LIMIT - 1}, or random")
    return _seed("seed", int(text))


def parse_shard(spec: str) -> Shard:
    """Parse a shard such as `3/16`. Raises RequestError if it is malformed: the first of 16 is 0/16, the last 15/16."""
    match = _SHARD.fullmatch(spec)
    if not match or int(match[1]) >= int(match[2]):
        raise RequestError(f"{shortened(spec)} is not a shard: expected K/N with K below N, such as 0/16 to 15/16")
    return Shard(int(match[1]), int(match[2]))


def shard_range(start: int, count: int, shard: Shard) -> tuple[int, int]:
    """Return the first index and the count of a shard's images. Together, the shards are the `count` images from `start`.

    Their sizes differ by at most one image. Raises RequestError if there are more shards than images.
    """
    if shard.of > count:
        raise RequestError(f"{shard.of} shards are too many for a count of {count}: expected at most one for each image or row")
    first, stop = (count * number // shard.of for number in (shard.number, shard.number + 1))
    return start + first, stop - first
