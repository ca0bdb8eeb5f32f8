"""The loss against its closed form."""

import math

import pytest
import torch
from torch import Tensor

from pocketgan_trainer.training.losses import cross_entropy_to

TARGETS = [0.0, 0.9, 1.0]


def closed_form(logits: Tensor, target: float) -> float:
    """Return the mean cross-entropy, in Python's own arithmetic."""
    terms = []
    for logit in logits.flatten().tolist():
        probability = 1 / (1 + math.exp(-logit))
        terms.append(-target * math.log(probability) - (1 - target) * math.log(1 - probability))
    return math.fsum(terms) / len(terms)


@pytest.mark.parametrize("target", TARGETS)
def test_loss_is_the_mean_cross_entropy(target: float) -> None:
    logits = 3 * torch.randn(50, 1)
    assert cross_entropy_to(logits, target).item() == pytest.approx(closed_form(logits, target), rel=1e-5)


@pytest.mark.parametrize("target", TARGETS)
def test_an_undecided_discriminator_pays_log_two(target: float) -> None:
    assert cross_entropy_to(torch.zeros(8, 1), target).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("target", TARGETS)
def test_gradient_is_probability_minus_target(target: float) -> None:
    logits = torch.randn(50, 1, requires_grad=True)
    cross_entropy_to(logits, target).backward()
    torch.testing.assert_close(logits.grad, (logits.detach().sigmoid() - target) / 50)


def test_the_least_loss_is_where_the_probability_is_the_target() -> None:
    logits = torch.linspace(-5, 5, 1001)[:, None]
    losses = torch.stack([cross_entropy_to(logit[None], 0.9) for logit in logits])
    assert logits[losses.argmin()].sigmoid().item() == pytest.approx(0.9, abs=0.001)


@pytest.mark.parametrize(("logit", "target", "expected"), [(1000.0, 1.0, 0.0), (1000.0, 0.0, 1000.0), (-1000.0, 1.0, 1000.0)])
def test_extreme_logits_stay_finite(logit: float, target: float, expected: float) -> None:
    assert cross_entropy_to(torch.full((2, 1), logit), target).item() == expected


def test_loss_of_bfloat16_logits_is_computed_in_float32() -> None:
    logits = torch.randn(50, 1).bfloat16()
    loss = cross_entropy_to(logits, 0.9)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(closed_form(logits, 0.9), rel=1e-5)
