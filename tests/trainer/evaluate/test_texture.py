"""Told apart by texture: against slow, obvious code, on real digits, and on digits whose texture is changed a little."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.errors import DataError
from pocketgan_trainer.evaluate.texture import (
    FEWEST_FOR_TEXTURE,
    LEVEL_BOUNDS,
    count_neighbours,
    largest_difference,
    told_apart_by_texture,
)

Change = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


def noisy(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return images with a little noise on all that is neither black nor full ink."""
    noise = np.random.default_rng(0).normal(0, 12, images.shape)
    grey = (images > 0) & (images < 245)
    return np.where(grey, np.clip(np.rint(images + noise), 1, 244), images).astype(np.uint8)


def softened(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return images of which each row is a tenth of the one above brighter."""
    mixed = images.astype(np.float64)
    mixed[:, 1:] = 0.9 * mixed[:, 1:] + 0.1 * images[:, :-1]
    return np.rint(mixed).astype(np.uint8)


def test_neighbours_are_counted_by_bin_and_direction() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 4), dtype=np.uint8)
    bins = [sum(level >= bound for bound in LEVEL_BOUNDS) for level in range(256)]
    expected = np.zeros((3, 4, 11, 11), int)
    for image, row, column in np.ndindex(images.shape):
        for direction, (down, right) in enumerate(((0, 1), (1, 0), (1, 1), (1, -1))):
            if row + down < 5 and 0 <= column + right < 4:
                pair = [bins[images[image, row, column]], bins[images[image, row + down, column + right]]]
                expected[image, direction, pair[0], pair[1]] += 1
    np.testing.assert_array_equal(count_neighbours(images), expected.reshape(3, -1))


def test_counts_do_not_depend_on_the_other_images(test_digits: Digits) -> None:
    counts = count_neighbours(test_digits.images[:5_010])
    np.testing.assert_array_equal(counts[4_990:], count_neighbours(test_digits.images[4_990:5_010]))


def test_two_halves_of_real_digits_cannot_be_told_apart(test_digits: Digits) -> None:
    order = np.random.default_rng(0).permutation(len(test_digits))
    counts = count_neighbours(test_digits.images[order])
    assert told_apart_by_texture(counts[:5_000], counts[5_000:]) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(("change", "least"), [(noisy, 0.65), (softened, 0.9)])
def test_a_slight_change_of_texture_is_seen(test_digits: Digits, change: Change, least: float) -> None:
    order = np.random.default_rng(0).permutation(len(test_digits))[:4_000]
    images = test_digits.images[order]
    assert told_apart_by_texture(count_neighbours(images[:2_000]), count_neighbours(change(images[2_000:]))) > least


def test_each_set_counts_half_whatever_its_size(test_digits: Digits) -> None:
    # Of the smaller set all are recognized, of the larger one half: the others look as the smaller set does.
    images = test_digits.images[:2_000].copy()
    images[::2] = 0
    black = np.zeros((FEWEST_FOR_TEXTURE, 28, 28), np.uint8)
    assert told_apart_by_texture(count_neighbours(images), count_neighbours(black)) == pytest.approx(0.75, abs=0.02)


def test_the_largest_difference_is_named_with_both_frequencies() -> None:
    images = np.zeros((4, 8, 8), np.uint8)
    images[:2, 3, 3] = 250
    real = images.copy()
    real[:, 5, 5] = 20
    words = largest_difference(count_neighbours(images), count_neighbours(real))
    assert words == "black next to levels 12 to 31, 0.0 times per image, 8.0 times in real ones"
    assert largest_difference(count_neighbours(real), count_neighbours(real[:0:-1])).endswith("in real ones")


def test_sets_of_equal_images_are_a_guess() -> None:
    counts = count_neighbours(np.full((FEWEST_FOR_TEXTURE, 8, 8), 7, np.uint8))
    assert told_apart_by_texture(counts, counts) == 0.5


def test_too_few_images_are_refused() -> None:
    enough = count_neighbours(np.zeros((FEWEST_FOR_TEXTURE, 4, 4), np.uint8))
    for sets in ((enough, enough[1:]), (enough[1:], enough)):
        with pytest.raises(DataError, match="199 images: expected at least 200"):
            told_apart_by_texture(*sets)
