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
    is_guided,
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
)
CONSTANT = replace(CONFIG, final_rate_share=1.0, final_penalty_share=1.0)


@pytest.mark.parametrize(("seen", "share_of_run"), [(0, 0.0), (250, 0.25), (500, 0.5), (1000, 1.0)])
def test_rate_and_penalty_fall_by_equal_factors_to_their_final_shares(seen: int, share_of_run: float) -> None:
    assert learning_rate(CONFIG, seen, 1000) == pytest.approx(0.004 * 0.01**share_of_run)
    assert penalty_weight(CONFIG, seen, 1000) == pytest.approx(0.5 * 0.16**share_of_run)
    assert (learning_rate(CONSTANT, seen, 1000), penalty_weight(CONSTANT, seen, 1000)) == (0.004, 0.5)


@pytest.mark.parametrize(("seen", "share_of_fall"), [(0, 0.0), (250, 0.5), (500, 1.0), (1000, 1.0)])
def test_a_penalty_that_falls_sooner_stays_as_it_is_from_then_on(seen: int, share_of_fall: float) -> None:
    config = replace(CONFIG, penalty_fall_share=0.5)
    assert penalty_weight(config, seen, 1000) == pytest.approx(0.5 * 0.16**share_of_fall)
    assert learning_rate(config, seen, 1000) == learning_rate(CONFIG, seen, 1000)


@pytest.mark.parametrize(
    ("share", "seen", "refines"), [(0.4, 0, False), (0.4, 599, False), (0.4, 600, True), (0.4, 1000, True), (0.0, 999, False)]
)
def test_refinement_is_the_last_share_of_the_run(share: float, seen: int, refines: bool) -> None:
    assert is_refining(replace(CONFIG, refinement_share=share), seen, 1000) is refines


def test_the_guide_comes_last() -> None:
    assert [is_guided(seen, 1000) for seen in (0, 919, 920, 1000)] == [False, False, True, True]


@pytest.mark.parametrize(
    ("share", "total", "seen", "uses"),
    [
        (0.3, 3_000_000, 899_999, True),
        (0.3, 3_000_000, 900_000, False),
        (1.0, 3_000_000, 2_999_999, True),
        # In a short run they are used for longer than their share.
        (0.3, 600_000, 399_999, True),
        (0.3, 600_000, 400_000, False),
        (0.3, 60_000, 59_999, True),
    ],
)
def test_batch_statistics_are_used_in_the_first_share_of_the_run(share: float, total: int, seen: int, uses: bool) -> None:
    assert uses_batch_statistics(replace(CONFIG, batch_statistics_share=share), seen, total) is uses


def test_frozen_statistics_stay_while_everything_else_trains_on() -> None:
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
"""Images seen when the half-life no longer grows."""


@pytest.mark.parametrize(("halflife_images", "batch_size"), [(1000, 10), (64, 64), (96, 64), (180_000, 128)])
def test_after_the_half_life_half_of_the_old_average_is_left(halflife_images: int, batch_size: int) -> None:
    decay = ema_decay(halflife_images, LATE, batch_size)
    assert decay ** (halflife_images / batch_size) == pytest.approx(0.5)


def test_the_half_life_is_a_share_of_the_images_seen_until_that_exceeds_it() -> None:
    enough = round(1000 / RAMP_SHARE)
    seen = [enough // 10, enough // 2, enough - 100, enough, enough + 100, LATE]
    halflives = [50 * math.log(0.5) / math.log(ema_decay(1000, images, 50)) for images in seen]
    assert halflives == pytest.approx([*(images * RAMP_SHARE for images in seen[:3]), 1000, 1000, 1000])
    assert ema_decay(1000, 0, 64) == 0


@pytest.mark.parametrize("decay", [0.0, 0.1, 0.999])
def test_every_tensor_moves_by_the_same_share_and_counters_are_copied(decay: float) -> None:
    average, network = (nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)) for _ in range(2))
    network(torch.randn(4, 2, 5, 5))
    before, target = deepcopy(average.state_dict()), deepcopy(network.state_dict())
    update_ema(average, network, decay)
    assert all(torch.equal(value, target[name]) for name, value in network.state_dict().items())
    network(torch.randn(4, 2, 5, 5))  # the average must not share its tensors
    for name, value in average.state_dict().items():
        expected = decay * before[name] + (1 - decay) * target[name] if value.is_floating_point() else target[name]
        torch.testing.assert_close(value, expected, msg=name)
