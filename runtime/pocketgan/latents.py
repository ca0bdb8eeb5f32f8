"""Latents: the random numbers that an image is drawn from, computed from its seed and index.

Image `index` of `seed` uses a fixed range of blocks of one Philox4x64-10 stream (J. Salmon et al., "Parallel Random Numbers: As
Easy as 1, 2, 3", 2011), so it is the same alone, in a batch, in any thread and on any machine. Each latent takes 16 of the
random bits and is looked up in a table of integers: no floating-point function is involved, which could round differently.
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pocketgan.address import (
    CONSISTENCY_UNITS,
    DEFAULT_CONSISTENCY,
    FULL_VARIETY,
    MOST_CLASSES,
    TRUNCATION_UNITS,
    Hand,
    HandName,
    ImageRange,
    Stream,
    check_array,
    consistency_units,
    image_range,
)
from pocketgan.trait_table import TRAIT_NUMBERS, TRAITS, Trait

TICKS_OF_ONE = 32
"""LATENT_STEPs in one standard deviation."""

LATENT_STEP = 1 / TICKS_OF_ONE
"""Distance between two neighbouring latents. Latents are `tick * LATENT_STEP` with integer ticks up to LARGEST_TICK."""

LARGEST_TICK = 127
"""Ticks are whole numbers from -LARGEST_TICK to LARGEST_TICK."""

WORDS_PER_BLOCK = 16
"""One block of Philox4x64 is 256 bits, or sixteen 16-bit words."""

# How many of the 65,536 words stand for tick 0, 1, 2, ... 127; the negative ticks mirror them. Entry k is the standard normal
# probability of ((k - 0.5) / 32, (k + 0.5) / 32), times 65,536, by rounding the cumulative counts; the last takes the whole tail.
# Written out, because another C library could round the cumulative distribution differently.
# fmt: off
WORDS_PER_TICK = (
    818, 816, 816, 813, 811, 807, 802, 798, 792, 785, 778, 771, 761, 752, 743, 732, 721, 709, 698, 685, 672, 658, 646,
    631, 616, 602, 588, 572, 557, 542, 527, 511, 495, 480, 465, 449, 434, 419, 403, 389, 374, 360, 345, 331, 318, 304,
    291, 278, 265, 253, 241, 229, 219, 207, 197, 186, 177, 167, 158, 149, 141, 133, 125, 118, 110, 104, 98, 91, 85, 80,
    75, 70, 65, 60, 57, 52, 49, 45, 42, 39, 36, 33, 30, 29, 26, 24, 22, 20, 19, 17, 16, 14, 13, 12, 11, 10, 9, 8, 8, 7,
    6, 5, 5, 5, 4, 4, 3, 3, 3, 3, 2, 2, 2, 1, 2, 1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 0, 0, 3,
)
# fmt: on


def latents(
    seed: int,
    start: int,
    count: int,
    size: int,
    truncation: float = FULL_VARIETY,
    hand: HandName | None = None,
    consistency: float = DEFAULT_CONSISTENCY,
) -> NDArray[np.float32]:
    """Return the latents of `count` images from index `start`: float32 [count, size], multiples of 1/32 from -127/32 to 127/32.

    Their distribution is the standard normal, rounded to that grid. Row i depends on `start + i` and the other arguments only. A
    `truncation` below 1 scales them towards 0, and with a `hand` they are alike, see `latent_ticks`. Raises RequestError if a
    number is out of range, or the array would take more than `LARGEST_ARRAY_BYTES`.
    """
    return latents_of(latent_ticks(image_range(seed, start, count, truncation, hand, consistency), size))


def latents_of(ticks: NDArray[np.int8]) -> NDArray[np.float32]:
    """Return latents that are given in LATENT_STEPs."""
    return ticks.astype(np.float32) * np.float32(LATENT_STEP)


def latent_ticks(images: ImageRange, size: int, classes: NDArray[np.intp] | None = None) -> NDArray[np.int8]:
    """Return the latents of images as integers, in units of LATENT_STEP: int8 [count, size] from -127 to 127.

    With a hand of consistency c, a latent is sqrt(c) times the hand's plus sqrt(1 - c) times the image's own: still normal, and c
    is the correlation of those of two images. If the first latents stand for traits, and the numbers of the images' classes are
    given, [count], they are as alike as a person's digits are, see HAND_CORRELATIONS.

    With a truncation of k/256 each is k/256 times the one of full variety, rounded to the nearest integer, a half to the even
    one. So latents stay on the grid, which is coarse for small truncations: at 1/256 all are 0. Traits that are asked for are not
    set yet, see `Generator.ticks`. Raises RequestError if the latents, as float32, would take more than LARGEST_ARRAY_BYTES.
    """
    seed, indices, units, hand, _ = images
    count = len(indices)
    check_array(f"{count} latents of {size}", count * size * np.dtype(np.float32).itemsize, "ask for fewer at once")
    ticks = _ticks(Stream.images.key(seed), indices, size)
    if hand is not None:
        ticks = _by_hand(ticks, hand, classes)
    return _scaled(ticks, units)


def normal_ticks(key: int, block: int, count: int) -> NDArray[np.int8]:
    """Return standard normal numbers in units of LATENT_STEP, from a block of the stream of a key on: int8 [count]."""
    ticks: NDArray[np.int8] = _tick_of_word()[random_words(key, block, count)]
    return ticks


def _ticks(key: int, indices: range, size: int) -> NDArray[np.int8]:
    """Return the ticks of full variety at these places of the stream of a key, int8 [count, size]."""
    ticks: NDArray[np.int8] = _tick_of_word()[_words(key, indices, size)]
    return ticks


def _words(key: int, indices: range, size: int) -> NDArray[np.uint16]:
    """Return the random numbers at these places of the stream of a key, uint16 [count, size]."""
    count, blocks_each = len(indices), -(-size // WORDS_PER_BLOCK)
    words = random_words(key, indices.start * blocks_each, count * blocks_each * WORDS_PER_BLOCK)
    return words.reshape(count, blocks_each * WORDS_PER_BLOCK)[:, :size]


def random_words(key: int, block: int, count: int) -> NDArray[np.uint16]:
    """Return random numbers from a block of the stream of a key on: uint16 [count]."""
    raw = np.random.Philox(key=key, counter=block).random_raw(-(-count // WORDS_PER_BLOCK) * 4)
    # Little-endian on every machine: the low 16 bits of a 64-bit number come first.
    return raw.astype("<u8").view("<u2")[:count]


def asked_values(images: ImageRange) -> NDArray[np.int64]:
    """Return the value of each trait that is asked for, in hundredths: int64 [count, traits asked for].

    Between the least and the most, all are equally likely; which one an image gets depends on its seed and index only.
    """
    words = _words(Stream.traits.key(images.seed), images.indices, len(TRAITS)).astype(np.int64)
    columns = [
        words[:, TRAIT_NUMBERS[trait.name]] * (trait.most - trait.least + 1) // 2**16 + trait.least for trait in images.asked
    ]
    return np.stack(columns, axis=1)


_SHARE_UNITS = 2**12

HAND_CORRELATIONS: Mapping[Trait, tuple[float, float]] = MappingProxyType(
    {Trait.slant: (0.58, 0.75), Trait.thickness: (0.73, 0.82), Trait.width: (0.31, 0.56)}
)
"""How much the latents of traits of two digits by one hand correlate at the default consistency: of two classes, and of one.

The traits that are drawn then correlate as those of people do, see scripts/measure_traits.py. For slant and width these are
people's own correlations; thickness follows its latent less closely, so its latents are more alike than people's strokes.
"""


def _by_hand(own: NDArray[np.int8], hand: Hand, classes: NDArray[np.intp] | None) -> NDArray[np.int8]:
    """Return the ticks int8 [count, size] of images, mixed with those of a hand and rounded, a half upwards."""
    hands = _ticks(Stream.hands.key(hand.seed), range(hand.number, hand.number + 1), own.shape[1])
    in_any = np.full(own.shape[1], hand.consistency_units)
    in_one, of_classes = in_any.copy(), np.zeros_like(own)
    if classes is not None:
        for number, correlations in enumerate(HAND_CORRELATIONS.values()):
            in_any[number], in_one[number] = (_at_consistency(usual, hand.consistency_units) for usual in correlations)
        first, count = hand.number * MOST_CLASSES, int(classes.max(initial=0)) + 1
        of_each = _ticks(Stream.classes_of_hands.key(hand.seed), range(first, first + count), len(TRAITS))
        of_classes[:, : len(TRAITS)] = of_each[classes]
    parts = ((in_any, hands), (in_one - in_any, of_classes), (CONSISTENCY_UNITS - in_one, own))
    halved = np.full_like(own, _SHARE_UNITS // 2, np.int32)
    mixed = sum((_roots(units) * ticks.astype(np.int32) for units, ticks in parts), start=halved) // _SHARE_UNITS
    return mixed.clip(-LARGEST_TICK, LARGEST_TICK).astype(np.int8)


def _at_consistency(usual: float, units: int) -> int:
    """Return a correlation that is `usual` at the default consistency, 0 at 0 and 1 at 1, with straight lines between.

    It and the consistency are in CONSISTENCY_UNITS.
    """
    default, correlation = consistency_units(DEFAULT_CONSISTENCY), round(usual * CONSISTENCY_UNITS)
    if units <= default:
        return correlation * units // default
    return correlation + (CONSISTENCY_UNITS - correlation) * (units - default) // (CONSISTENCY_UNITS - default)


def _roots(units: NDArray[np.integer]) -> NDArray[np.int32]:
    """Return the square roots of shares in CONSISTENCY_UNITS, in _SHARE_UNITS, rounded down."""
    squares = units.astype(np.int64) * _SHARE_UNITS**2 // CONSISTENCY_UNITS  # numpy's own whole numbers may have 32 bits
    # Exact, although in floating point: no root of a whole number up to 2**24 is so close to another that it is rounded to it.
    return np.sqrt(squares).astype(np.int32)


def _scaled(ticks: NDArray[np.int8], units: int) -> NDArray[np.int8]:
    """Return the ticks times `units` / TRUNCATION_UNITS, rounded to the nearest integer, a half to the even one."""
    if units == TRUNCATION_UNITS:
        return ticks
    products = ticks.astype(np.int32) * units
    # A half away from 0 would be as exact, but adds 2.5% to the variance at a truncation of 1/2, where every odd tick is a half.
    is_odd = products // TRUNCATION_UNITS % 2
    scaled: NDArray[np.int8] = ((products + TRUNCATION_UNITS // 2 - 1 + is_odd) // TRUNCATION_UNITS).astype(np.int8)
    return scaled


@cache
def _tick_of_word() -> NDArray[np.int8]:
    """Return the table from a 16-bit word to its tick: int8 [65536], in ascending order."""
    mirrored = WORDS_PER_TICK[:0:-1] + WORDS_PER_TICK
    return np.repeat(np.arange(-LARGEST_TICK, LARGEST_TICK + 1, dtype=np.int8), mirrored)
