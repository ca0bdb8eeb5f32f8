"""The canvas: MNIST's own digits, cut out and placed again, and the rule in exact fractions."""

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from pocketgan_trainer.data.fitting import lay_out_like_mnist
from pocketgan_trainer.data.published import Digits, load_mnist
from pocketgan_trainer.networks.canvas import CANVAS_SIZES, Cropping, Placement, is_laid_out


def grey_levels(images: NDArray[np.uint8]) -> Tensor:
    """Return images uint8 [N, S, S] as a generator draws them, float [N, 1, S, S] from -1 to 1."""
    return torch.from_numpy(images.copy())[:, None].float() / 127.5 - 1


def random_canvases(count: int, size: int) -> NDArray[np.uint8]:
    """Return canvases uint8 [count, size, size], each with ink of its own density in a box of its own."""
    random = np.random.default_rng(0)
    ink = random.integers(0, 256, (count, size, size)) * (random.random((count, size, size)) < random.random((count, 1, 1)))
    rows, columns = (np.arange(size) >= random.integers(0, size, (count, 1)) for _ in range(2))
    return (ink * rows[:, :, None] * columns[:, None, :]).astype(np.uint8)


@pytest.fixture(scope="module")
def digits() -> Digits:
    """MNIST's test digits."""
    return load_mnist(split="test")


@pytest.mark.parametrize("image_size", CANVAS_SIZES)
def test_the_centre_of_mass_gets_within_half_a_pixel_of_the_middle(image_size: int) -> None:
    size = CANVAS_SIZES[image_size]
    canvases = random_canvases(200, size)
    canvases[0] = 0
    canvases[1, :, :-1] = canvases[2, :-1] = 0  # only the last column or row: farther than canvases are moved
    images = Placement(image_size)(grey_levels(canvases))
    for canvas, image in zip(canvases.astype(int), ((images[:, 0] + 1) * 127.5).round().int().numpy(), strict=True):
        moves = []
        for axis in (1, 0):
            mass, moment = int(canvas.sum()), int((canvas.sum(axis=axis) * np.arange(size)).sum())
            move = ceil(Fraction(image_size - 1, 2) - Fraction(moment, mass)) if mass else 0
            moves.append(min(max(move, 0), image_size - size))
        expected = np.zeros((image_size, image_size), int)
        expected[moves[0] :, moves[1] :][:size, :size] = canvas
        np.testing.assert_array_equal(image, expected)


def test_mnists_digits_are_given_back_and_count_as_laid_out(digits: Digits) -> None:
    pixels = grey_levels(digits.images)
    canvases = Cropping(28)(pixels)
    assert canvases.shape == (len(digits), 1, 20, 20)
    assert (Placement(28)(canvases) == pixels).all(dim=(1, 2, 3)).float().mean() > 0.999
    assert is_laid_out(digits.images)


def test_moved_larger_or_smaller_images_do_not_count_as_laid_out(digits: Digits) -> None:
    images = digits.images[:1_000]
    assert not is_laid_out(np.roll(images, 1, axis=1))
    assert not is_laid_out(np.repeat(np.repeat(images[:, 7:21, 7:21], 2, axis=1), 2, axis=2))
    assert not is_laid_out(np.pad(images, ((0, 0), (2, 2), (2, 2))))  # boxes of 20 pixels, where 24 fill the canvas
    assert not is_laid_out(images // 2)  # a scan would draw its ink white
    mixed = images.copy()
    mixed[:55] = np.roll(mixed[:55], 1, axis=2)
    assert not is_laid_out(mixed)
    assert is_laid_out(np.concatenate([images, mixed[:45]]))


@pytest.mark.parametrize("image_size", CANVAS_SIZES)
def test_pictures_that_are_fitted_like_mnist_count_as_laid_out(digits: Digits, image_size: int) -> None:
    assert is_laid_out(np.stack([lay_out_like_mnist(image, image_size) for image in digits.images[:300]]))


@pytest.mark.parametrize(("height", "width", "top", "left"), [(20, 7, 0, 6), (3, 20, 8, 0), (4, 4, 8, 8)])
def test_a_smaller_box_gets_into_the_middle_of_the_canvas(height: int, width: int, top: int, left: int) -> None:
    images = np.zeros((1, 28, 28), np.uint8)
    images[0, 5 : 5 + height, 2 : 2 + width] = 9
    expected = np.zeros((1, 20, 20), np.uint8)
    expected[0, top : top + height, left : left + width] = 9
    torch.testing.assert_close(Cropping(28)(grey_levels(images)), grey_levels(expected))


def test_no_ink_stays_no_ink() -> None:
    blank = torch.full((2, 1, 28, 28), -1.0)
    assert torch.equal(Placement(28)(Cropping(28)(blank)), blank)


def test_gradients_flow_back_to_where_a_pixel_came_from() -> None:
    canvases = np.full((1, 20, 20), 1, np.uint8)
    canvases[0, 0, 0] = 255  # so that the move is not the same on both sides
    canvas = grey_levels(canvases).requires_grad_()
    image = Placement(28)(canvas)
    weights = torch.arange(28.0 * 28).view(1, 1, 28, 28)
    (image * weights).sum().backward()
    (corner,) = (image[0, 0] == 1).nonzero()
    top, left = corner.tolist()
    assert canvas.grad is not None
    torch.testing.assert_close(canvas.grad[0, 0], weights[0, 0, top : top + 20, left : left + 20])
