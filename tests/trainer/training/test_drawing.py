"""Drawing with torch: the same addresses as the runtime, and nothing left behind."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pocketgan.address import image_range
from pocketgan.latents import LARGEST_TICK, LATENT_STEP, latent_ticks, latents
from pocketgan_trainer.networks.mlp import LATENT_SIZE, MlpGenerator
from pocketgan_trainer.training.drawing import draw, random_latents


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


class LabelMirror(nn.Module):
    """Shows each label, int64 [N], as the grey level of the whole image."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(1.0))

    def forward(self, latent: Tensor, label: Tensor) -> Tensor:
        """Return images [N, 1, 28, 28]."""
        assert len(latent) == len(label)
        return (self.gain * label / 127.5 - 1)[:, None, None, None].expand(-1, 1, 28, 28)


CPU = torch.device("cpu")


def test_latents_to_train_on_are_from_the_set_that_users_draw_from() -> None:
    values = random_latents(2000, 100, CPU)
    assert (values.shape, values.dtype) == ((2000, 100), torch.float32)
    ticks = values / LATENT_STEP
    assert torch.equal(ticks, ticks.round())
    # Beyond the last tick lie 14 of these 200,000 on average.
    assert (ticks.min().item(), ticks.max().item()) == (-LARGEST_TICK, LARGEST_TICK)


def test_latents_to_train_on_are_distributed_as_those_that_users_draw() -> None:
    trained = (random_latents(2000, 100, CPU) / LATENT_STEP).numpy()
    drawn = latent_ticks(image_range(0, 0, 2000), 100)
    edges = [-128, -64.5, -32.5, -16.5, -8.5, -1.5, -0.5, 0.5, 1.5, 8.5, 16.5, 32.5, 64.5, 128]
    shares, expected = (np.histogram(ticks, edges)[0] / ticks.size for ticks in (trained, drawn))
    # Five standard errors of the difference of two shares of 200,000.
    np.testing.assert_array_less(np.abs(shares - expected), 5 * np.sqrt(2 * expected / trained.size))
    # Rounding up or down would move the mean by half a tick; five standard errors are less.
    assert abs(trained.mean()) < 5 / LATENT_STEP / np.sqrt(trained.size) < 0.4


def test_latents_to_train_on_follow_torchs_random_state() -> None:
    first, second = random_latents(3, 5, CPU), random_latents(3, 5, CPU)
    torch.manual_seed(0)
    again = random_latents(3, 5, CPU)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


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


@pytest.mark.parametrize(("start", "count"), [(0, 1), (3, 250), (7, 600)])
def test_each_image_is_of_its_own_class_wherever_the_drawing_starts(start: int, count: int) -> None:
    labels = np.random.default_rng(0).integers(0, 256, count)
    drawn = draw(LabelMirror(), 8, seed=1, start=start, count=count, labels=labels)
    np.testing.assert_array_equal(drawn, np.broadcast_to(labels[:, None, None], (count, 28, 28)))


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


def test_a_layer_that_is_frozen_stays_so() -> None:
    generator = nn.Sequential(nn.Linear(10, 784), nn.BatchNorm1d(784), nn.Unflatten(1, (1, 28, 28)))
    generator[1].eval()
    draw(generator, 10, seed=0, start=0, count=1)
    assert [generator.training, *(layer.training for layer in generator)] == [True, True, False, True]


def test_running_statistics_and_weights_are_left_alone() -> None:
    generator = nn.Sequential(nn.Linear(10, 784), nn.BatchNorm1d(784), nn.Unflatten(1, (1, 28, 28)))
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    draw(generator, 10, seed=0, start=0, count=5)
    for name, value in generator.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(weight.grad is None for weight in generator.parameters())


def test_no_random_state_is_touched() -> None:
    generator, torch_state, numpy_state = MlpGenerator(28), torch.get_rng_state(), np.random.get_state(legacy=False)["state"]
    draw(generator, LATENT_SIZE, seed=0, start=0, count=3)
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_equal(np.random.get_state(legacy=False)["state"], numpy_state)


def test_a_real_generator_draws_what_its_formula_says() -> None:
    generator = MlpGenerator(28)
    values = torch.from_numpy(latents(3, 10, 4, LATENT_SIZE))
    for name, slope in (("0", 0.2), ("2", 0.2), ("4", 1.0)):
        weight, bias = generator.state_dict()[f"{name}.weight"], generator.state_dict()[f"{name}.bias"]
        values = values @ weight.T + bias
        values = torch.where(values > 0, values, slope * values)
    expected = (values.tanh() * 127.5 + 127.5).reshape(4, 28, 28)
    drawn = draw(generator, LATENT_SIZE, seed=3, start=10, count=4)
    assert np.abs(drawn - expected.numpy()).max() < 0.501
