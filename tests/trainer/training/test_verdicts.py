"""What a discriminator says of images: the same as in training, but without a trace."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pocketgan_trainer.networks.dcgan import DcganDiscriminator, UniformDropout
from pocketgan_trainer.networks.mlp import MlpDiscriminator
from pocketgan_trainer.networks.pocket import PocketDiscriminator
from pocketgan_trainer.training.drawing import discriminator_logits


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
def test_verdicts_are_those_of_the_network(images: NDArray[np.uint8], count: int) -> None:
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
