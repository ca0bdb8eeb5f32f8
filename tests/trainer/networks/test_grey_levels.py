"""The grey levels at the end of a generator: exact pixels forwards, and backwards a gradient that clipping does not end."""

import pytest
import torch
from torch import nn

from pocketgan_trainer.networks.pocket import LEAK, MARGIN, GreyLevelRounding

LEVELS = torch.arange(256)


def gradient_at(brightness: float, gradient: float) -> float:
    """Return the gradient with respect to one brightness if that of its grey level is `gradient`."""
    value = torch.tensor([brightness], requires_grad=True)
    (found,) = torch.autograd.grad(GreyLevelRounding()(value), value, torch.tensor([gradient]))
    return float(found.item())


@pytest.mark.parametrize("offset", [-0.49, 0.0, 0.49])
def test_brightness_is_rounded_to_the_nearest_of_256_levels(offset: float) -> None:
    assert torch.equal(GreyLevelRounding()((LEVELS + offset) / 255), LEVELS / 127.5 - 1)


@pytest.mark.parametrize(("brightness", "level"), [(-1e-9, -1.0), (-0.3, -1.0), (-1e9, -1.0), (1 + 1e-6, 1.0), (7.0, 1.0)])
def test_what_is_too_dark_is_black_and_what_is_too_bright_is_white(brightness: float, level: float) -> None:
    assert GreyLevelRounding()(torch.tensor(brightness)).item() == level


def test_the_pixel_that_is_saved_is_the_level() -> None:
    pixels = ((GreyLevelRounding()(LEVELS / 255) + 1) * 127.5).round().to(torch.uint8)
    assert torch.equal(pixels, LEVELS.to(torch.uint8))


def test_discriminator_sees_in_training_what_is_saved_in_the_end() -> None:
    levels, brightness = GreyLevelRounding(), 2 * torch.rand(3, 1, 28, 28) - 0.5
    assert torch.equal(levels.train()(brightness), levels.eval()(brightness))


@pytest.mark.parametrize("brightness", [0.0, 0.3, 0.5 / 255, 1.0])
@pytest.mark.parametrize("gradient", [-3.0, 0.5])
def test_inside_the_gradient_is_that_of_the_brightness_stretched_to_minus_one_and_one(brightness: float, gradient: float) -> None:
    assert gradient_at(brightness, gradient) == 2 * gradient


@pytest.mark.parametrize("brightness", [-1e-6, -0.1, 1 + 1e-6, 1.1])
@pytest.mark.parametrize("gradient", [-3.0, 0.5])
def test_outside_a_share_of_it_is_left_in_both_directions(brightness: float, gradient: float) -> None:
    assert 0 < LEAK < 1
    assert gradient_at(brightness, gradient) == pytest.approx(2 * LEAK * gradient)


@pytest.mark.parametrize(("brightness", "inwards"), [(-MARGIN - 1e-3, -1.0), (-5.0, -1.0), (1 + MARGIN + 1e-3, 1.0), (9.0, 1.0)])
def test_far_outside_only_what_pulls_inwards_is_left(brightness: float, inwards: float) -> None:
    assert gradient_at(brightness, inwards) == pytest.approx(2 * LEAK * inwards)
    assert gradient_at(brightness, -inwards) == 0


def test_values_do_not_run_away() -> None:
    brightness = nn.Parameter(torch.tensor([0.5, 0.5]))
    optimizer = torch.optim.SGD([brightness], lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        (GreyLevelRounding()(brightness) * torch.tensor([1.0, -1.0])).sum().backward()
        optimizer.step()
    darkest, brightest = brightness.tolist()
    step = 0.1 * 2 * LEAK
    assert -MARGIN - step <= darkest <= -MARGIN
    assert 1 + MARGIN <= brightest <= 1 + MARGIN + step


@pytest.mark.parametrize("begin", [-0.4, 0.4, 1.4])
@pytest.mark.parametrize("wanted", [-1.0, 1.0])
def test_descent_reaches_black_and_white_from_anywhere(begin: float, wanted: float) -> None:
    brightness = nn.Parameter(torch.tensor(begin))
    optimizer = torch.optim.SGD([brightness], lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        (GreyLevelRounding()(brightness) - wanted).square().backward()
        optimizer.step()
    assert GreyLevelRounding()(brightness).item() == wanted


def test_one_pass_serves_two_losses() -> None:
    brightness = (1.4 * torch.rand(50) - 0.2).requires_grad_()
    image = GreyLevelRounding()(brightness)
    first, second = (torch.autograd.grad(loss, brightness, retain_graph=True)[0] for loss in (image.sum(), -3 * image.sum()))
    slope = 2 * torch.where((brightness < 0) | (brightness > 1), LEAK, 1.0)
    torch.testing.assert_close(first, slope)
    torch.testing.assert_close(second, -3 * slope)


def test_bfloat16_comes_out_as_exact_levels_in_float32() -> None:
    brightness = torch.rand(1000).bfloat16().requires_grad_()
    image = GreyLevelRounding()(brightness)
    assert image.dtype == torch.float32
    assert torch.equal(image, GreyLevelRounding()(brightness.detach().float()))
    image.sum().backward()
    assert brightness.grad is not None
    assert brightness.grad.dtype == torch.bfloat16
