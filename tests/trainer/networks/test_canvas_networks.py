"""The networks for a canvas: what the discriminator is shown of the variety of its images."""

import pytest
import torch

from pocketgan_trainer.networks.canvas_networks import MinibatchDeviation


@pytest.mark.parametrize(
    ("count", "group"), [(64, [*range(32, 64)]), (48, [*range(32, 48), *range(16)]), (3, [0, 1, 2] * 10 + [0, 1])]
)
def test_the_deviation_is_that_of_a_group_in_the_mean(count: int, group: list[int]) -> None:
    features = torch.randn((count, 5, 4, 3), generator=torch.Generator().manual_seed(0))
    seen = MinibatchDeviation()(features)
    assert torch.equal(seen[:, :5], features)
    expected = torch.full((4, 3), float(features[group].numpy().std(axis=0).mean()))
    torch.testing.assert_close(seen[-1, 5], expected, atol=1e-5, rtol=0)


def test_groups_of_equal_images_have_gradients() -> None:
    features = torch.ones(32, 2, 2, 2, requires_grad=True)
    MinibatchDeviation()(features)[:, 2].sum().backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()
