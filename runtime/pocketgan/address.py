"""Addresses of images: which seeds and indices there are."""

from typing import SupportsIndex

from pocketgan.errors import RequestError

SEED_LIMIT = 2**64
"""Seeds are 0 <= seed < SEED_LIMIT: the first of the two words of Philox's key."""

INDEX_LIMIT = 2**48
"""Indices of images are 0 <= index < INDEX_LIMIT, far inside Philox's 256-bit counter."""


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
