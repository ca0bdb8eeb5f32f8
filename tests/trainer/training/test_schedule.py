"""What changes over a run: the learning rate, constant and then falling linearly to zero, and the gradient penalty with it."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.optim import SGD

from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.schedule import gradient_penalty, learning_rate, set_learning_rate

CONFIG = TrainingConfig(preset="mlp", epochs=1, batch_size=2, learning_rate=0.004, bfloat16=False, constant_rate_share=0.6)


@pytest.mark.parametrize("seen", [0, 1, 300, 599, 600])
def test_the_rate_is_the_full_one_over_the_share_that_is_constant(seen: int) -> None:
    assert learning_rate(CONFIG, seen, 1000) == 0.004


@pytest.mark.parametrize(("seen", "share"), [(700, 0.75), (800, 0.5), (900, 0.25), (999, 0.0025)])
def test_then_it_falls_linearly(seen: int, share: float) -> None:
    assert learning_rate(CONFIG, seen, 1000) == pytest.approx(0.004 * share)


def test_it_ends_at_zero() -> None:
    assert learning_rate(CONFIG, 1000, 1000) == 0


@pytest.mark.parametrize("seen", [0, 500, 999, 1000])
def test_by_default_it_never_falls(seen: int) -> None:
    assert learning_rate(replace(CONFIG, constant_rate_share=1.0), seen, 1000) == 0.004


@pytest.mark.parametrize("seen", [0, 1, 500, 1000])
def test_it_may_fall_from_the_start(seen: int) -> None:
    assert learning_rate(replace(CONFIG, constant_rate_share=0.0), seen, 1000) == pytest.approx(0.004 * (1 - seen / 1000))


PENALIZED = replace(CONFIG, gradient_penalty=0.5, final_penalty_share=0.2)


@pytest.mark.parametrize(("seen", "penalty"), [(0, 0.5), (600, 0.5), (700, 0.4), (800, 0.3), (900, 0.2), (1000, 0.1)])
def test_the_penalty_falls_with_the_rate_to_the_share_that_is_left(seen: int, penalty: float) -> None:
    assert gradient_penalty(PENALIZED, seen, 1000) == pytest.approx(penalty)


@pytest.mark.parametrize("seen", [0, 600, 601, 1000])
def test_by_default_the_penalty_stays(seen: int) -> None:
    assert gradient_penalty(replace(PENALIZED, final_penalty_share=1.0), seen, 1000) == pytest.approx(0.5)
    assert gradient_penalty(CONFIG, seen, 1000) == 0


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
