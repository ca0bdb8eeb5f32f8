"""The moving average of weights: its half-life, its ramp, and what of a network it follows."""

import math
from copy import deepcopy

import pytest
import torch
from torch import nn

from pocketgan_trainer.training.schedule import RAMP_SHARE, ema_decay, update_ema

LATE = 10**9
"""Images seen when the ramp is long over."""


def constant(value: float) -> nn.Module:
    """Return a network all of whose floating-point tensors are `value`."""
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.fill_(value)
    return network


@pytest.mark.parametrize(("halflife_images", "batch_size"), [(1000, 10), (64, 64), (96, 64), (180_000, 128)])
def test_what_was_is_half_forgotten_after_the_half_life(halflife_images: int, batch_size: int) -> None:
    decay = ema_decay(halflife_images, LATE, batch_size)
    assert decay ** (halflife_images / batch_size) == pytest.approx(0.5)


def test_a_jump_is_half_seen_after_the_half_life() -> None:
    average, network = constant(0.0), constant(1.0)
    for step in range(100):
        update_ema(average, network, ema_decay(1000, LATE + 10 * step, 10))
    for name, value in average.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, torch.full_like(value, 0.5), msg=name)


def test_the_half_life_is_a_share_of_the_images_seen_until_that_exceeds_it() -> None:
    enough = round(1000 / RAMP_SHARE)
    seen = [enough // 10, enough // 2, enough - 100, enough, enough + 100, LATE]
    halflives = [50 * math.log(0.5) / math.log(ema_decay(1000, images, 50)) for images in seen]
    assert halflives == pytest.approx([*(images * RAMP_SHARE for images in seen[:3]), 1000, 1000, 1000])


def test_before_the_first_step_nothing_is_worth_keeping() -> None:
    average, network = constant(0.0), constant(0.1)
    update_ema(average, network, ema_decay(1000, 0, 64))
    for value, other in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        assert torch.equal(value, other)


@pytest.mark.parametrize("decay", [0.1, 0.5, 0.999])
def test_every_tensor_moves_by_the_same_share(decay: float) -> None:
    average, network = (nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)) for _ in range(2))
    network(torch.randn(4, 2, 5, 5))
    before, target = deepcopy(average.state_dict()), deepcopy(network.state_dict())
    update_ema(average, network, decay)
    for name, value in average.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, decay * before[name] + (1 - decay) * target[name], msg=name)
    for name, value in network.state_dict().items():
        assert torch.equal(value, target[name]), name


def test_counters_are_copied() -> None:
    average, network = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    for _ in range(7):
        network(torch.randn(4, 3))
    update_ema(average, network, 0.9)
    assert average.num_batches_tracked == 7
    network(torch.randn(4, 3))
    assert average.num_batches_tracked == 7
