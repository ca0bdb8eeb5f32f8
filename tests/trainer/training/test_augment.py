"""Shifted images: each is one of the 25 that whole pixels allow, as often as it should be, and gradients find their way back."""

from itertools import product

import pytest
import torch
from torch import Tensor

from pocketgan_trainer.training.steps import BACKGROUND, LARGEST_SHIFT_PIXELS, shifted

REACH = range(-LARGEST_SHIFT_PIXELS, LARGEST_SHIFT_PIXELS + 1)


def by_hand(image: Tensor, down: int, right: int) -> Tensor:
    """Return the image [H, W] moved, pixel by pixel."""
    moved = torch.full_like(image, BACKGROUND)
    height, width = image.shape
    for row, column in product(range(height), range(width)):
        if 0 <= row + down < height and 0 <= column + right < width:
            moved[row + down, column + right] = image[row, column]
    return moved


def test_every_image_is_one_of_the_25_that_whole_pixels_allow_all_of_them_alike_often() -> None:
    torch.manual_seed(0)
    image = torch.rand(6, 7) * 2 - 1
    places = {by_hand(image, down, right).numpy().tobytes(): 0 for down, right in product(REACH, REACH)}
    assert len(places) == 25
    for moved in shifted(image.expand(5000, 1, 6, 7), 1.0):
        places[moved.numpy().tobytes()] += 1
    assert len(places) == 25
    # 200 expected; the standard deviation is 14.
    assert all(130 < count < 270 for count in places.values())


def test_a_share_of_the_images_moves_each_on_its_own() -> None:
    torch.manual_seed(0)
    images = torch.rand(4000, 1, 6, 7)
    stayed = (shifted(images, 0.5) == images).flatten(1).all(dim=1).float().mean().item()
    # One in 25 of those that move ends where it was.
    assert stayed == pytest.approx(0.5 + 0.5 / 25, abs=0.03)


def test_a_share_of_0_leaves_images_and_random_state_alone() -> None:
    images, before = torch.rand(3, 1, 6, 7), torch.get_rng_state()
    assert shifted(images, 0.0) is images
    assert torch.equal(torch.get_rng_state(), before)


def test_shape_and_type_stay_and_the_same_random_state_gives_the_same_images() -> None:
    images = torch.rand(10, 1, 5, 9)
    results = []
    for _ in range(2):
        torch.manual_seed(4)
        results.append(shifted(images, 1.0))
    assert torch.equal(*results)
    assert results[0].shape == images.shape
    assert results[0].dtype == torch.float32
    assert not torch.equal(results[0], images)


def test_each_gradient_goes_back_to_the_pixel_that_it_came_from() -> None:
    images = (torch.arange(1.0, 20 * 30 + 1).reshape(20, 1, 5, 6)).requires_grad_()
    moved = shifted(images, 1.0)
    # Half the square has the pixel itself as its gradient, and 0 where it was moved out of sight.
    (gradient,) = torch.autograd.grad(moved.square().sum() / 2, images)
    for image, slope, result in zip(images, gradient, moved, strict=True):
        seen = torch.isin(image, result)
        assert torch.equal(slope, torch.where(seen, image, 0.0))
