"""Addresses of images: which seeds and indices there are, and how a run of them is divided."""

import re
from reprlib import repr as shortened
from typing import NamedTuple, SupportsIndex

from pocketgan.errors import RequestError

SEED_LIMIT = 2**64
"""Seeds are 0 <= seed < SEED_LIMIT: the first of the two words of Philox's key."""

INDEX_LIMIT = 2**48
"""Indices of images are 0 <= index < INDEX_LIMIT, far inside Philox's 256-bit counter."""

LARGEST_ARRAY_BYTES = 2**30
"""What is returned as one array takes this at most: 1.3 million images of 28x28."""


def check_address(seed: SupportsIndex, start: SupportsIndex, count: SupportsIndex) -> tuple[int, int, int]:
    """Return the three as plain integers, which do not overflow as numpy's do.

    Raises RequestError unless `seed` and the indices from `start` to `start + count - 1` name images.
    """
    for name, value in (("seed", seed), ("start", start), ("count", count)):
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise RequestError(f"{name} {value!r} is not a whole number")
    seed, start, count = (value.__index__() for value in (seed, start, count))
    if not 0 <= seed < SEED_LIMIT:
        raise RequestError(f"seed {seed} is out of range: expected 0 to {SEED_LIMIT - 1}")
    if count < 1:
        raise RequestError(f"count {count} is out of range: expected at least 1")
    if start < 0 or start + count > INDEX_LIMIT:
        raise RequestError(f"images {start} to {start + count - 1} are out of range: expected indices 0 to {INDEX_LIMIT - 1}")
    return seed, start, count


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


def parse_shard(spec: str) -> Shard:
    """Return the shard that is written as `3/16`. Raises RequestError if it is none: the first of 16 is 0/16, the last 15/16."""
    match = _SHARD.fullmatch(spec)
    if not match or int(match[1]) >= int(match[2]):
        raise RequestError(f"{shortened(spec)} is no shard: expected K/N with K below N, such as 0/16 to 15/16")
    return Shard(int(match[1]), int(match[2]))


def shard_range(start: int, count: int, shard: Shard) -> tuple[int, int]:
    """Return first index and number of the images of a shard; all shards in turn are the run of `count` images from `start`.

    They differ by one image at most. Raises RequestError if there are more shards than images.
    """
    if shard.of > count:
        raise RequestError(f"{shard.of} shards are too many for a count of {count}: expected at most one for each image or row")
    first, stop = (count * number // shard.of for number in (shard.number, shard.number + 1))
    return start + first, stop - first
