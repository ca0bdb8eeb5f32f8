"""Images drawn by a torch generator, and a discriminator's logits of images: as the networks compute them, without a trace."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pocketgan.address import image_range
from pocketgan.latents import LARGEST_TICK, LATENT_STEP, latent_ticks, latents
from pocketgan_trainer.networks.dcgan import DcganDiscriminator, UniformDropout
from pocketgan_trainer.networks.mlp import LATENT_SIZE, MlpDiscriminator, MlpGenerator
from pocketgan_trainer.networks.pocket import PocketDiscriminator
from pocketgan_trainer.training.drawing import discriminator_logits, draw, random_latents


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


def in_training(images: NDArray[np.uint8]) -> Tensor:
    """Return images as a training step feeds them, float [N, 1, S, S] in [-1, 1]."""
    return torch.from_numpy(images.copy())[:, None].float() / 127.5 - 1


def small_pocket(classes: int) -> PocketDiscriminator:
    """Return a small discriminator of the project's own kind."""
    return PocketDiscriminator(classes, 28, channels=(4, 6, 8), features=8)


class Corners(nn.Module):
    """Says of an image what its first pixel is, and keeps the sizes of the batches it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.batches: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        """Return the first pixel, float [N, 1]."""
        self.batches.append(len(images))
        return images[:, 0, :1, 0] * self.scale


@pytest.mark.parametrize("count", [1, 499, 500, 501, 1200])
def test_logits_are_those_of_the_network(images: NDArray[np.uint8], count: int) -> None:
    network = MlpDiscriminator(28)
    said = discriminator_logits(network, images[:count])
    assert said.dtype == np.float32
    assert said.shape == (count,)
    assert said == pytest.approx(network(in_training(images[:count]))[:, 0].detach().numpy(), abs=1e-6)
    assert count == 1 or said.std() > 0


def test_many_images_are_shown_in_batches_that_memory_suffices_for(images: NDArray[np.uint8]) -> None:
    network = Corners()
    shown = images.copy()
    shown[:, 0, 0] = np.arange(len(shown)) % 256
    assert discriminator_logits(network, shown) == pytest.approx(np.arange(len(shown)) % 256 / 127.5 - 1, abs=1e-6)
    assert sum(network.batches) == len(shown)
    assert max(network.batches) <= 500


def test_black_is_minus_one_and_white_one() -> None:
    shown = np.zeros((2, 28, 28), np.uint8)
    shown[1] = 255
    assert discriminator_logits(Corners(), shown).tolist() == [-1, 1]


def test_a_discriminator_with_classes_is_told_them(images: NDArray[np.uint8]) -> None:
    network, labels = small_pocket(10), np.random.default_rng(0).integers(10, size=700)
    said = discriminator_logits(network, images[:700], labels)
    realism, _ = network(in_training(images[:700]), torch.from_numpy(labels))
    assert said == pytest.approx(realism[:, 0].detach().numpy(), abs=1e-5)
    assert not np.allclose(said, discriminator_logits(network, images[:700], (labels + 1) % 10), atol=1e-3)


def test_a_discriminator_that_could_name_classes_but_has_none_is_told_none(images: NDArray[np.uint8]) -> None:
    network = small_pocket(0)
    realism, _ = network(in_training(images[:20]))
    assert discriminator_logits(network, images[:20]) == pytest.approx(realism[:, 0].detach().numpy(), abs=1e-5)


@pytest.mark.parametrize("was_training", [True, False])
def test_the_mode_is_as_it_was_and_verdicts_are_those_of_evaluation(images: NDArray[np.uint8], was_training: bool) -> None:
    network = nn.Sequential(nn.Flatten(), UniformDropout(0.5), nn.Dropout(0.5), nn.Linear(784, 1)).train(was_training)
    said = discriminator_logits(network, images[:50])
    assert [module.training for module in network.modules()] == [was_training] * 5
    assert np.array_equal(said, discriminator_logits(network, images[:50]))
    assert said == pytest.approx(network.eval()(in_training(images[:50]))[:, 0].detach().numpy(), abs=1e-5)


def test_nothing_of_the_network_and_no_random_state_is_touched(images: NDArray[np.uint8]) -> None:
    network = nn.Sequential(DcganDiscriminator(28), nn.BatchNorm1d(1), UniformDropout(0.5), nn.Dropout(0.5)).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    random, shown = torch.get_rng_state(), images[:20].copy()
    numpy_random = np.random.get_state(legacy=False)
    discriminator_logits(network, shown)
    assert torch.equal(torch.get_rng_state(), random)
    assert str(np.random.get_state(legacy=False)) == str(numpy_random)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(weight.grad is None and weight.requires_grad for weight in network.parameters())
    assert np.array_equal(shown, images[:20])


def test_the_network_can_be_trained_on_afterwards(images: NDArray[np.uint8]) -> None:
    network = MlpDiscriminator(28)
    discriminator_logits(network, images[:20])
    network(in_training(images[:20])).sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())


def test_verdicts_have_the_digits_of_float32(images: NDArray[np.uint8]) -> None:
    network = MlpDiscriminator(28)
    alone = discriminator_logits(network, images[:20])
    assert alone.dtype == np.float32
    assert not np.allclose(alone, alone.astype(np.float16), rtol=1e-5, atol=0)
