"""Pictures of any size in the one size of the network."""

from collections.abc import Iterable

import numpy as np
import pytest
from image_data import different_images
from numpy.typing import NDArray

from pocketgan_trainer.data.fitting import border_brightness, fit_pictures
from pocketgan_trainer.data.source import ImageSource, PictureKind


def source(pictures: Iterable[NDArray[np.uint8]], count: int) -> ImageSource:
    return ImageSource(name="own", classes=(), labels=None, kinds={PictureKind(1, 1, "grey"): count}, pictures=pictures)


def fit_one(picture: NDArray[np.uint8], size: int = 28) -> NDArray[np.uint8]:
    fitted: NDArray[np.uint8] = fit_pictures(source([picture], 1), size, like_mnist=False).images[0]
    assert fitted.shape == (size, size)
    return fitted


def test_images_of_the_size_are_not_copied() -> None:
    images = different_images(5)
    assert fit_pictures(source(images, 5), 28, like_mnist=False).images is images


@pytest.mark.parametrize("size", [28, 32])
@pytest.mark.parametrize("shape", [(56, 28), (28, 56), (300, 150), (150, 300), (10, 5), (5, 10)])
def test_proportions_are_kept_and_black_is_added_on_both_sides(shape: tuple[int, int], size: int) -> None:
    picture = np.full(shape, 100, np.uint8)
    fitted = fit_one(picture, size)
    if shape[0] < shape[1]:
        fitted = fitted.T
    expected = np.zeros((size, size), np.uint8)
    expected[:, size // 4 : 3 * size // 4] = 100
    np.testing.assert_array_equal(fitted, expected)


def test_a_bright_picture_is_padded_with_the_brightness_of_its_border() -> None:
    picture = np.full((56, 28), 240, np.uint8)
    picture[20:30, 10:20] = 0
    fitted = fit_one(picture)
    assert set(np.unique(fitted[:, :7])) == set(np.unique(fitted[:, 21:])) == {240}


@pytest.mark.parametrize("shape", [(1, 4096), (4096, 1), (1, 1)])
def test_the_thinnest_pictures_fit(shape: tuple[int, int]) -> None:
    assert fit_one(np.full(shape, 90, np.uint8)).max() == 90


def test_a_reduced_picture_keeps_a_black_background() -> None:
    picture = np.zeros((280, 280), np.uint8)
    picture[100:180, 100:180] = 255
    fitted = fit_one(picture)
    assert set(np.unique(fitted)) == {0, 255}
    assert np.count_nonzero(fitted) == 64


def test_the_border_is_each_outermost_pixel_once() -> None:
    image = np.zeros((2, 4, 5), np.uint8)
    image[0, 0, 0] = 140
    image[1, 1:3, 1:4] = 255
    assert border_brightness(image).tolist() == [10, 0]
    assert float(border_brightness(np.full((1, 1), 9, np.uint8))) == 9


def test_bright_borders_are_counted() -> None:
    images = np.zeros((3, 28, 28), np.uint8)
    images[1:] = 200
    assert fit_pictures(source(images, 3), 28, like_mnist=False).dark_on_white == 2
    assert fit_pictures(source(images, 3), 32, like_mnist=False).dark_on_white == 2
