"""Images drawn by a torch generator, and a discriminator's logits of images: as the networks compute them, without a trace."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pocketgan.address import image_range
from pocketgan.latents import LARGEST_TICK, LATENT_STEP, latent_ticks, latents
from pocketgan_trainer.networks.dcgan import UniformDropout
from pocketgan_trainer.networks.pocket import strided_discriminator
from pocketgan_trainer.training.drawing import discriminator_logits, draw, random_latents

CPU = torch.device("cpu")


def test_training_latents_are_ticks_that_users_draw_too_and_follow_torchs_random_state() -> None:
    values = random_latents(2000, 100, CPU)
    assert (values.shape, values.dtype) == ((2000, 100), torch.float32)
    ticks = values / LATENT_STEP
    assert torch.equal(ticks, ticks.round())
    # On average, 14 of these 200,000 are beyond the last tick.
    assert (ticks.min().item(), ticks.max().item()) == (-LARGEST_TICK, LARGEST_TICK)
    assert not torch.equal(random_latents(2000, 100, CPU), values)
    torch.manual_seed(0)
    assert torch.equal(random_latents(2000, 100, CPU), values)


def test_training_latents_are_distributed_as_those_that_users_draw() -> None:
    trained = (random_latents(2000, 100, CPU) / LATENT_STEP).numpy()
    drawn = latent_ticks(image_range(0, 0, 2000), 100)
    edges = [-128, -64.5, -32.5, -16.5, -8.5, -1.5, -0.5, 0.5, 1.5, 8.5, 16.5, 32.5, 64.5, 128]
    shares, expected = (np.histogram(ticks, edges)[0] / ticks.size for ticks in (trained, drawn))
    # Five standard errors of the difference of two shares of 200,000.
    np.testing.assert_array_less(np.abs(shares - expected), 5 * np.sqrt(2 * expected / trained.size))
    # Rounding up or down would move the mean by half a tick; five standard errors are less.
    assert abs(trained.mean()) < 5 / LATENT_STEP / np.sqrt(trained.size) < 0.4


class Mirror(nn.Module):
    """Shows each latent, float [N, 784], as the image; it has one weight, so that it has a device."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(1.0))
        self.batch_sizes: list[int] = []

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """Return the latents as images [N, 1, 28, 28]; if there are labels, the grey level of each label instead."""
        self.batch_sizes.append(len(latent))
        values = latent if label is None else (label / 127.5 - 1)[:, None].expand(len(latent), 784)
        return self.gain * values.reshape(-1, 1, 28, 28)


@pytest.mark.parametrize(("seed", "start", "count"), [(5, 0, 3), (1, 3, 250), (1, 249, 2), (1, 7, 600)])
def test_pixels_are_the_values_at_each_address_rounded_and_clipped_to_black_and_white(seed: int, start: int, count: int) -> None:
    mirror = Mirror()
    drawn = draw(mirror, 784, seed, start, count)
    latent = latents(seed, start, count, size=784).astype(np.float64)
    assert drawn.dtype == np.uint8
    np.testing.assert_array_equal(drawn, np.clip(np.rint((latent + 1) * 255 / 2), 0, 255).reshape(count, 28, 28))
    assert (drawn.min(), drawn.max()) == (0, 255)
    assert max(mirror.batch_sizes) <= 250  # so that memory is bounded


@pytest.mark.parametrize(("start", "count"), [(0, 1), (7, 600)])
def test_each_image_is_of_its_own_class_wherever_the_drawing_starts(start: int, count: int) -> None:
    labels = np.random.default_rng(0).integers(0, 256, count)
    drawn = draw(Mirror(), 784, seed=1, start=start, count=count, labels=labels)
    np.testing.assert_array_equal(drawn, np.broadcast_to(labels[:, None, None], (count, 28, 28)))


def assert_leaves_no_trace(network: nn.Module, use: Callable[[], NDArray[np.generic]]) -> None:
    """Check that using a network gives the same twice and leaves its state, its layers' modes and all random states alone."""
    state = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    random, numpy_random = torch.get_rng_state(), str(np.random.get_state(legacy=False))
    np.testing.assert_array_equal(use(), use())
    assert torch.equal(torch.get_rng_state(), random)
    assert str(np.random.get_state(legacy=False)) == numpy_random
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert all(weight.grad is None and weight.requires_grad for weight in network.parameters())


@pytest.mark.parametrize("is_training", [False, True])
def test_the_generator_draws_in_evaluation_mode_and_without_a_trace(is_training: bool) -> None:
    dropouts = UniformDropout(0.5), nn.Dropout(0.5)
    generator = nn.Sequential(nn.Linear(10, 784), nn.BatchNorm1d(784), *dropouts, nn.Unflatten(1, (1, 28, 28)))
    generator.train(is_training)
    generator[1].eval()  # as where its statistics are frozen
    assert_leaves_no_trace(generator, lambda: draw(generator, 10, seed=0, start=0, count=5))


class Corners(nn.Module):
    """Gives the first pixel of each image as its logit."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.batch_sizes: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        """Return the first pixel, float [N, 1]."""
        self.batch_sizes.append(len(images))
        return images[:, 0, :1, 0] * self.scale


@pytest.mark.parametrize("count", [1, 511, 512, 513, 1200])
def test_logits_are_those_of_images_from_minus_one_to_one_in_batches(images: NDArray[np.uint8], count: int) -> None:
    network, shown = Corners(), images[:count].copy()
    shown[:, 0, 0] = np.arange(count) % 256
    logits = discriminator_logits(network, shown)
    assert logits.shape == (count,)
    assert logits.dtype == np.float32
    assert logits == pytest.approx(np.arange(count) % 256 / 127.5 - 1, abs=1e-6)
    assert discriminator_logits(network, shown, view=lambda pixels: -pixels) == pytest.approx(-logits)
    assert max(network.batch_sizes) <= 512
    assert np.array_equal(shown[:, 1:], images[:count, 1:])


@pytest.mark.parametrize("classes", [0, 10])
def test_a_discriminator_that_classifies_gets_the_labels_and_gives_its_first_output(
    images: NDArray[np.uint8], classes: int
) -> None:
    network = strided_discriminator(classes, 28, channels=(4, 6, 8), features=8)
    labels = np.random.default_rng(0).integers(10, size=700) if classes else None
    pixels = torch.from_numpy(images[:700])[:, None].float() / 127.5 - 1
    expected = network(pixels, *([] if labels is None else [torch.from_numpy(labels)])).logits
    assert discriminator_logits(network, images[:700], labels) == pytest.approx(expected[:, 0].detach().numpy(), abs=1e-5)


@pytest.mark.parametrize("is_training", [False, True])
def test_the_discriminator_judges_in_evaluation_mode_and_without_a_trace(images: NDArray[np.uint8], is_training: bool) -> None:
    layers = nn.Flatten(), nn.Linear(784, 9), nn.BatchNorm1d(9), UniformDropout(0.5), nn.Dropout(0.5), nn.Linear(9, 1)
    network = nn.Sequential(*layers).train(is_training)
    assert_leaves_no_trace(network, lambda: discriminator_logits(network, images[:50]))
