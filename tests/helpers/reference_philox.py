"""Philox4x64-10 in plain Python, written from its definition and from nothing else.

J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC11 (2011), section 3.3 and table 2.
"""

_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
# The golden ratio and the square root of 3, less 1, as fractions of 2**64: what the key grows by in each round.
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_ROUNDS = 10
_LOW = 2**64 - 1

Block = tuple[int, int, int, int]


def philox4x64(counter: Block, key: tuple[int, int]) -> Block:
    """Return the four 64-bit numbers at a counter, both with the least significant word first."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        product0, product1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (product1 >> 64) ^ c1 ^ k0, product1 & _LOW, (product0 >> 64) ^ c3 ^ k1, product0 & _LOW
        k0, k1 = (k0 + _WEYL[0]) & _LOW, (k1 + _WEYL[1]) & _LOW
    return c0, c1, c2, c3


def words16(seed: int, block: int, high_key: int = 0) -> list[int]:
    """Return the sixteen 16-bit words of the given block of a seed's stream, the least significant first.

    The stream begins at counter 1, as numpy's does. `high_key` is the second word of the key.
    """
    counter = block + 1
    numbers = philox4x64((counter & _LOW, counter >> 64, 0, 0), (seed, high_key))
    return [number >> shift & 0xFFFF for number in numbers for shift in (0, 16, 32, 48)]
