"""The classic convolutional GAN: its layers, their sizes and initial weights, Keras's 'same' padding, and its dropout."""

import math

import pytest
import torch
from torch import Tensor, nn

from pocketgan_trainer.networks.dcgan import (
    LATENT_SIZE,
    DcganDiscriminator,
    DcganGenerator,
    SameConvTranspose2d,
    UniformDropout,
    same_convolution,
)


def shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of the weights that training moves."""
    return {name: tuple(weight.shape) for name, weight in network.named_parameters()}


def chain(network: nn.Module) -> list[object]:
    """Return the types of the modules without children, in order, each with the hyper-parameters that its weights do not show."""
    layers: list[object] = []
    for module in network.modules():
        match module:
            case nn.Conv2d() | nn.ConvTranspose2d():
                layers.append((type(module), module.stride[0]))
            case nn.BatchNorm1d() | nn.BatchNorm2d():
                layers.append((type(module), module.momentum, module.eps))
            case nn.LeakyReLU():
                layers.append((type(module), module.negative_slope))
            case UniformDropout():
                layers.append((type(module), module.probability))
            case _ if not list(module.children()):
                layers.append(type(module))
    return layers


LEAKY = (nn.LeakyReLU, 0.2)


def test_the_generator_is_that_of_the_tutorials() -> None:
    generator = DcganGenerator(28)
    assert shapes(generator) == {
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
    assert chain(generator) == [
        nn.Linear,
        (nn.BatchNorm1d, 0.01, 1e-3),  # Keras's momentum of 0.99 is torch's 0.01
        LEAKY,
        nn.Unflatten,
        (SameConvTranspose2d, 2),
        (nn.BatchNorm2d, 0.01, 1e-3),
        LEAKY,
        (SameConvTranspose2d, 1),
        (nn.BatchNorm2d, 0.01, 1e-3),
        LEAKY,
        (SameConvTranspose2d, 2),
        nn.Tanh,
    ]
    assert generator(torch.randn(3, LATENT_SIZE)).shape == (3, 1, 28, 28)


def test_the_discriminator_is_that_of_the_tutorials() -> None:
    discriminator = DcganDiscriminator(28)
    assert shapes(discriminator) == {
        "0.1.weight": (64, 1, 3, 3),
        "0.1.bias": (64,),
        "3.1.weight": (128, 64, 3, 3),
        "3.1.bias": (128,),
        "7.weight": (1, 7 * 7 * 128),
        "7.bias": (1,),
    }
    convolution = [nn.ZeroPad2d, (nn.Conv2d, 2), LEAKY, (UniformDropout, 0.3)]
    assert chain(discriminator) == [*convolution, *convolution, nn.Flatten, nn.Linear]
    assert all(bool((bias == 0).all()) for name, bias in discriminator.named_parameters() if name.endswith("bias"))


@pytest.mark.parametrize(
    ("network", "name", "fans"),
    [
        (DcganGenerator, "0.weight", 100 + 12544),
        (DcganGenerator, "10.weight", 9 * (64 + 1)),
        (DcganDiscriminator, "3.1.weight", 9 * (64 + 128)),
        (DcganDiscriminator, "7.weight", 7 * 7 * 128 + 1),
    ],
)
def test_initial_weights_are_uniform_within_glorots_bound(network: type[nn.Module], name: str, fans: int) -> None:
    weight = dict(network(28).named_parameters())[name]
    bound = math.sqrt(6 / fans)
    assert weight.abs().max() <= bound
    # 576 is the smallest number of weights: their largest is below 0.97 of the bound once in 40 million cases.
    assert weight.abs().max() > 0.97 * bound
    # A uniform distribution's standard deviation, within 5 standard errors for 576 samples.
    assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)


def integers(*shape: int) -> Tensor:
    """Return small integers as float32: their sums of products are exact in any order."""
    return torch.randint(-8, 9, shape).float()


def transposed(weight: Tensor, stride: int) -> SameConvTranspose2d:
    """Return the layer with weights [in, out, k, k]."""
    layer = SameConvTranspose2d(weight.shape[0], weight.shape[1], kernel_size=weight.shape[2], stride=stride)
    layer.load_state_dict({"weight": weight})
    assert layer.bias is None
    return layer


@pytest.mark.parametrize(("kernel_size", "stride"), [(2, 1), (2, 2), (3, 1), (3, 2), (4, 2), (5, 3)])
def test_an_impulse_becomes_the_kernel_at_its_position(kernel_size: int, stride: int) -> None:
    weight, size = integers(1, 1, kernel_size, kernel_size), 4
    cut = (kernel_size - stride) // 2
    for row, column in [(0, 0), (1, 2), (size - 1, size - 1)]:
        impulse = torch.zeros(1, 1, size, size)
        impulse[0, 0, row, column] = 1
        expected = torch.zeros(size * stride, size * stride)
        for down in range(kernel_size):
            for right in range(kernel_size):
                y, x = row * stride + down - cut, column * stride + right - cut
                if 0 <= y < len(expected) and 0 <= x < len(expected):
                    expected[y, x] = weight[0, 0, down, right]
        assert torch.equal(transposed(weight, stride)(impulse)[0, 0], expected)


def test_strided_convolution_is_padded_at_the_bottom_and_the_right_only() -> None:
    convolution, weight = same_convolution(1, 1), integers(1, 1, 3, 3)
    convolution.load_state_dict({"1.weight": weight, "1.bias": torch.tensor([5.0])})
    image = integers(1, 1, 6, 6)
    expected = torch.zeros(3, 3)
    for row in range(3):
        for column in range(3):
            window = image[0, 0, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
            expected[row, column] = (window * weight[0, 0, : window.shape[0], : window.shape[1]]).sum() + 5
    assert torch.equal(convolution(image)[0, 0], expected)
    assert convolution(torch.zeros(2, 1, 28, 28)).shape == (2, 1, 14, 14)


def test_dropout_changes_nothing_in_evaluation() -> None:
    values = torch.randn(3, 4)
    assert torch.equal(UniformDropout(0.3).eval()(values), values)


@pytest.mark.parametrize("probability", [0.1, 0.5])
def test_dropout_drops_each_value_independently_and_scales_the_others(probability: float) -> None:
    values = (torch.rand(1000, 1000) + 1).requires_grad_()
    result = UniformDropout(probability)(values)
    kept = result != 0
    torch.testing.assert_close(result[kept], values[kept] / (1 - probability))
    # Ten standard errors are 0.005 of all values, and twice the expected deviation of rows and columns is 0.03.
    assert kept.float().mean().item() == pytest.approx(1 - probability, abs=0.005)
    assert all(kept.float().mean(dim=axis).std() < 0.03 for axis in (0, 1))
    result.sum().backward()
    torch.testing.assert_close(values.grad, kept / (1 - probability))


def test_dropout_masks_differ_between_calls_and_follow_the_seed() -> None:
    dropout, values = UniformDropout(0.5), torch.ones(100)
    first, second = dropout(values), dropout(values)
    torch.manual_seed(0)
    again = dropout(values)
    assert not torch.equal(first, second)
    assert torch.equal(first, again)


def test_dropout_keeps_the_type_of_the_values() -> None:
    assert UniformDropout(0.3)(torch.ones(4, dtype=torch.bfloat16)).dtype == torch.bfloat16
