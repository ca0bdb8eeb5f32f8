"""Dropout: what is dropped, what is kept, and the gradient through it."""

import pytest
import torch

from pocketgan_trainer.networks.dcgan import UniformDropout


def test_evaluation_changes_nothing() -> None:
    values = torch.randn(3, 4)
    assert torch.equal(UniformDropout(0.3).eval()(values), values)


@pytest.mark.parametrize("probability", [0.1, 0.3, 0.5])
def test_the_named_share_is_dropped(probability: float) -> None:
    dropped = UniformDropout(probability)(torch.ones(1000, 1000)) == 0
    # Ten standard errors are 0.005.
    assert dropped.float().mean().item() == pytest.approx(probability, abs=0.005)


@pytest.mark.parametrize("probability", [0.1, 0.3, 0.5])
def test_the_mean_is_kept(probability: float) -> None:
    assert UniformDropout(probability)(torch.ones(1000, 1000)).mean().item() == pytest.approx(1, abs=0.01)


def test_what_is_kept_is_scaled_by_one_factor() -> None:
    values = torch.randn(100, 100)
    result = UniformDropout(0.3)(values)
    kept = result != 0
    torch.testing.assert_close(result[kept], values[kept] / 0.7)


def test_each_value_is_dropped_on_its_own() -> None:
    kept = (UniformDropout(0.5)(torch.ones(1000, 1000)) != 0).float()
    assert kept.mean(dim=0).std() < 0.03
    assert kept.mean(dim=1).std() < 0.03


def test_the_gradient_passes_where_the_value_did() -> None:
    values = torch.rand(100, 100) + 1
    values.requires_grad_()
    result = UniformDropout(0.3)(values)
    result.sum().backward()
    assert values.grad is not None
    torch.testing.assert_close(values.grad * values, result)
    assert 0.2 < (values.grad == 0).float().mean() < 0.4


def test_masks_differ_from_call_to_call_and_follow_the_seed() -> None:
    dropout, values = UniformDropout(0.5), torch.ones(100)
    first, second = dropout(values), dropout(values)
    torch.manual_seed(0)
    again = dropout(values)
    assert not torch.equal(first, second)
    assert torch.equal(first, again)


def test_the_type_of_the_values_is_kept() -> None:
    assert UniformDropout(0.3)(torch.ones(4, dtype=torch.bfloat16)).dtype == torch.bfloat16
