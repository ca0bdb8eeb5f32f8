"""The two-sample test: what its networks find, what they learn from, and what they are tested on."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pocketgan_trainer.errors import DataError
from pocketgan_trainer.evaluate import classifiers, two_samples
from pocketgan_trainer.evaluate.two_samples import DETECTORS, Detector, WithLaplacian, two_sample_test

Images = NDArray[np.uint8]
every_detector = pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.name)


@pytest.fixture(scope="module")
def halves(images: Images) -> tuple[Images, Images]:
    """Two sets of 800 different real digits each."""
    return images[:800], images[800:1600]


def smoothed(images: Images) -> Images:
    """Return images averaged a little with their neighbours to the left and right; what was black stays black."""
    values = 0.7 * images + 0.15 * (np.roll(images, 1, axis=2).astype(np.float64) + np.roll(images, -1, axis=2))
    return np.where(images == 0, 0, np.rint(values)).astype(np.uint8)


def test_real_digits_look_like_real_digits(halves: tuple[Images, Images]) -> None:
    # 800 tested images: five standard deviations of pure chance.
    assert two_sample_test(*halves, DETECTORS[0], epochs=1, tested=400) == pytest.approx(0.5, abs=0.09)


@pytest.mark.slow
@every_detector
def test_smoothed_digits_are_recognized(halves: tuple[Images, Images], detector: Detector) -> None:
    assert two_sample_test(halves[0], smoothed(halves[1]), detector, epochs=4, tested=200) > 0.9


def test_the_same_digits_twice_in_one_order_do_not_help(images: Images) -> None:
    assert two_sample_test(images[:300], images[:300], DETECTORS[0], epochs=1, tested=200) == 0.5


@every_detector
def test_a_faint_haze_in_the_background_is_recognized(halves: tuple[Images, Images], detector: Detector) -> None:
    is_haze = (halves[1] == 0) & (np.random.default_rng(0).random(halves[1].shape) < 0.1)
    assert two_sample_test(halves[0], np.where(is_haze, np.uint8(24), halves[1]), detector, epochs=4, tested=300) > 0.9


def test_the_last_images_are_those_tested(halves: tuple[Images, Images]) -> None:
    # What was learned on inverted digits is wrong where the sets change places.
    first, second = halves[0][:700], 255 - halves[1][:700]
    crossed = np.concatenate([first[:400], second[400:]]), np.concatenate([second[:400], first[400:]])
    assert two_sample_test(*crossed, DETECTORS[0], epochs=2, tested=300) < 0.01


def test_the_budget_is_what_is_learned_from_and_changes_neither_the_batches_nor_what_is_tested(
    images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: list[tuple[Images, NDArray[np.int64], int]] = []
    tested: list[Images] = []

    def remember(build: object, some: Images, labels: NDArray[np.int64], recipe: object, steps: int, seed: int) -> None:
        learned.append((some, labels, steps))

    def always_second(network: None, some: Images) -> NDArray[np.int64]:
        tested.append(some)
        return np.ones(len(some), np.int64)

    monkeypatch.setattr(two_samples, "train_classifier", remember)
    monkeypatch.setattr(two_samples, "predict", always_second)
    first, second = images[:500], images[500:1000]
    for budget in (100, 400, 1_000):
        assert two_sample_test(first, second, DETECTORS[0], budget, epochs=2, tested=100) == 0.5
    for (some, labels, steps), size in zip(learned, (100, 400, 400), strict=True):
        np.testing.assert_array_equal(some, np.concatenate([first[:size], second[:size]]))
        np.testing.assert_array_equal(labels, [0] * size + [1] * size)
        assert steps == 2 * 2 * 400 // 128
    for some, expected in zip(tested, (first[400:], second[400:]) * 3, strict=True):
        np.testing.assert_array_equal(some, expected)


def test_one_seed_gives_one_figure(halves: tuple[Images, Images], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifiers, "_NORMALIZED_BATCHES", 3)
    first, second = halves[0][:350], smoothed(halves[1][:350])
    results = [two_sample_test(first, second, DETECTORS[0], seed=seed, epochs=1, tested=200) for seed in (3, 3, 4)]
    assert results[0] == results[1] != results[2]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((300, 200), "the sets hold 300 and 200 images"),
        ((163, 163), "163 images in each set, 100 of them to test with: expected at least 164"),
    ],
    ids=["different sizes", "too few to learn from"],
)
def test_sets_that_cannot_be_compared_are_refused(images: Images, sizes: tuple[int, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        two_sample_test(images[: sizes[0]], images[: sizes[1]], DETECTORS[0], tested=100)


def test_the_least_sets_can_be_learned_from(images: Images) -> None:
    assert 0 <= two_sample_test(images[:164], images[200:364], DETECTORS[0], epochs=1, tested=100) <= 1


def test_the_laplacian_is_how_much_a_pixel_exceeds_its_neighbours() -> None:
    dot = torch.zeros(1, 1, 5, 5)
    dot[0, 0, 2, 3] = 0.5
    image, laplacian = WithLaplacian()(dot)[0]
    assert torch.equal(image, dot[0, 0])
    expected = torch.zeros(5, 5)
    expected[2, 3], expected[1, 3], expected[3, 3], expected[2, 2], expected[2, 4] = 2, -0.5, -0.5, -0.5, -0.5
    assert torch.equal(laplacian, expected)
