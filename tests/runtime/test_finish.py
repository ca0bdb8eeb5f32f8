"""Images made larger, smaller or dark on white: of the size that was asked for, the same digits."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pocketgan.drawing import finished, finished_image, finished_size
from pocketgan.generator import Batch, Generator


def test_without_a_wish_images_stay_as_they_are(tiny: Generator) -> None:
    (batch,) = finished(tiny.stream(10), None, is_inverted=False)
    np.testing.assert_array_equal(batch.images, tiny.generate(10))


def test_inverted_images_are_dark_on_white(tiny: Generator) -> None:
    (batch,) = finished(tiny.stream(10), None, is_inverted=True)
    np.testing.assert_array_equal(batch.images, 255 - tiny.generate(10))
    assert batch.images.dtype == np.uint8


@pytest.mark.parametrize(("height", "shape"), [(56, (56, 112)), (7, (7, 14)), (1, (1, 2)), (280, (280, 560))])
def test_images_keep_their_proportions(height: int, shape: tuple[int, int]) -> None:
    images = np.full((3, 28, 56), 200, np.uint8)
    (batch,) = finished([Batch(5, images, None)], height, is_inverted=False)
    assert batch.images.shape == (3, *shape)
    assert batch.start == 5
    assert (batch.images == 200).all()


def test_an_image_enlarged_and_reduced_again_is_nearly_itself() -> None:
    images = Generator.load("pocket").generate(20)
    (large,) = finished([Batch(0, images, None)], 280, is_inverted=False)
    (small,) = finished([large], 28, is_inverted=False)
    assert np.abs(small.images.astype(int) - images).mean() < 3


def test_labels_stay_with_their_images(conditional: Generator) -> None:
    for before, after in zip(conditional.stream(130), finished(conditional.stream(130), 14, is_inverted=True), strict=True):
        assert (after.start, len(after.images)) == (before.start, len(before.images))
        assert before.labels is not None
        assert after.labels is not None
        np.testing.assert_array_equal(after.labels, before.labels)


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("threads", [2, 5])
def test_any_number_of_threads_gives_the_same_images_in_order(conditional: Generator, threads: int) -> None:
    expected = list(finished(conditional.stream(300), 11, is_inverted=True))
    for before, after in zip(expected, finished(conditional.stream(300), 11, is_inverted=True, threads=threads), strict=True):
        assert after.start == before.start
        np.testing.assert_array_equal(after.images, before.images)


@pytest.mark.parametrize(
    ("height", "width", "wanted", "size"),
    [
        (28, 56, None, (28, 56)),
        (28, 56, 28, (28, 56)),
        (28, 28, 512, (512, 512)),
        (28, 896, 1, (1, 32)),
        (30, 20, 15, (15, 10)),
        (28, 20, 14, (14, 10)),
        (3, 10, 4, (4, 13)),
        (3, 10, 5, (5, 17)),
        (100, 10, 4, (4, 1)),
        (1024, 1, 1, (1, 1)),
    ],
)
def test_the_size_that_images_get_is_known_before_they_are_drawn(
    height: int, width: int, wanted: int | None, size: tuple[int, int]
) -> None:
    assert finished_size(height, width, wanted) == size
    (batch,) = finished([Batch(0, noise(2, height, width), None)], wanted, is_inverted=False)
    assert batch.images.shape == (2, *size)


@pytest.mark.parametrize("is_inverted", [False, True])
@pytest.mark.parametrize("height", [None, 5, 28, 60])
def test_one_image_is_finished_like_those_of_a_batch(height: int | None, is_inverted: bool) -> None:
    images = noise(3, 28, 56)
    (batch,) = finished([Batch(0, images, None)], height, is_inverted)
    for image, expected in zip(images, batch.images, strict=True):
        one = finished_image(image, height, is_inverted)
        assert one.dtype == np.uint8
        np.testing.assert_array_equal(one, expected)


@pytest.mark.parametrize("height", [5, 60])
def test_images_are_resampled_with_the_filter_of_lanczos_and_then_inverted(height: int) -> None:
    image = noise(28, 56)
    expected = np.asarray(Image.fromarray(image).resize((2 * height, height), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(finished_image(image, height, is_inverted=False), expected)
    np.testing.assert_array_equal(finished_image(image, height, is_inverted=True), 255 - expected)


@pytest.mark.parametrize("is_inverted", [False, True])
def test_an_image_of_its_own_size_keeps_its_pixels(is_inverted: bool) -> None:
    image = noise(28, 56)
    expected = 255 - image if is_inverted else image
    for height in (None, 28):
        np.testing.assert_array_equal(finished_image(image, height, is_inverted), expected)
