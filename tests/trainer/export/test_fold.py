"""Folding torch modules into plain layers: the output stays the same, and what cannot be exported is refused."""

import pytest
import torch
from lively_generators import POCKET_LATENT_SIZE, lively_generator, lively_pocket
from torch import nn

from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.layers import (
    ClassInput,
    Dense,
    TransposedConvolution,
    activations,
)
from pocketgan_trainer.networks import conditional
from pocketgan_trainer.networks.conditional import StyleScale
from pocketgan_trainer.networks.dcgan import SameConvTranspose2d


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
    assert expected.std() > 0.3  # the images are not all grey
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


def test_style_is_scaled_where_images_are_drawn_and_not_in_training() -> None:
    generator = lively_pocket(is_normalized=False).double()
    latent, label = torch.randn(20, POCKET_LATENT_SIZE).double(), torch.arange(20) % 10
    unscaled, further = (generator(z, label) for z in (latent, torch.cat([latent[:, :3], 1.25 * latent[:, 3:]], dim=1)))
    generator.scale = StyleScale(1.25, traits=3)
    torch.testing.assert_close(generator(latent, label), further)
    torch.testing.assert_close(activations(fold(generator), latent, label)[-1].float(), further, atol=1e-6, rtol=0)
    torch.testing.assert_close(generator.train()(latent, label), unscaled)


def test_the_value_that_marks_a_class_in_training_need_not_be_a_latent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditional, "ONE_HOT_VALUE", 1.2345)
    monkeypatch.setattr("pocketgan_trainer.export.fold.ONE_HOT_VALUE", 1.2345)
    generator = lively_pocket().double()
    latent, label = torch.randn(20, POCKET_LATENT_SIZE).double(), torch.arange(20) % 10
    layers = fold(generator)
    assert layers[0] == ClassInput(classes=10, value=127 / 32)
    torch.testing.assert_close(activations(layers, latent, label)[-1].float(), generator(latent, label), atol=1e-6, rtol=0)


def dense(*following: nn.Module, has_bias: bool = True) -> list[nn.Module]:
    """Return a dense layer from 5 to 4 features, and what follows."""
    return [nn.Linear(5, 4, bias=has_bias), *following]


@pytest.mark.parametrize(
    "modules",
    [
        dense(nn.BatchNorm1d(4)),
        dense(nn.BatchNorm1d(4), has_bias=False),
        dense(nn.BatchNorm1d(4), nn.BatchNorm1d(4)),
        dense(nn.Sequential(nn.BatchNorm1d(4), nn.Sequential(nn.LeakyReLU(0.1))), nn.Tanh()),
        [nn.Linear(5, 4 * 2 * 3), nn.Unflatten(1, (4, 2, 3)), nn.BatchNorm2d(4), nn.ReLU()],
        [nn.Linear(5, 4 * 2 * 3, bias=False), nn.Unflatten(1, (4, 2, 3)), nn.BatchNorm2d(4)],
    ],
    ids=["dense", "no bias", "two in a row", "nested chains", "change of shape", "change of shape, no bias"],
)
def test_batch_normalization_of_features_is_folded(modules: list[nn.Module]) -> None:
    module, latent = randomized(nn.Sequential(*modules)), torch.randn(6, 5).double()
    torch.testing.assert_close(activations(fold(module), latent)[-1], module(latent))


@pytest.mark.parametrize(
    "modules",
    [
        [nn.Conv2d(3, 4, 3, padding=1)],
        [nn.Conv2d(3, 4, 5, padding="same", bias=False)],
        [nn.Conv2d(3, 16, 1), nn.PixelShuffle(2)],
        [nn.Conv2d(3, 16, 1, bias=False), nn.PixelShuffle(2)],
        [nn.ConvTranspose2d(3, 4, 4, stride=2, padding=1, bias=False)],
        [nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1)],
        [SameConvTranspose2d(3, 4, kernel_size=3, stride=2)],
        [SameConvTranspose2d(3, 4, kernel_size=3, stride=1)],
    ],
    ids=str,
)
def test_batch_normalization_of_images_is_folded(modules: list[nn.Module]) -> None:
    module, image = randomized(nn.Sequential(*modules, nn.BatchNorm2d(4), nn.ReLU())), torch.randn(2, 3, 5, 5).double()
    torch.testing.assert_close(activations(fold(module), image)[-1], module(image))


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
    ("module", "message"),
    [
        *(
            (module, f"a {type(module).__name__}: expected dense, convolution, transposed convolution")
            for module in (
                nn.ELU(),
                nn.Sigmoid(),
                nn.Conv1d(3, 3, 3),
                nn.Flatten(),
                nn.Upsample(scale_factor=2),
                nn.Dropout(0.5),
                nn.ModuleList([nn.Tanh()]),
                nn.Unflatten(1, (4, 7)),
                nn.Unflatten(2, (1, 4, 7)),
            )
        ),
        *(
            (module, r"ConvTranspose2d\(4, 4, .*: expected square kernels and strides, one group, no dilation")
            for module in (
                nn.ConvTranspose2d(4, 4, (3, 5)),
                nn.ConvTranspose2d(4, 4, 3, stride=(1, 2)),
                nn.ConvTranspose2d(4, 4, 3, padding=(0, 1)),
                nn.ConvTranspose2d(4, 4, 3, stride=2, output_padding=(0, 1)),
                nn.ConvTranspose2d(4, 4, 3, groups=2),
                nn.ConvTranspose2d(4, 4, 3, dilation=2),
            )
        ),
        *(
            (module, r"Conv2d\(4, 4, .*expected a square kernel of odd size, stride 1")
            for module in (
                nn.Conv2d(4, 4, 3, stride=2, padding=1),
                nn.Conv2d(4, 4, 3, padding=1, groups=2),
                nn.Conv2d(4, 4, 3, padding=2, dilation=2),
                nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
                nn.Conv2d(4, 4, (3, 5), padding=(1, 2)),
                nn.Conv2d(4, 4, 4, padding="same"),
                nn.Conv2d(4, 4, 3),
            )
        ),
        *(
            (nn.Sequential(*before, nn.BatchNorm1d(4)), "a batch normalization that does not directly follow a dense or conv")
            for before in ([], dense(nn.LeakyReLU(0.2)), dense(nn.Tanh()), dense(nn.Unflatten(1, (4, 1, 1))))
        ),
        *(
            (nn.Sequential(*dense(norm)), "a batch normalization without running statistics or without weights")
            for norm in (nn.BatchNorm1d(4, track_running_stats=False), nn.BatchNorm1d(4, affine=False))
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, nn.Module) else "",
)
def test_what_cannot_be_folded_is_refused_by_name(module: nn.Module, message: str) -> None:
    with pytest.raises(ExportError, match=f"cannot export {message}"):
        fold(module)


def test_a_class_input_into_something_else_than_a_dense_layer_is_refused() -> None:
    generator = lively_pocket()
    generator.body = nn.Sequential(nn.ReLU(), *generator.body)
    with pytest.raises(ExportError, match="cannot export a class input into a Relu: expected a dense layer"):
        fold(generator)
