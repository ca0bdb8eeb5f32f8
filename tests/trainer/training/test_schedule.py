"""What changes over a run: rate and penalty fall, statistics freeze, refinement sets in; and the moving average of weights."""

import math
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.optim import SGD

from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.schedule import (
    RAMP_SHARE,
    ema_decay,
    freeze_statistics,
    is_refining,
    learning_rate,
    penalty_weight,
    set_learning_rate,
    update_ema,
    uses_batch_statistics,
)

CONFIG = TrainingConfig(
    preset="mlp",
    epochs=1,
    batch_size=2,
    learning_rate=0.004,
    bfloat16=False,
    final_rate_share=0.01,
    gradient_penalty=0.5,
    final_penalty_share=0.16,
    refinement_share=0.4,
    batch_statistics_share=0.3,
)
CONSTANT = replace(CONFIG, final_rate_share=1.0, final_penalty_share=1.0, batch_statistics_share=1.0)


@pytest.mark.parametrize(("seen", "rate"), [(0, 0.004), (250, 0.004 / 10**0.5), (500, 0.0004), (1000, 0.00004)])
def test_the_rate_falls_by_equal_factors_to_its_final_share(seen: int, rate: float) -> None:
    assert learning_rate(CONFIG, seen, 1000) == pytest.approx(rate)


@pytest.mark.parametrize(("seen", "penalty"), [(0, 0.5), (500, 0.2), (1000, 0.08)])
def test_so_does_the_penalty(seen: int, penalty: float) -> None:
    assert penalty_weight(CONFIG, seen, 1000) == pytest.approx(penalty)


@pytest.mark.parametrize(("seen", "refined"), [(0, False), (599, False), (600, True), (1000, True)])
def test_refinement_is_the_last_share_of_the_run(seen: int, refined: bool) -> None:
    assert is_refining(CONFIG, seen, 1000) is refined


def test_or_nothing_of_it() -> None:
    assert not is_refining(replace(CONFIG, refinement_share=0.0), 999, 1000)


@pytest.mark.parametrize("seen", [0, 1, 999, 1000])
def test_a_final_share_of_all_changes_nothing(seen: int) -> None:
    assert learning_rate(CONSTANT, seen, 1000) == 0.004
    assert penalty_weight(CONSTANT, seen, 1000) == 0.5


@pytest.mark.parametrize(("seen", "uses"), [(0, True), (899_999, True), (900_000, False), (3_000_000, False)])
def test_batch_statistics_are_used_in_the_first_share_of_the_run(seen: int, uses: bool) -> None:
    assert uses_batch_statistics(CONFIG, seen, 3_000_000) is uses


def test_or_to_the_last_image() -> None:
    assert uses_batch_statistics(CONSTANT, 2_999_999, 3_000_000)


@pytest.mark.parametrize(("total", "seen", "uses"), [(600_000, 399_999, True), (600_000, 400_000, False), (60_000, 59_999, True)])
def test_in_a_short_run_they_are_used_for_longer_than_their_share(total: int, seen: int, uses: bool) -> None:
    assert uses_batch_statistics(CONFIG, seen, total) is uses


def test_frozen_statistics_are_gone_by_and_stay_while_everything_else_trains_on() -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Dropout(0.5), nn.Flatten(), nn.BatchNorm1d(12))
    freeze_statistics(network)
    assert [layer.training for layer in network] == [True, False, True, True, False]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network(torch.randn(5, 1, 4, 4)).square().mean().backward()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(weight.grad is not None for weight in network.parameters())


def test_steps_are_of_the_rate_that_was_set() -> None:
    weights = [nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))]
    optimizer = SGD([{"params": weights[:1]}, {"params": weights[1:]}], lr=1.0)
    for weight in weights:
        weight.grad = torch.ones(1)
    set_learning_rate(optimizer, 0.25)
    optimizer.step()
    set_learning_rate(optimizer, 0.0)
    optimizer.step()
    assert [weight.item() for weight in weights] == [-0.25, -0.25]


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
