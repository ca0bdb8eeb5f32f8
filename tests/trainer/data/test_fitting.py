"""Pictures of any size in the one size of the network, as they are or laid out like MNIST's digits."""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from image_data import different_images, write_pictures
from numpy.typing import NDArray

from pocketgan_trainer.data.fitting import border_brightness, fit_pictures, lay_out_like_mnist
from pocketgan_trainer.data.images import load_training_images
from pocketgan_trainer.data.source import ImageSource, NamedClasses, PictureKind


def source(pictures: Iterable[NDArray[np.uint8]], count: int) -> ImageSource:
    return ImageSource("own", NamedClasses(), {PictureKind(1, 1, "grey"): count}, pictures)


def fit_one(picture: NDArray[np.uint8], size: int = 28) -> NDArray[np.uint8]:
    fitted: NDArray[np.uint8] = fit_pictures(source([picture], 1), size, like_mnist=False).images[0]
    assert fitted.shape == (size, size)
    return fitted


def test_images_of_the_size_are_not_copied() -> None:
    images = different_images(5)
    assert fit_pictures(source(images, 5), 28, like_mnist=False).images is images


@pytest.mark.parametrize(("shape", "size"), [((56, 28), 28), ((150, 300), 28), ((10, 5), 28), ((300, 150), 32), ((5, 10), 32)])
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


@pytest.mark.parametrize("size", [28, 32])
def test_bright_borders_are_counted(size: int) -> None:
    images = np.stack([np.full((28, 28), level, np.uint8) for level in (0, 127, 128, 200)])
    assert fit_pictures(source(images, 4), size, like_mnist=False).dark_on_white == 2


def centre_of_mass(image: NDArray[np.uint8]) -> tuple[float, float]:
    mass = image.astype(float)
    places = np.arange(len(image))
    return float(mass.sum(axis=1) @ places / mass.sum()), float(mass.sum(axis=0) @ places / mass.sum())


def box(image: NDArray[np.uint8]) -> tuple[int, int]:
    """Return height and width of what is not black."""
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    return rows[-1].item() - rows[0].item() + 1, columns[-1].item() - columns[0].item() + 1


def seven(height: int, width: int, top: int, left: int) -> NDArray[np.uint8]:
    """Return a seven of 60x40 pixels, white on black, with its corner at (top, left)."""
    picture = np.zeros((height, width), np.uint8)
    picture[top : top + 8, left : left + 40] = 255
    for row in range(60):
        middle = left + 36 - row // 2
        picture[top + row, middle - 4 : middle + 4] = 255
    return picture


@pytest.mark.parametrize(("size", "longer", "top", "left"), [(28, 20, 2, 3), (28, 20, 70, 20), (32, 24, 35, 100)])
def test_a_digit_anywhere_is_scaled_into_the_box_and_centred_by_its_mass(size: int, longer: int, top: int, left: int) -> None:
    laid_out = lay_out_like_mnist(seven(140, 150, top, left), size)
    assert laid_out.shape == (size, size)
    assert laid_out.dtype == np.uint8
    assert laid_out.max() == 255
    assert box(laid_out)[0] == longer
    assert abs(box(laid_out)[1] - longer * 40 / 60) <= 1
    assert centre_of_mass(laid_out) == pytest.approx((size / 2, size / 2), abs=0.5)


def test_paper_that_is_not_quite_white_becomes_black_and_weak_ink_strong() -> None:
    random = np.random.default_rng(0)
    clean = seven(140, 150, 70, 20)
    scanned = (20 + random.normal(0, 4, clean.shape) + clean * 0.5).clip(0, 255).astype(np.uint8)
    difference = np.abs(lay_out_like_mnist(scanned, 28).astype(int) - lay_out_like_mnist(clean, 28))
    assert difference.mean() < 3


def test_ink_that_touches_the_border_is_still_ink() -> None:
    clean = seven(140, 150, 70, 20)
    cropped = clean[70:130, 20:60]
    np.testing.assert_array_equal(lay_out_like_mnist(cropped, 28), lay_out_like_mnist(clean, 28))


def test_a_thin_line_is_not_lost() -> None:
    picture = np.zeros((400, 400), np.uint8)
    picture[50:350, 200] = 255
    laid_out = lay_out_like_mnist(picture, 28)
    assert np.unique(laid_out).tolist() == [0, 255]
    assert np.count_nonzero(laid_out) == 20


@pytest.mark.parametrize("level", [0, 90, 255])
def test_an_empty_picture_is_black(level: int) -> None:
    assert not lay_out_like_mnist(np.full((50, 40), level, np.uint8), 28).any()
    assert not lay_out_like_mnist(np.full((1, 1), level, np.uint8), 28).any()


def test_digits_of_mnist_on_white_come_back_nearly_as_they_were(tmp_path: Path, images: NDArray[np.uint8]) -> None:
    random = np.random.default_rng(3)
    canvases = np.full((200, 150, 120), 255, np.uint8)
    for canvas, digit in zip(canvases, images, strict=False):
        top, left = random.integers(150 - 84), random.integers(120 - 84)
        canvas[top : top + 84, left : left + 84] -= digit.repeat(3, axis=0).repeat(3, axis=1)
    write_pictures(tmp_path, canvases)
    loaded = load_training_images(str(tmp_path), like_mnist=True)
    assert np.abs(loaded.images.astype(int) - images[:200]).mean() < 0.5
    assert "200 of 200 images were dark on white and were inverted." in loaded.notes
    assert not any("look dark on white" in note for note in loaded.notes)


@pytest.mark.parametrize(
    ("inverted", "blank", "expected"),
    [
        (0, 3, ["3 of 203 images show no ink and are black."]),
        (1, 1, ["1 of 202 images was dark on white and was inverted.", "1 of 202 images shows no ink and is black."]),
    ],
)
def test_notes_count_inverted_and_blank_pictures(tmp_path: Path, inverted: int, blank: int, expected: list[str]) -> None:
    pictures = different_images(200 + inverted + blank, 40)
    pictures[:inverted] = 255 - pictures[:inverted]
    pictures[inverted : inverted + blank] = 0
    write_pictures(tmp_path, pictures)
    loaded = load_training_images(str(tmp_path), 32, like_mnist=True)
    assert loaded.images.shape == (len(pictures), 32, 32)
    assert [note for note in loaded.notes if re.search("inverted|ink|dark|grey value", note)] == expected
