"""From torch modules to plain layers: the same numbers come out, and what cannot be written is refused."""

from collections.abc import Callable

import pytest
import torch
from lively_generators import POCKET_LATENT_SIZE, lively_generator, lively_pocket
from torch import nn

from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.layers import (
    ClassInput,
    Convolution,
    Dense,
    GreyLevels,
    LeakyRelu,
    PixelShuffle,
    Relu,
    Tanh,
    ToImage,
    TransposedConvolution,
    activations,
)
from pocketgan_trainer.networks import conditional
from pocketgan_trainer.networks.dcgan import DcganGenerator, SameConvTranspose2d


def randomized(module: nn.Module) -> nn.Module:
    """Give a module random weights and running statistics, and set it to evaluation mode, in float64."""
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape) + 0.5 if name.endswith("var") else torch.randn(value.shape))
    return module.eval().double()


@pytest.mark.parametrize("preset", ["narrow-dcgan", "mlp"])
def test_folded_generators_draw_what_torch_draws(preset: str) -> None:
    generator, latent = lively_generator(preset).double(), torch.randn(8, 100).double()
    expected = generator(latent)
    assert expected.std() > 0.3  # there is something to compare
    (*_, images) = activations(fold(generator), latent)
    torch.testing.assert_close(images, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.LeakyReLU(0.2)], ids=str)
@pytest.mark.parametrize("is_normalized", [True, False])
def test_folded_pocket_generators_draw_what_torch_draws(activation: nn.Module, is_normalized: bool) -> None:
    generator = lively_pocket(activation=activation, is_normalized=is_normalized).double()
    latent, label = torch.randn(20, POCKET_LATENT_SIZE).double(), torch.arange(20) % 10
    expected = generator.body[:-1](torch.cat([latent, 2.0 * torch.eye(10).double()[label]], dim=1))
    outputs = activations(fold(generator), latent, label)
    assert expected.std() > 0.2
    torch.testing.assert_close(outputs[-2], expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(outputs[-1].float(), generator(latent, label), atol=1e-6, rtol=0)


def test_the_value_that_marks_a_class_in_training_need_not_be_a_latent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditional, "ONE_HOT_VALUE", 1.2345)
    monkeypatch.setattr("pocketgan_trainer.export.fold.ONE_HOT_VALUE", 1.2345)
    generator = lively_pocket().double()
    latent, label = torch.randn(20, POCKET_LATENT_SIZE).double(), torch.arange(20) % 10
    layers = fold(generator)
    assert layers[0] == ClassInput(classes=10, value=127 / 32)
    torch.testing.assert_close(activations(layers, latent, label)[-1].float(), generator(latent, label), atol=1e-6, rtol=0)


def test_the_layers_of_a_pocket_generator() -> None:
    assert [type(layer) for layer in fold(lively_pocket())] == [
        ClassInput,
        Dense,
        ToImage,
        Relu,
        *(Convolution, Relu, PixelShuffle) * 2,
        Convolution,
        Relu,
        Convolution,
        GreyLevels,
    ]


def test_the_layers_of_the_dcgan() -> None:
    assert [type(layer) for layer in fold(DcganGenerator(28).eval())] == [
        Dense,
        LeakyRelu,
        ToImage,
        TransposedConvolution,
        LeakyRelu,
        TransposedConvolution,
        LeakyRelu,
        TransposedConvolution,
        Tanh,
    ]


def test_the_layers_of_the_mlp() -> None:
    layers = fold(lively_generator("mlp"))
    assert [type(layer) for layer in layers] == [Dense, LeakyRelu, Dense, LeakyRelu, Dense, Tanh, ToImage]
    assert layers[1] == LeakyRelu(0.2)
    assert layers[-1] == ToImage(1, 28, 28)


@pytest.mark.parametrize("has_bias", [False, True])
def test_batch_normalization_after_a_dense_layer_is_folded(has_bias: bool) -> None:
    module = randomized(nn.Sequential(nn.Linear(5, 4, bias=has_bias), nn.BatchNorm1d(4)))
    (layer,) = fold(module)
    assert isinstance(layer, Dense)
    latent = torch.randn(6, 5).double()
    torch.testing.assert_close(activations([layer], latent)[0], module(latent))


@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize(
    "before",
    [
        lambda has_bias: [nn.Linear(5, 4 * 2 * 3, bias=has_bias), nn.Unflatten(1, (4, 2, 3))],
        lambda has_bias: [nn.Unflatten(1, (5, 1, 1)), nn.Conv2d(5, 4, 3, padding=1, bias=has_bias)],
        lambda has_bias: [nn.Unflatten(1, (5, 1, 1)), nn.Conv2d(5, 4, 5, padding="same", bias=has_bias)],
        lambda has_bias: [nn.Unflatten(1, (5, 1, 1)), nn.Conv2d(5, 16, 1, bias=has_bias), nn.PixelShuffle(2)],
    ],
    ids=["dense and a change of shape", "convolution", "large convolution", "pixel shuffle"],
)
def test_batch_normalization_of_images_is_folded(before: Callable[[bool], list[nn.Module]], has_bias: bool) -> None:
    module = randomized(nn.Sequential(*before(has_bias), nn.BatchNorm2d(4), nn.ReLU()))
    latent = torch.randn(6, 5).double()
    torch.testing.assert_close(activations(fold(module), latent)[-1], module(latent))


@pytest.mark.parametrize(
    "convolution",
    [
        nn.ConvTranspose2d(3, 4, 4, stride=2, padding=1, bias=False),
        nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1),
        SameConvTranspose2d(3, 4, kernel_size=3, stride=2),
        SameConvTranspose2d(3, 4, kernel_size=3, stride=1),
    ],
    ids=str,
)
def test_batch_normalization_after_a_transposed_convolution_is_folded(convolution: nn.ConvTranspose2d) -> None:
    module = randomized(nn.Sequential(convolution, nn.BatchNorm2d(4)))
    (layer,) = fold(module)
    assert isinstance(layer, TransposedConvolution)
    image = torch.randn(2, 3, 5, 5).double()
    expected = module(image)
    assert layer.output_size(5) == expected.shape[2]
    torch.testing.assert_close(activations([layer], image)[0], expected)


def test_two_batch_normalizations_in_a_row_are_both_folded() -> None:
    module = randomized(nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.BatchNorm1d(4)))
    latent = torch.randn(6, 5).double()
    torch.testing.assert_close(activations(fold(module), latent)[-1], module(latent))


def test_nested_chains_are_one_chain() -> None:
    inner = nn.Sequential(nn.BatchNorm1d(4), nn.Sequential(nn.LeakyReLU(0.1)))
    module = randomized(nn.Sequential(nn.Linear(5, 4), inner, nn.Tanh()))
    layers = fold(module)
    assert [type(layer) for layer in layers] == [Dense, LeakyRelu, Tanh]
    latent = torch.randn(6, 5).double()
    torch.testing.assert_close(activations(layers, latent)[-1], module(latent))


@pytest.mark.parametrize("name", ["0.weight", "1.running_mean", "1.running_var"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_refused(name: str, value: float) -> None:
    module = randomized(nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Tanh()))
    module.state_dict()[name].ravel()[2] = value
    if (name, value) == ("1.running_var", torch.inf):
        assert len(fold(module)) == 2  # a weight divided by infinity is 0
    else:
        with pytest.raises(ExportError, match="weights that are not finite: the training has diverged"):
            fold(module)


def test_folding_leaves_the_generator_as_it_was() -> None:
    generator = lively_generator("narrow-dcgan")
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    for layer in fold(generator):
        if isinstance(layer, Dense | TransposedConvolution):
            layer.weight[:] = 0
    for name, value in generator.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize(
    "module",
    [
        nn.ELU(),
        nn.Sigmoid(),
        nn.Conv1d(3, 3, 3),
        nn.Flatten(),
        nn.Upsample(scale_factor=2),
        nn.Dropout(0.5),
        nn.ModuleList([nn.Tanh()]),
        nn.Unflatten(1, (4, 7)),
        nn.Unflatten(2, (1, 4, 7)),
    ],
    ids=str,
)
def test_a_module_of_another_kind_is_refused_by_name(module: nn.Module) -> None:
    with pytest.raises(
        ExportError, match=f"cannot export a {type(module).__name__}: expected dense, convolution, transposed convolution"
    ):
        fold(nn.Sequential(nn.Linear(5, 28), module))


@pytest.mark.parametrize(
    "convolution",
    [
        nn.ConvTranspose2d(4, 4, (3, 5)),
        nn.ConvTranspose2d(4, 4, 3, stride=(1, 2)),
        nn.ConvTranspose2d(4, 4, 3, padding=(0, 1)),
        nn.ConvTranspose2d(4, 4, 3, stride=2, output_padding=(0, 1)),
        nn.ConvTranspose2d(4, 4, 3, groups=2),
        nn.ConvTranspose2d(4, 4, 3, dilation=2),
    ],
    ids=str,
)
def test_a_transposed_convolution_that_is_not_square_or_plain_is_refused(convolution: nn.ConvTranspose2d) -> None:
    with pytest.raises(ExportError, match="expected square kernels and strides, one group, no dilation"):
        fold(convolution)


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(4, 4, 3, stride=2, padding=1),
        nn.Conv2d(4, 4, 3, padding=1, groups=2),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(4, 4, (3, 5), padding=(1, 2)),
        nn.Conv2d(4, 4, 4, padding="same"),
        nn.Conv2d(4, 4, 3),
    ],
    ids=str,
)
def test_a_convolution_that_is_not_square_or_plain_is_refused(convolution: nn.Conv2d) -> None:
    with pytest.raises(ExportError, match=r"cannot export Conv2d\(4, 4, .*expected a square kernel of odd size, stride 1"):
        fold(convolution)


def test_a_class_input_into_something_else_than_a_dense_layer_is_refused() -> None:
    generator = lively_pocket()
    generator.body = nn.Sequential(nn.ReLU(), *generator.body)
    with pytest.raises(ExportError, match="cannot export a class input into a Relu: expected a dense layer"):
        fold(generator)


@pytest.mark.parametrize(
    "before",
    [[], [nn.Linear(5, 4), nn.LeakyReLU(0.2)], [nn.Linear(5, 4), nn.Tanh()], [nn.Linear(5, 4), nn.Unflatten(1, (4, 1, 1))]],
    ids=["at the beginning", "after LeakyReLU", "after tanh", "after a change of shape"],
)
def test_batch_normalization_elsewhere_than_after_weights_is_refused(before: list[nn.Module]) -> None:
    with pytest.raises(ExportError, match="a batch normalization that does not directly follow a dense or convolution layer"):
        fold(nn.Sequential(*before, nn.BatchNorm1d(4)))


@pytest.mark.parametrize("norm", [nn.BatchNorm1d(4, track_running_stats=False), nn.BatchNorm1d(4, affine=False)], ids=str)
def test_batch_normalization_without_statistics_or_weights_is_refused(norm: nn.BatchNorm1d) -> None:
    with pytest.raises(ExportError, match="a batch normalization without running statistics or without weights"):
        fold(nn.Sequential(nn.Linear(5, 4), norm))
