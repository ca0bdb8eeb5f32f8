"""The losses, the gradient penalty and the shifts of images, against values by hand."""

import math
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from pocketgan_trainer.training.steps import (
    LARGEST_SHIFT_PIXELS,
    cross_entropy_to,
    gradient_penalty,
    relativistic_loss,
    shifted,
)


def closed_form(logits: Tensor, target: float) -> float:
    """Return the mean cross-entropy, in Python's own arithmetic."""
    terms = []
    for logit in logits.flatten().tolist():
        probability = 1 / (1 + math.exp(-logit))
        terms.append(-target * math.log(probability) - (1 - target) * math.log(1 - probability))
    return math.fsum(terms) / len(terms)


@pytest.mark.parametrize("target", [0.0, 0.9, 1.0])
def test_cross_entropy_is_the_mean_over_logits(target: float) -> None:
    logits = 3 * torch.randn(50, 1)
    assert cross_entropy_to(logits, target).item() == pytest.approx(closed_form(logits, target), rel=1e-5)


@pytest.mark.parametrize(("logit", "target", "expected"), [(1000.0, 1.0, 0.0), (1000.0, 0.0, 1000.0), (-1000.0, 1.0, 1000.0)])
def test_extreme_logits_stay_finite(logit: float, target: float, expected: float) -> None:
    assert cross_entropy_to(torch.full((2, 1), logit), target).item() == expected


def test_cross_entropy_of_bfloat16_logits_is_computed_in_float32() -> None:
    logits = torch.randn(50, 1).bfloat16()
    loss = cross_entropy_to(logits, 0.9)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(closed_form(logits, 0.9), rel=1e-5)


def test_relativistic_loss_is_the_mean_softplus_of_the_lower_ones_lead() -> None:
    higher, lower = 3 * torch.randn(50, 1), 3 * torch.randn(50, 1)
    terms = [
        math.log1p(math.exp(low - high)) for high, low in zip(higher.flatten().tolist(), lower.flatten().tolist(), strict=True)
    ]
    assert relativistic_loss(higher, lower).item() == pytest.approx(math.fsum(terms) / 50, rel=1e-5)


@pytest.mark.parametrize(("lead", "expected"), [(1000.0, 0.0), (-1000.0, 1000.0)])
def test_extreme_leads_stay_finite(lead: float, expected: float) -> None:
    assert relativistic_loss(torch.full((2, 1), lead), torch.zeros(2, 1)).item() == expected


def test_relativistic_loss_of_bfloat16_logits_is_computed_in_float32() -> None:
    real, fake = torch.randn(50, 1).bfloat16(), torch.randn(50, 1).bfloat16()
    loss = relativistic_loss(real, fake)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, relativistic_loss(real.float(), fake.float()))


def test_gradient_penalty_is_that_of_finite_differences() -> None:
    judge = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    images, step = torch.randn(4, 2, 2, 3, dtype=torch.float64, requires_grad=True), 1e-5
    with torch.no_grad():
        pixels = torch.eye(12, dtype=torch.float64).reshape(12, 2, 2, 3)
        slopes = [(judge(images + step * pixel) - judge(images - step * pixel)) / (2 * step) for pixel in pixels]
        expected = torch.cat(slopes, dim=1).square().sum(dim=1).mean().item()
    assert gradient_penalty(judge(images), images).item() == pytest.approx(expected, rel=1e-5)


def test_gradient_penalty_can_be_differentiated_again() -> None:
    steepness, images = torch.tensor(3.0, requires_grad=True), torch.randn(5, 1, 3, 4, requires_grad=True)
    logits = steepness * images.square().sum(dim=(1, 2, 3))[:, None] / 2  # the gradient at each image is that image times 3
    gradient_penalty(logits, images).backward()
    torch.testing.assert_close(steepness.grad, 2 * 3 * images.detach().square().sum() / 5)


REACH = range(-LARGEST_SHIFT_PIXELS, LARGEST_SHIFT_PIXELS + 1)


def by_hand(image: Tensor, down: int, right: int) -> Tensor:
    """Return the image [H, W] moved, pixel by pixel."""
    moved = torch.full_like(image, -1.0)
    height, width = image.shape
    for row, column in product(range(height), range(width)):
        if 0 <= row + down < height and 0 <= column + right < width:
            moved[row + down, column + right] = image[row, column]
    return moved


def test_all_25_shifts_by_whole_pixels_are_equally_frequent() -> None:
    torch.manual_seed(0)
    image = torch.rand(6, 7) * 2 - 1
    places = {by_hand(image, down, right).numpy().tobytes(): 0 for down, right in product(REACH, REACH)}
    assert len(places) == 25
    for moved in shifted(image.expand(5000, 1, 6, 7), 1.0):
        places[moved.numpy().tobytes()] += 1
    assert len(places) == 25
    # 200 expected; the standard deviation is 14.
    assert all(130 < count < 270 for count in places.values())


def test_a_share_of_the_images_moves() -> None:
    torch.manual_seed(0)
    images = torch.rand(4000, 1, 6, 7)
    stayed = (shifted(images, 0.5) == images).flatten(1).all(dim=1).float().mean().item()
    # One in 25 of those that move ends where it was.
    assert stayed == pytest.approx(0.5 + 0.5 / 25, abs=0.03)


def test_a_share_of_0_leaves_images_and_random_state_alone() -> None:
    images, before = torch.rand(3, 1, 6, 7), torch.get_rng_state()
    assert shifted(images, 0.0) is images
    assert torch.equal(torch.get_rng_state(), before)


def test_the_same_random_state_gives_the_same_shifts() -> None:
    images, results = torch.rand(10, 1, 5, 9), []
    for _ in range(2):
        torch.manual_seed(4)
        results.append(shifted(images, 1.0))
    assert torch.equal(*results)
    assert (results[0].shape, results[0].dtype) == (images.shape, torch.float32)


def test_each_gradient_goes_back_to_the_pixel_that_it_came_from() -> None:
    images = (torch.arange(1.0, 20 * 30 + 1).reshape(20, 1, 5, 6)).requires_grad_()
    moved = shifted(images, 1.0)
    # Half the square has the pixel itself as its gradient, and 0 where it was moved out of sight.
    (gradient,) = torch.autograd.grad(moved.square().sum() / 2, images)
    for image, slope, result in zip(images, gradient, moved, strict=True):
        seen = torch.isin(image, result)
        assert torch.equal(slope, torch.where(seen, image, 0.0))
