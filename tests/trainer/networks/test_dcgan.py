"""The classic convolutional GAN: its layers, their sizes and how they begin."""

import math

import pytest
import torch
from torch import Tensor, nn

from pocketgan_trainer.networks.dcgan import LATENT_SIZE, DcganDiscriminator, DcganGenerator, SameConvTranspose2d, UniformDropout


def shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of the weights that training moves."""
    return {name: tuple(weight.shape) for name, weight in network.named_parameters()}


def chain(network: nn.Module) -> list[nn.Module]:
    """Return the modules without children, in order."""
    return [module for module in network.modules() if not list(module.children())]


def test_generator_has_the_weights_of_the_tutorials() -> None:
    assert shapes(DcganGenerator(28)) == {
        "0.weight": (7 * 7 * 256, 100),
        "1.weight": (7 * 7 * 256,),
        "1.bias": (7 * 7 * 256,),
        "4.weight": (256, 128, 3, 3),
        "5.weight": (128,),
        "5.bias": (128,),
        "7.weight": (128, 64, 3, 3),
        "8.weight": (64,),
        "8.bias": (64,),
        "10.weight": (64, 1, 3, 3),
    }


def test_discriminator_has_the_weights_of_the_tutorials() -> None:
    assert shapes(DcganDiscriminator(28)) == {
        "0.1.weight": (64, 1, 3, 3),
        "0.1.bias": (64,),
        "3.1.weight": (128, 64, 3, 3),
        "3.1.bias": (128,),
        "7.weight": (1, 7 * 7 * 128),
        "7.bias": (1,),
    }


@pytest.mark.parametrize(("network", "expected"), [(DcganGenerator, 1_649_088), (DcganDiscriminator, 80_769)])
def test_numbers_of_weights_are_those_of_the_tutorials(network: type[nn.Module], expected: int) -> None:
    assert sum(weight.numel() for weight in network(28).parameters()) == expected


def test_generator_is_dense_then_three_transposed_convolutions_with_normalization_between() -> None:
    modules = chain(DcganGenerator(28))
    assert [type(module) for module in modules] == [
        nn.Linear,
        nn.BatchNorm1d,
        nn.LeakyReLU,
        nn.Unflatten,
        SameConvTranspose2d,
        nn.BatchNorm2d,
        nn.LeakyReLU,
        SameConvTranspose2d,
        nn.BatchNorm2d,
        nn.LeakyReLU,
        SameConvTranspose2d,
        nn.Tanh,
    ]
    strides = [module.stride for module in modules if isinstance(module, nn.ConvTranspose2d)]
    assert strides == [(2, 2), (1, 1), (2, 2)]


def test_discriminator_is_two_strided_convolutions_with_dropout_then_dense() -> None:
    modules = chain(DcganDiscriminator(28))
    assert [type(module) for module in modules] == [
        nn.ZeroPad2d,
        nn.Conv2d,
        nn.LeakyReLU,
        UniformDropout,
        nn.ZeroPad2d,
        nn.Conv2d,
        nn.LeakyReLU,
        UniformDropout,
        nn.Flatten,
        nn.Linear,
    ]
    assert [module.stride for module in modules if isinstance(module, nn.Conv2d)] == [(2, 2), (2, 2)]
    assert [module.probability for module in modules if isinstance(module, UniformDropout)] == [0.3, 0.3]


def test_batch_normalization_is_that_of_keras() -> None:
    norms = [module for module in DcganGenerator(28).modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    # Keras's momentum of 0.99 is torch's 0.01.
    assert [(norm.momentum, norm.eps, norm.affine) for norm in norms] == [(0.01, 1e-3, True)] * 3


@pytest.mark.parametrize("network", [DcganGenerator, DcganDiscriminator])
def test_every_leaky_rectifier_has_slope_one_fifth(network: type[nn.Module]) -> None:
    slopes = [module.negative_slope for module in network(28).modules() if isinstance(module, nn.LeakyReLU)]
    assert slopes == [0.2] * len(slopes)
    assert slopes


def test_generator_grows_images_from_7_to_28() -> None:
    values, sizes = torch.randn(3, LATENT_SIZE), []
    for module in DcganGenerator(28):
        values = module(values)
        if isinstance(module, nn.Unflatten | SameConvTranspose2d):
            sizes.append(tuple(values.shape[1:]))
    assert sizes == [(256, 7, 7), (128, 14, 14), (64, 14, 14), (1, 28, 28)]
    assert values.shape == (3, 1, 28, 28)
    assert values.abs().max() <= 1


def test_discriminator_gives_one_logit_an_image() -> None:
    logits: Tensor = DcganDiscriminator(28)(torch.randn(3, 1, 28, 28))
    assert logits.shape == (3, 1)


@pytest.mark.parametrize(
    ("network", "name", "fans"),
    [
        (DcganGenerator, "0.weight", 100 + 12544),
        (DcganGenerator, "4.weight", 9 * (256 + 128)),
        (DcganGenerator, "7.weight", 9 * (128 + 64)),
        (DcganGenerator, "10.weight", 9 * (64 + 1)),
        (DcganDiscriminator, "0.1.weight", 9 * (1 + 64)),
        (DcganDiscriminator, "3.1.weight", 9 * (64 + 128)),
        (DcganDiscriminator, "7.weight", 7 * 7 * 128 + 1),
    ],
)
def test_weights_begin_uniform_within_glorots_bound(network: type[nn.Module], name: str, fans: int) -> None:
    weight = dict(network(28).named_parameters())[name]
    bound = math.sqrt(6 / fans)
    assert weight.abs().max() <= bound
    # 576 is the smallest number of weights: their largest lies below 0.97 of the bound once in 40 million starts.
    assert weight.abs().max() > 0.97 * bound
    # A uniform distribution's standard deviation, within 5 standard errors for 576 samples.
    assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)


def test_biases_begin_at_zero() -> None:
    biases = [weight for name, weight in DcganDiscriminator(28).named_parameters() if name.endswith("bias")]
    assert len(biases) == 3
    assert all(bool((bias == 0).all()) for bias in biases)
