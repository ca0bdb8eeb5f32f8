"""The numbers that name images: seeds, indices and truncations that there are, and parts of a run."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from pocketgan.address import (
    FULL_VARIETY,
    INDEX_LIMIT,
    SEED_LIMIT,
    TRUNCATION_UNITS,
    Hand,
    HandName,
    ImageRange,
    Shard,
    consistency_units,
    hand_of,
    image_range,
    images_of_rows,
    parse_hand,
    parse_shard,
    shard_range,
    shortest_decimal,
    truncation_units,
)
from pocketgan.errors import RequestError


@pytest.mark.parametrize(
    ("truncation", "units"),
    [
        (FULL_VARIETY, TRUNCATION_UNITS),
        (0.999, 256),
        (0.7, 179),
        (0.5, 128),
        (1 / 256, 1),
        (2.5 / 256, 2),
        (3.5 / 256, 4),
        (1e-300, 1),
        (np.float32(0.7), 179),
        (Fraction(1, 2), 128),
    ],
)
def test_a_truncation_is_the_nearest_number_of_units_but_never_0(truncation: float, units: int) -> None:
    assert truncation_units(truncation) == units


@pytest.mark.parametrize("truncation", [0, -0.0, -1, 1.0000001, float("inf"), float("nan")])
def test_a_truncation_out_of_range_is_refused(truncation: float) -> None:
    with pytest.raises(RequestError) as caught:
        truncation_units(truncation)
    assert str(caught.value) == f"truncation {truncation} is out of range: expected above 0, at most 1"


@pytest.mark.parametrize("truncation", ["0.7", None, True, 1j, [0.7]])
def test_what_is_not_a_number_is_refused(truncation: object) -> None:
    with pytest.raises(RequestError) as caught:
        truncation_units(truncation)  # type: ignore[arg-type]
    assert str(caught.value) == f"truncation {truncation!r} is not a number"


@pytest.mark.parametrize(
    ("seed", "start", "count", "named"),
    [
        (-1, 0, 1, "seed -1"),
        (SEED_LIMIT, 0, 1, f"seed {SEED_LIMIT}"),
        (0, 0, 0, "count 0"),
        (0, -1, 1, "images -1 to -1"),
        (0, INDEX_LIMIT - 1, 2, f"images {INDEX_LIMIT - 1} to {INDEX_LIMIT}"),
        (0, 0, INDEX_LIMIT + 1, f"images 0 to {INDEX_LIMIT}"),
    ],
)
def test_an_address_out_of_range_is_refused(seed: int, start: int, count: int, named: str) -> None:
    with pytest.raises(RequestError, match=rf"^{named} (is|are) out of range: expected "):
        image_range(seed, start, count)


def test_the_first_and_the_last_address_are_in_range() -> None:
    assert image_range(0, 0, 1) == ImageRange(0, range(1), 256)
    last = ImageRange(SEED_LIMIT - 1, range(INDEX_LIMIT - 1, INDEX_LIMIT), 128)
    assert image_range(SEED_LIMIT - 1, INDEX_LIMIT - 1, 1, 0.5) == last
    assert len(image_range(0, 0, INDEX_LIMIT).indices) == INDEX_LIMIT


def test_small_integers_of_numpy_do_not_overflow() -> None:
    assert image_range(np.uint8(1), np.uint8(250), np.uint8(60)) == ImageRange(1, range(250, 310), 256)


@pytest.mark.parametrize("value", [1.0, "1", b"1", True])
def test_what_is_not_a_whole_number_is_no_address(value: object) -> None:
    for name, arguments in (("seed", (value, 0, 1)), ("start", (0, value, 1)), ("count", (0, 0, value))):
        with pytest.raises(RequestError, match=rf"^{name} {value!r} is not a whole number$"):
            image_range(*arguments)


@pytest.mark.parametrize("text", ["0.4", "0.7", "0.625", "0.996", "1.0", "0.5", "0.004"])
def test_a_share_of_256_parts_is_shown_as_it_was_probably_given(text: str) -> None:
    assert shortest_decimal(truncation_units(float(text)) / 256) == text


def test_every_share_of_256_parts_has_a_short_decimal() -> None:
    assert all(round(float(shortest_decimal(unit / 256)) * 256) == unit for unit in range(257))


def test_rows_are_the_images_of_their_characters() -> None:
    rows = image_range(3, 5, 2, 0.5)
    assert images_of_rows(rows, 4) == ImageRange(3, range(20, 28), 128)
    assert images_of_rows(rows, 1) == rows
    most = INDEX_LIMIT // 3
    assert images_of_rows(image_range(0, most - 1, 1), 3).indices.stop == 3 * most
    with pytest.raises(RequestError, match=f"^rows {most - 1} to {most} of 3 characters are out of range: expected indices 0 to"):
        images_of_rows(image_range(0, most - 1, 2), 3)


@pytest.mark.parametrize(
    ("name", "spec", "consistency", "expected"),
    [
        (3, "3", 0.5, Hand(9, 3, 128)),
        ((7, 3), "7:3", 1, Hand(7, 3, 256)),
        ((0, 3), "0:3", 0, Hand(0, 3, 0)),
        (np.uint8(3), "03", 0.001, Hand(9, 3, 0)),
        (
            (SEED_LIMIT - 1, INDEX_LIMIT - 1),
            f"{SEED_LIMIT - 1}:{INDEX_LIMIT - 1}",
            0.7,
            Hand(SEED_LIMIT - 1, INDEX_LIMIT - 1, 179),
        ),
    ],
)
def test_a_hand_has_a_seed_a_number_and_a_consistency(name: HandName, spec: str, consistency: float, expected: Hand) -> None:
    assert image_range(9, 0, 1, 1, name, consistency).hand == expected
    assert hand_of(parse_hand(spec), 9, consistency_units(consistency)) == expected
    assert expected.consistency == expected.consistency_units / 256


@pytest.mark.parametrize(
    ("name", "consistency", "message"),
    [
        (-1, 0.5, "hand -1 is out of range: expected 0 to"),
        (INDEX_LIMIT, 0.5, f"hand {INDEX_LIMIT} is out of range: expected 0 to"),
        ((SEED_LIMIT, 0), 0.5, f"the hand's seed {SEED_LIMIT} is out of range: expected 0 to"),
        ((0, -1), 0.5, "hand -1 is out of range"),
        ((0, 1, 2), 0.5, r"hand \(0, 1, 2\): expected a number, or a seed and a number"),
        ("3", 0.5, "hand '3' is not a whole number"),
        (np.array([7, 3]), 0.5, r"hand array\(\[7, 3\]\) is not a whole number"),
        (None, 0.5, "consistency says how much images by one hand look alike: it needs a hand"),
        (3, -0.1, "consistency -0.1 is out of range: expected 0 to 1"),
        (3, 1.1, "consistency 1.1 is out of range: expected 0 to 1"),
        (3, float("nan"), "consistency nan is out of range"),
        (3, "1", "consistency '1' is not a number"),
    ],
)
def test_a_hand_out_of_range_is_refused(name: object, consistency: object, message: str) -> None:
    with pytest.raises(RequestError, match=f"^{message}"):
        image_range(0, 0, 1, 1, name, consistency)  # type: ignore[arg-type]


def test_a_consistency_is_checked_without_a_hand() -> None:
    with pytest.raises(RequestError, match=r"^consistency 2 is out of range: expected 0 to 1$"):
        image_range(0, 0, 1, consistency=2)


@pytest.mark.parametrize("spec", ["", "-1", "1.5", "1:", ":1", "1:2:3", "9" * 16, "seven"])
def test_what_names_no_hand_is_refused(spec: str) -> None:
    with pytest.raises(RequestError, match=r" is not a hand: expected its number, such as 3, or SEED:NUMBER, such as 7:3$"):
        parse_hand(spec)


@pytest.mark.parametrize(("start", "count", "of"), [(0, 97, 1), (5, 100, 3), (0, 97, 97), (2**40, 1000, 16), (0, 10**8, 7)])
def test_all_shards_in_turn_are_the_run(start: int, count: int, of: int) -> None:
    parts = [range(first, first + length) for first, length in (shard_range(start, count, Shard(k, of)) for k in range(of))]
    assert (parts[0].start, parts[-1].stop) == (start, start + count)
    assert all(before.stop == after.start for before, after in pairwise(parts))
    assert shard_range(0, 10, Shard(1, 3)) == (3, 3)
    assert {len(part) for part in parts} <= {count // of, -(-count // of)}


def test_more_shards_than_images_are_refused() -> None:
    with pytest.raises(
        RequestError, match="11 shards are too many for a count of 10: expected at most one for each image or row"
    ):
        shard_range(0, 10, Shard(3, 11))


@pytest.mark.parametrize(("spec", "shard"), [("0/1", Shard(0, 1)), ("3/16", Shard(3, 16)), ("15/16", Shard(15, 16))])
def test_shards_are_written_from_0_on(spec: str, shard: Shard) -> None:
    assert parse_shard(spec) == shard


@pytest.mark.parametrize("spec", ["", "3", "16/16", "-1/16", "0/0", "1/", "1/2/3", "1/2 ", "1.0/2", "٣/٤", "9" * 40])
def test_what_is_no_shard_is_refused(spec: str) -> None:
    with pytest.raises(RequestError, match=r"is not a shard: expected K/N with K below N, such as 0/16 to 15/16"):
        parse_shard(spec)
