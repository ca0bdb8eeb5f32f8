"""Latents by address: against Philox written anew, against the normal distribution, and against stored numbers."""

import hashlib
import math
from bisect import bisect_right
from decimal import ROUND_HALF_EVEN, Decimal
from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray
from reference_philox import Block, philox4x64, words16

from pocketgan.address import INDEX_LIMIT, SEED_LIMIT, image_range
from pocketgan.errors import RequestError
from pocketgan.latents import HAND_CORRELATIONS, LATENT_STEP, _roots, _scaled, _tick_of_word, latent_ticks, latents

TICKS = range(-127, 128)
ALL_TICKS = np.array(TICKS, dtype=np.int8)
# For each tick but the last, the number of 16-bit words that stand for it or a lower one, before rounding.
CUMULATIVE = [65536 * NormalDist().cdf((tick + 0.5) / 32) for tick in TICKS[:-1]]
ROUNDED = [round(count) for count in CUMULATIVE]
# For each tick, the share of draws that give it, by the table under test.
SHARES = [int(np.count_nonzero(_tick_of_word() == tick)) / 65536 for tick in TICKS]


def expected_ticks(seed: int, index: int, size: int) -> list[int]:
    """Return the ticks of one image, by the definition and with no code of the package."""
    blocks = math.ceil(size / 16)
    words = [word for block in range(index * blocks, (index + 1) * blocks) for word in words16(seed, block)]
    return [TICKS[bisect_right(ROUNDED, word)] for word in words[:size]]


@pytest.mark.parametrize(
    ("counter", "key", "numbers"),
    [
        (
            (0, 0, 0, 0),
            (0, 0),
            (0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B),
        ),
        (
            (2**64 - 1,) * 4,
            (2**64 - 1,) * 2,
            (0x87B092C3013FE90B, 0x438C3C67BE8D0224, 0x9CC7D7C69CD777B6, 0xA09CAEBF594F0BA0),
        ),
        (
            (0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89),
            (0x452821E638D01377, 0xBE5466CF34E90C6C),
            (0xA528F45403E61D95, 0x38C72DBD566E9788, 0xA5A1610E72FD18B5, 0x57BD43B5E52B7FE6),
        ),
    ],
    ids=["zeros", "ones", "pi"],
)
def test_the_reference_gives_the_known_answers_of_its_authors(counter: Block, key: tuple[int, int], numbers: Block) -> None:
    assert philox4x64(counter, key) == numbers  # from the file kat_vectors of Random123


@pytest.mark.parametrize(
    ("seed", "index", "size"),
    [(0, 0, 1), (0, 1, 15), (0, 1, 16), (1, 0, 17), (1, 1, 17), (12345, 999_999, 64), (2**32, 2**32, 100)]
    + [(SEED_LIMIT - 1, INDEX_LIMIT - 1, size) for size in (1, 100, 4096)],
)
def test_an_image_has_the_ticks_that_the_definition_says(seed: int, index: int, size: int) -> None:
    assert latent_ticks(image_range(seed, index, 1), size)[0].tolist() == expected_ticks(seed, index, size)


@pytest.mark.parametrize(
    ("truncation", "sha256"),
    [
        (1, "4f069eb67690ee6ed100a14c9be9b5e39119c083838eda256c82b59366a5fc75"),
        (0.7, "868b5d0b652f1f3a9f3156edd71268566321202ea3002b6372c3a939ac48024e"),
    ],
)
def test_latents_never_change(truncation: float, sha256: str) -> None:
    values = latents(2024, 5, 1000, 100, truncation)
    assert values.dtype == np.float32
    assert hashlib.sha256(values.astype("<f4").tobytes()).hexdigest() == sha256


@pytest.mark.parametrize("units", [1, 2, 127, 128, 179, 200, 255, 256])
def test_truncated_ticks_are_rounded_to_the_nearest_a_half_to_the_even_one(units: int) -> None:
    exact = [Decimal(tick) * units / 256 for tick in TICKS]
    assert _scaled(ALL_TICKS, units).tolist() == [int(number.to_integral_value(ROUND_HALF_EVEN)) for number in exact]


@pytest.mark.parametrize("truncation", [0.9, 0.7, 0.5, 0.25])
def test_truncation_shrinks_the_variance_by_its_square(truncation: float) -> None:
    ticks = latent_ticks(image_range(8, 0, 5000), 100).astype(float)
    pulled = latent_ticks(image_range(8, 0, 5000, truncation), 100).astype(float)
    assert pulled.var() / ticks.var() == pytest.approx(truncation**2, rel=0.005)
    assert pulled.mean() == pytest.approx(truncation * ticks.mean(), abs=0.01)


def test_a_truncation_out_of_range_is_refused() -> None:
    with pytest.raises(RequestError, match="truncation 0 is out of range"):
        latents(0, 0, 1, 16, 0)


@pytest.mark.parametrize("consistency", [0.25, 0.7, 0.9])
def test_latents_by_one_hand_are_mixed_as_the_definition_says(consistency: float) -> None:
    units = round(consistency * 256)
    own = latent_ticks(image_range(5, 0, 40), 100).astype(float)
    hand = np.array([TICKS[bisect_right(ROUNDED, word)] for block in range(21, 28) for word in words16(6, block, 1)])[:100]
    mixed = (units / 256) ** 0.5 * hand + (1 - units / 256) ** 0.5 * own
    ticks = latent_ticks(image_range(5, 0, 40, hand=(6, 3), consistency=consistency), 100)
    assert np.abs(ticks - mixed.clip(-127, 127)).max() < 0.55  # the square roots are whole numbers of 1/4096


def correlations(ticks: NDArray[np.int8]) -> NDArray[np.float64]:
    """Return the correlation of the latents of two images by one hand, [k], of ticks [hands, 2, k]."""
    return np.array([np.corrcoef(both.T)[0, 1] for both in ticks.astype(float).transpose(2, 0, 1)])


@pytest.mark.parametrize(("consistency", "factor"), [(0.35, 0.5), (0.7, 1.0)])
def test_traits_of_a_hand_are_as_alike_as_those_of_people(consistency: float, factor: float) -> None:
    for classes, which in (([3, 5], 0), ([5, 5], 1)):
        ranges = (image_range(8, 2 * number, 2, hand=number, consistency=consistency) for number in range(6000))
        ticks = np.stack([latent_ticks(images, 5, np.array(classes)) for images in ranges])
        expected = [factor * usual[which] for usual in HAND_CORRELATIONS.values()] + [consistency] * 2
        assert correlations(ticks) == pytest.approx(expected, abs=0.045)
        assert ticks.reshape(-1, 5).std(axis=0) == pytest.approx(np.full(5, 32), rel=0.03)


def test_a_hand_of_consistency_1_has_the_same_traits_always_and_of_0_none() -> None:
    classes = np.arange(6) % 3
    ticks = latent_ticks(image_range(8, 0, 6, hand=4, consistency=1), 5, classes)
    assert (ticks == ticks[0]).all()
    np.testing.assert_array_equal(
        latent_ticks(image_range(8, 0, 6, hand=4, consistency=0), 5, classes), latent_ticks(image_range(8, 0, 6), 5)
    )


def test_what_a_hand_does_in_a_class_does_not_depend_on_the_other_images() -> None:
    classes = np.array([7, 2, 9, 2])
    ticks = latent_ticks(image_range(8, 0, 4, hand=4), 5, classes)
    for number in range(4):
        np.testing.assert_array_equal(latent_ticks(image_range(8, number, 1, hand=4), 5, classes[[number]])[0], ticks[number])


def test_a_consistency_of_0_is_no_hand_and_of_1_nothing_else() -> None:
    own = latent_ticks(image_range(5, 0, 40), 100)
    np.testing.assert_array_equal(latent_ticks(image_range(5, 0, 40, hand=3, consistency=0), 100), own)
    alike = latent_ticks(image_range(5, 0, 40, hand=3, consistency=1), 100)
    assert (alike == alike[0]).all()
    assert not (latent_ticks(image_range(5, 3, 1), 100) == alike[0]).all()  # hand 3 is not image 3
    np.testing.assert_array_equal(latent_ticks(image_range(8, 2, 1, hand=(5, 3), consistency=1), 100)[0], alike[0])


@pytest.mark.parametrize("dtype", [np.int32, np.int64])  # 32-bit machines count in the first where nothing else is said
def test_roots_of_shares_are_exact_on_all_machines(dtype: type) -> None:
    units: NDArray[np.integer] = np.arange(257).astype(dtype)
    assert _roots(units).tolist() == [math.isqrt(unit * 2**24 // 256) for unit in range(257)]


@pytest.mark.parametrize("consistency", [0.3, 0.7])
def test_latents_by_hands_are_normal_and_correlated(consistency: float) -> None:
    pairs = np.stack([latent_ticks(image_range(1, 2 * k, 2, 1, k, consistency), 16) for k in range(5000)]).astype(float)
    first, second = pairs[:, 0].ravel(), pairs[:, 1].ravel()
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(consistency, abs=0.01)
    assert pairs.std() == pytest.approx(32, rel=0.005)
    assert abs(pairs.mean()) < 0.2


def test_latents_by_a_hand_never_change() -> None:
    values = latents(2024, 5, 1000, 100, 0.7, hand=(7, 3), consistency=0.7)
    assert (
        hashlib.sha256(values.astype("<f4").tobytes()).hexdigest()
        == "6219b134d61089fcc58b2751c5f81c3170aa4c6593da4573072b19d74f6872e6"
    )


@pytest.mark.parametrize("size", [16, 100])
def test_an_image_is_the_same_alone_and_in_any_batch(size: int) -> None:
    together = latent_ticks(image_range(3, 50, 40), size)
    for first, count in ((50, 1), (50, 7), (57, 13), (70, 20), (89, 1)):
        np.testing.assert_array_equal(latent_ticks(image_range(3, first, count), size), together[first - 50 : first - 50 + count])


def test_latents_are_the_ticks_times_the_step() -> None:
    values, ticks = latents(5, 6, 30, 100), latent_ticks(image_range(5, 6, 30), 100)
    assert values.dtype == np.float32
    assert ticks.dtype == np.int8
    assert values.shape == ticks.shape == (30, 100)
    assert [float(value) for value in values.ravel()] == [int(tick) * LATENT_STEP for tick in ticks.ravel()]


def test_the_table_is_the_normal_distribution() -> None:
    counts = [after - before for before, after in zip([0, *ROUNDED], [*ROUNDED, 65536], strict=True)]
    assert _tick_of_word().tolist() == [tick for tick, count in zip(TICKS, counts, strict=True) for _ in range(count)]


def test_no_rounding_of_the_table_was_close() -> None:
    assert min(abs(count % 1 - 0.5) for count in CUMULATIVE) > 1e-5  # a million roundings of a double


def test_the_table_has_the_moments_of_the_normal_distribution() -> None:
    second, fourth, sixth = (
        sum(share * (tick * LATENT_STEP) ** power for tick, share in zip(TICKS, SHARES, strict=True)) for power in (2, 4, 6)
    )
    assert sum(SHARES) == 1
    assert sum(share * tick for tick, share in zip(TICKS, SHARES, strict=True)) == 0
    assert second == pytest.approx(1 + LATENT_STEP**2 / 12, abs=2e-4)  # the grid adds its own variance (Sheppard)
    assert fourth / second**2 == pytest.approx(3, abs=5e-3)
    assert sixth / second**3 == pytest.approx(15, abs=0.2)


def test_a_million_draws_follow_the_table() -> None:
    ticks = latent_ticks(image_range(11, 0, 10_000), 100)
    expected = 1e6 * np.array(SHARES)
    counts = np.bincount(ticks.ravel().astype(int) + 127, minlength=255)
    common = expected > 100
    chi_square = float(((counts - expected)[common] ** 2 / expected[common]).sum())
    freedom = int(common.sum())
    assert abs(chi_square - freedom) < 4 * math.sqrt(2 * freedom)
    assert counts[expected == 0].sum() == 0


def test_neighbouring_latents_and_images_are_not_correlated() -> None:
    values = latents(12, 0, 10_000, 64)
    correlations = np.corrcoef(np.concatenate([values[:-1], values[1:]], axis=1).T)
    assert np.abs(correlations - np.eye(128)).max() < 6 / math.sqrt(10_000)
