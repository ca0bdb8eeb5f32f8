"""The plain GAN of dense layers: its layers and their sizes."""

import pytest
import torch
from torch import nn

from pocketgan_trainer.networks.mlp import LATENT_SIZE, MlpDiscriminator, MlpGenerator


@pytest.mark.parametrize(
    ("network", "sizes"),
    [(MlpGenerator, [(100, 128), (128, 256), (256, 784)]), (MlpDiscriminator, [(784, 256), (256, 128), (128, 1)])],
)
def test_dense_layers_have_the_sizes_of_the_tutorials(network: type[nn.Module], sizes: list[tuple[int, int]]) -> None:
    dense = [module for module in network(28).modules() if isinstance(module, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in dense] == sizes
    assert all(layer.bias is not None for layer in dense)


@pytest.mark.parametrize("network", [MlpGenerator, MlpDiscriminator])
def test_both_hidden_layers_are_leaky_with_slope_one_fifth(network: type[nn.Module]) -> None:
    slopes = [module.negative_slope for module in network(28).modules() if isinstance(module, nn.LeakyReLU)]
    assert slopes == [0.2, 0.2]


def test_generator_ends_in_tanh_and_an_image() -> None:
    generator = MlpGenerator(28)
    assert [type(module) for module in generator][-2:] == [nn.Tanh, nn.Unflatten]
    image = generator(100 * torch.randn(3, LATENT_SIZE))
    assert image.shape == (3, 1, 28, 28)
    assert image.abs().max() <= 1


def test_discriminator_gives_one_unbounded_logit_an_image() -> None:
    logits = MlpDiscriminator(28)(1000 * torch.randn(3, 1, 28, 28))
    assert logits.shape == (3, 1)
    assert logits.abs().max() > 1
