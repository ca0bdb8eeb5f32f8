"""Drawing with torch: the same addresses as the runtime, and nothing left behind."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pocketgan.latents import latents
from pocketgan_trainer.networks.mlp import LATENT_SIZE, MlpGenerator
from pocketgan_trainer.training.sampling import draw


class Mirror(nn.Module):
    """Shows each latent, float [N, 784], as the image; it has one weight, so that it has a device."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(1.0))
        self.modes: list[bool] = []
        self.batch_sizes: list[int] = []

    def forward(self, latent: Tensor) -> Tensor:
        """Return the latents as images [N, 1, 28, 28]."""
        self.modes.append(self.training)
        self.batch_sizes.append(len(latent))
        return self.gain * latent.reshape(-1, 1, 28, 28)


def test_pixels_are_the_values_rounded_and_cut_off_at_black_and_white() -> None:
    latent = latents(seed=5, start=0, count=3, size=784).astype(np.float64)
    expected = np.clip(np.rint((latent + 1) * 255 / 2), 0, 255).reshape(3, 28, 28)
    drawn = draw(Mirror(), 784, seed=5, start=0, count=3)
    assert drawn.dtype == np.uint8
    np.testing.assert_array_equal(drawn, expected)
    # The latents go beyond -1 and 1: all of the grey scale was met, and both its ends.
    assert (drawn.min(), drawn.max()) == (0, 255)


@pytest.mark.parametrize(("start", "count"), [(0, 1), (3, 250), (249, 2), (7, 600)])
def test_image_i_is_that_of_address_i_across_batches(start: int, count: int) -> None:
    everything = draw(Mirror(), 784, seed=1, start=0, count=start + count)
    np.testing.assert_array_equal(draw(Mirror(), 784, seed=1, start=start, count=count), everything[start:])


def test_memory_is_bounded_by_batches() -> None:
    mirror = Mirror()
    draw(mirror, 784, seed=1, start=0, count=600)
    assert mirror.batch_sizes == [250, 250, 100]


def test_another_seed_draws_other_images() -> None:
    assert not np.array_equal(draw(Mirror(), 784, 1, 0, 1), draw(Mirror(), 784, 2, 0, 1))


@pytest.mark.parametrize("training", [False, True])
def test_generator_draws_in_evaluation_mode_and_is_left_in_its_own(training: bool) -> None:
    mirror = Mirror().train(training)
    draw(mirror, 784, seed=0, start=0, count=1)
    assert mirror.modes == [False]
    assert mirror.training is training


def test_running_statistics_and_weights_are_left_alone() -> None:
    generator = nn.Sequential(nn.Linear(10, 784), nn.BatchNorm1d(784), nn.Unflatten(1, (1, 28, 28)))
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    draw(generator, 10, seed=0, start=0, count=5)
    for name, value in generator.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(weight.grad is None for weight in generator.parameters())


def test_no_random_state_is_touched() -> None:
    generator, torch_state, numpy_state = MlpGenerator(), torch.get_rng_state(), np.random.get_state(legacy=False)["state"]
    draw(generator, LATENT_SIZE, seed=0, start=0, count=3)
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_equal(np.random.get_state(legacy=False)["state"], numpy_state)


def test_a_real_generator_draws_what_its_formula_says() -> None:
    generator = MlpGenerator()
    values = torch.from_numpy(latents(3, 10, 4, LATENT_SIZE))
    for name, slope in (("0", 0.2), ("2", 0.2), ("4", 1.0)):
        weight, bias = generator.state_dict()[f"{name}.weight"], generator.state_dict()[f"{name}.bias"]
        values = values @ weight.T + bias
        values = torch.where(values > 0, values, slope * values)
    expected = (values.tanh() * 127.5 + 127.5).reshape(4, 28, 28)
    drawn = draw(generator, LATENT_SIZE, seed=3, start=10, count=4)
    assert np.abs(drawn - expected.numpy()).max() < 0.501
