"""The classic convolutional GAN: its layers, their sizes and initial weights, Keras's 'same' padding, and its dropout."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

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
        (DcganGenerator, "10.weight", 9 * (64 + 1)),
        (DcganDiscriminator, "3.1.weight", 9 * (64 + 128)),
        (DcganDiscriminator, "7.weight", 7 * 7 * 128 + 1),
    ],
)
def test_initial_weights_are_uniform_within_glorots_bound(network: type[nn.Module], name: str, fans: int) -> None:
    weight = dict(network(28).named_parameters())[name]
    bound = math.sqrt(6 / fans)
    assert weight.abs().max() <= bound
    # 576 is the smallest number of weights: their largest lies below 0.97 of the bound once in 40 million cases.
    assert weight.abs().max() > 0.97 * bound
    # A uniform distribution's standard deviation, within 5 standard errors for 576 samples.
    assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)


def test_initial_biases_are_zero() -> None:
    biases = [weight for name, weight in DcganDiscriminator(28).named_parameters() if name.endswith("bias")]
    assert len(biases) == 3
    assert all(bool((bias == 0).all()) for bias in biases)


KERNELS_AND_STRIDES = [(2, 1), (2, 2), (3, 1), (3, 2), (4, 2), (5, 3)]


def integers(*shape: int) -> Tensor:
    """Return small integers as float32: their sums of products are exact in any order."""
    return torch.randint(-8, 9, shape).float()


def transposed(weight: Tensor, stride: int) -> SameConvTranspose2d:
    """Return the layer with weights [in, out, k, k]."""
    layer = SameConvTranspose2d(weight.shape[0], weight.shape[1], kernel_size=weight.shape[2], stride=stride)
    layer.load_state_dict({"weight": weight})
    assert layer.bias is None
    return layer


@pytest.mark.parametrize(("kernel_size", "stride"), KERNELS_AND_STRIDES)
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


@pytest.mark.parametrize(("kernel_size", "stride"), KERNELS_AND_STRIDES)
@pytest.mark.parametrize("size", [1, 6, 7])
def test_output_is_exactly_stride_times_as_large(kernel_size: int, stride: int, size: int) -> None:
    image = transposed(integers(2, 3, kernel_size, kernel_size), stride)(integers(2, 2, size, size))
    assert image.shape == (2, 3, size * stride, size * stride)


@pytest.mark.parametrize(("kernel_size", "stride"), KERNELS_AND_STRIDES)
def test_transposed_convolution_is_the_adjoint_of_the_same_padded_convolution(kernel_size: int, stride: int) -> None:
    weight, small = integers(3, 2, kernel_size, kernel_size), integers(1, 3, 5, 5)
    large = integers(1, 2, 5 * stride, 5 * stride)
    # TensorFlow's documentation: the whole padding, and its smaller half before.
    surplus = max(kernel_size - stride, 0)
    padded = functional.pad(large, (surplus // 2, surplus - surplus // 2) * 2)
    shrunk = functional.conv2d(padded, weight, stride=stride)
    assert (shrunk * small).sum() == (large * transposed(weight, stride)(small)).sum()


def test_our_two_layers_are_each_others_adjoint() -> None:
    convolution, weight = same_convolution(2, 3), integers(3, 2, 3, 3)
    convolution.load_state_dict({"1.weight": weight, "1.bias": torch.zeros(3)})
    large, small = integers(1, 2, 14, 14), integers(1, 3, 7, 7)
    assert (convolution(large) * small).sum() == (large * transposed(weight, 2)(small)).sum()


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


def test_same_padding_is_not_torchs_symmetric_padding() -> None:
    image, weight = integers(2, 3, 7, 7), integers(3, 2, 3, 3)
    symmetric = functional.conv_transpose2d(image, weight, stride=2, padding=1, output_padding=1)
    ours = transposed(weight, 2)(image)
    assert symmetric.shape == ours.shape
    assert not torch.equal(symmetric, ours)
    # It is ours shifted by one pixel up and left.
    assert torch.equal(symmetric[:, :, :-1, :-1], ours[:, :, 1:, 1:])


def test_dropout_changes_nothing_in_evaluation() -> None:
    values = torch.randn(3, 4)
    assert torch.equal(UniformDropout(0.3).eval()(values), values)


@pytest.mark.parametrize("probability", [0.1, 0.5])
def test_dropout_drops_its_share_and_keeps_the_mean(probability: float) -> None:
    result = UniformDropout(probability)(torch.ones(1000, 1000))
    # Ten standard errors are 0.005.
    assert (result == 0).float().mean().item() == pytest.approx(probability, abs=0.005)
    assert result.mean().item() == pytest.approx(1, abs=0.01)


def test_dropout_scales_all_kept_values_by_one_factor() -> None:
    values = torch.randn(100, 100)
    result = UniformDropout(0.3)(values)
    kept = result != 0
    torch.testing.assert_close(result[kept], values[kept] / 0.7)


def test_dropout_treats_each_value_independently() -> None:
    kept = (UniformDropout(0.5)(torch.ones(1000, 1000)) != 0).float()
    assert kept.mean(dim=0).std() < 0.03
    assert kept.mean(dim=1).std() < 0.03


def test_the_gradient_of_dropout_passes_where_the_value_did() -> None:
    values = torch.rand(100, 100) + 1
    values.requires_grad_()
    result = UniformDropout(0.3)(values)
    result.sum().backward()
    assert values.grad is not None
    torch.testing.assert_close(values.grad * values, result)
    assert 0.2 < (values.grad == 0).float().mean() < 0.4


def test_dropout_masks_differ_between_calls_and_follow_the_seed() -> None:
    dropout, values = UniformDropout(0.5), torch.ones(100)
    first, second = dropout(values), dropout(values)
    torch.manual_seed(0)
    again = dropout(values)
    assert not torch.equal(first, second)
    assert torch.equal(first, again)


def test_dropout_keeps_the_type_of_the_values() -> None:
    assert UniformDropout(0.3)(torch.ones(4, dtype=torch.bfloat16)).dtype == torch.bfloat16
