"""Damages model cards for scripts/fuzz_models.py: their text, values, types and nesting."""

import json
import random
from collections.abc import Callable
from typing import TypeAlias

Json: TypeAlias = object

VALUES: tuple[Callable[[], Json], ...] = (
    lambda: None,
    lambda: True,
    lambda: 0,
    lambda: -1,
    lambda: 1,
    lambda: 4096,
    lambda: 2**31,
    lambda: 2**63,
    lambda: 10**400,
    lambda: 1 / 16,
    lambda: float("nan"),
    lambda: float("inf"),
    lambda: -1e308,
    lambda: "",
    lambda: "0",
    lambda: "../../evil",
    lambda: "\ud800",
    lambda: "a\nb\x1b[2J",
    lambda: "\u202e",
    lambda: "x" * 100_000,
    lambda: [],
    lambda: {},
    lambda: [str(number) for number in range(1001)],
    lambda: ["1", "1"],
    lambda: ["a/b"],
    lambda: [1, 2],
    lambda: list(range(100_000)),
    lambda: {str(number): number for number in range(10_000)},
)
"""Values that are wrong for most or all fields of a card."""

TEXTS: tuple[Callable[[], str], ...] = (
    lambda: "",
    lambda: "{",
    lambda: "null",
    lambda: "[" * 100_000,
    lambda: '{"a":' * 50_000,
    lambda: "9" * 50_000,
    lambda: '{"schema": 1e999}',
    lambda: '"' + "x" * 1_000_000 + '"',
    lambda: "[" + "0," * 120_000 + "0]",
    lambda: "\x00",
)
"""Texts that are not a card."""


def damaged_card(chance: random.Random, card: bytes) -> bytes:
    """Return the JSON of a card, damaged."""
    way = chance.randrange(10)
    if way == 0:
        return chance.choice(TEXTS)().encode()
    if way == 1 and card:
        damaged = bytearray(card)
        for _ in range(chance.choice((1, 3, 20))):
            damaged[chance.randrange(len(damaged))] = chance.choice((chance.randrange(256), *b'{}[]",:0\\'))
        return bytes(damaged)
    try:
        values = json.loads(card)
    except (ValueError, RecursionError):
        return card
    for _ in range(chance.choice((1, 1, 2, 5))):
        _damage(chance, values)
    return json.dumps(values).encode()


def _damage(chance: random.Random, values: Json) -> None:
    """Change, delete or add one entry of an object, at any depth."""
    if not isinstance(values, dict) or not values:
        return
    key = chance.choice(list(values))
    if isinstance(values[key], dict) and values[key] and chance.random() < 0.7:
        _damage(chance, values[key])
        return
    way = chance.randrange(6)
    if way == 0:
        del values[key]
    elif way == 1:
        values[chance.choice(("schema", "kernels", "classes", "x" * 1000, "\ud800", "new"))] = chance.choice(VALUES)()
    elif way == 2 and isinstance(values[key], int | float):
        values[key] += chance.choice((1, -1))
    elif way == 3:
        other = chance.choice(list(values))
        values[key], values[other] = values[other], values[key]
    else:
        values[key] = chance.choice(VALUES)()
