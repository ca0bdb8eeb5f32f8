"""What the detector must not see, and the small things that it must."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketgan_trainer.errors import DataError
from pocketgan_trainer.evaluate.classifiers import told_apart

Images = NDArray[np.uint8]


@pytest.fixture(scope="module")
def halves(images: Images) -> tuple[Images, Images]:
    """Two sets of 800 different real digits each."""
    return images[:800], images[800:1600]


def smoothed(images: Images) -> Images:
    """Return images averaged a little with their neighbours to the left and right; what was black stays black."""
    values = 0.7 * images + 0.15 * (np.roll(images, 1, axis=2).astype(np.float64) + np.roll(images, -1, axis=2))
    return np.where(images == 0, 0, np.rint(values)).astype(np.uint8)


def test_real_digits_cannot_be_told_from_real_digits(halves: tuple[Images, Images]) -> None:
    # 800 tested images: five standard deviations of pure chance.
    assert told_apart(*halves, epochs=1, tested=400) == pytest.approx(0.5, abs=0.09)


def test_smoothed_digits_are_told_apart(halves: tuple[Images, Images]) -> None:
    assert told_apart(halves[0], smoothed(halves[1]), epochs=4, tested=200) > 0.9


def test_the_same_digits_twice_in_one_order_do_not_help(images: Images) -> None:
    assert told_apart(images[:300], images[:300], epochs=1, tested=200) == 0.5


def test_a_faint_haze_in_the_background_is_seen(halves: tuple[Images, Images]) -> None:
    is_haze = (halves[1] == 0) & (np.random.default_rng(0).random(halves[1].shape) < 0.1)
    assert told_apart(halves[0], np.where(is_haze, np.uint8(24), halves[1]), epochs=4, tested=300) > 0.9


def test_one_seed_gives_one_result(halves: tuple[Images, Images]) -> None:
    first, second = halves[0][:400], smoothed(halves[1][:400])
    results = [told_apart(first, second, seed=seed, epochs=2, tested=200) for seed in (3, 3, 4)]
    assert results[0] == results[1]
    assert results[0] != results[2]


def test_the_last_images_are_those_tested(halves: tuple[Images, Images]) -> None:
    # What was learned on inverted digits is wrong where the sets change places.
    first, second = halves[0][:700], 255 - halves[1][:700]
    crossed = np.concatenate([first[:400], second[400:]]), np.concatenate([second[:400], first[400:]])
    assert told_apart(*crossed, epochs=2, tested=300) < 0.01


def test_sets_of_different_sizes_are_an_error(images: Images) -> None:
    with pytest.raises(DataError, match="the sets hold 300 and 200 images"):
        told_apart(images[:300], images[:200], tested=100)


def test_too_few_images_to_learn_from_are_an_error(images: Images) -> None:
    with pytest.raises(DataError, match="163 images in each set, 100 of them to test with: expected at least 164"):
        told_apart(images[:163], images[:163], tested=100)
