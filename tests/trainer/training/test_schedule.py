"""What changes over a run: rate and penalty fall by equal factors, statistics freeze, refinement sets in."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.optim import SGD

from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.schedule import (
    freeze_statistics,
    is_refining,
    learning_rate,
    penalty_weight,
    set_learning_rate,
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
