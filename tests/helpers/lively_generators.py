"""Generators with random weights that use their whole range, as trained ones do: something to export without training."""

from collections.abc import Iterable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pocketgan_trainer.networks import dcgan
from pocketgan_trainer.networks.canvas_networks import CanvasGenerator, CanvasWidth
from pocketgan_trainer.networks.conditional import ONE_HOT_VALUE, ConditionalGenerator
from pocketgan_trainer.networks.noise import NoiseChannels
from pocketgan_trainer.networks.pocket import GreyLevelRounding, PocketGenerator
from pocketgan_trainer.training.presets import PRESETS

POCKET_LATENT_SIZE = 16
CLASSES = 10


def lively_generator(preset: str, seed: int = 0) -> nn.Module:
    """Return the generator of a preset without classes in evaluation mode, whose images show all grey levels.

    Its weights are random, and so are the running statistics of its batch normalizations: they are near those of its activations,
    but not the same, as after a training. `narrow-dcgan` is the DCGAN with far fewer channels.
    """
    random = np.random.default_rng(seed)
    generator = _narrow_dcgan() if preset == "narrow-dcgan" else PRESETS[preset].build_generator(10, 28)
    latent = torch.from_numpy(random.normal(size=(64, dcgan.LATENT_SIZE))).float()
    _enliven(generator.modules(), latent, random)
    return generator.eval()


def _narrow_dcgan() -> nn.Module:
    generator = dcgan.DcganGenerator(28)
    generator[0], generator[1] = nn.Linear(dcgan.LATENT_SIZE, 7 * 7 * 16, bias=False), nn.BatchNorm1d(7 * 7 * 16)
    generator[3] = nn.Unflatten(1, (16, 7, 7))
    for position, (channels_in, channels_out, stride) in {4: (16, 12, 2), 7: (12, 8, 1), 10: (8, 1, 2)}.items():
        generator[position] = dcgan.SameConvTranspose2d(channels_in, channels_out, kernel_size=3, stride=stride)
    generator[5], generator[8] = nn.BatchNorm2d(12), nn.BatchNorm2d(8)
    return generator


def lively_pocket(
    latent_size: int = POCKET_LATENT_SIZE,
    channels: tuple[int, int, int] = (8, 6, 4),
    detail_channels: int = 4,
    activation: nn.Module | None = None,
    is_normalized: bool = True,
    seed: int = 0,
    image_size: int = 28,
) -> PocketGenerator:
    """Return a PocketGenerator of the same kind, small by default, many of whose pixels are fully black or white.

    `activation` takes the place of its ReLUs; if it is not `is_normalized`, it has no batch normalizations.
    """
    generator = PocketGenerator(CLASSES, image_size, latent_size, channels, detail_channels)
    generator.body = nn.Sequential(
        *(
            activation if activation is not None and isinstance(module, nn.ReLU) else module
            for module in generator.body
            if is_normalized or not isinstance(module, nn.BatchNorm2d)
        )
    )
    return _enlivened(generator, latent_size, 0, seed)


def lively_canvas(latent_size: int, width: CanvasWidth, image_size: int = 28, seed: int = 0) -> CanvasGenerator:
    """Return a CanvasGenerator of the same kind."""
    return _enlivened(CanvasGenerator(CLASSES, image_size, latent_size, width), latent_size, width.noise_size(image_size), seed)


Conditional = TypeVar("Conditional", bound=ConditionalGenerator)


def _enlivened(generator: Conditional, latent_size: int, noise_size: int, seed: int) -> Conditional:
    random = np.random.default_rng(seed)
    latent = torch.from_numpy(random.normal(size=(60, latent_size))).float()
    one_hot = torch.from_numpy(ONE_HOT_VALUE * np.tile(np.eye(CLASSES), (6, 1))).float()
    noise = torch.randn(60, noise_size, generator=torch.Generator().manual_seed(seed))
    _enliven(generator.body, torch.cat([latent, one_hot], dim=1), random, torch.cat([latent, noise], dim=1))
    return generator.eval()


def _enliven(
    modules: Iterable[nn.Module], values: torch.Tensor, random: np.random.Generator, latent: torch.Tensor | None = None
) -> None:
    """Fill the modules of a chain, in order, with what suits their input `values`; `latent` is for noise."""
    chain = [module for module in modules if not list(module.children())]
    last: nn.Linear | nn.Conv2d | nn.ConvTranspose2d | None = None
    with torch.no_grad():
        for weight in (weight for module in chain for weight in module.parameters()):
            _fill(weight, random.normal(scale=0.3 if weight.ndim == 1 else 1.5 / np.sqrt(weight.shape[1]), size=weight.shape))
        for module in chain:
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                _normalize_roughly(module, values, random)
            elif isinstance(module, nn.Tanh):
                assert last is not None
                last.weight.div_(values.std())  # then the tanh gets values of standard deviation 1
            elif isinstance(module, GreyLevelRounding):
                assert last is not None
                assert last.bias is not None
                gain = 0.35 / values.std()
                last.weight.mul_(gain)
                last.bias.copy_(0.4 - (values.mean() - last.bias) * gain)  # then brightness is 0.4, give or take 0.35
            values = module(values, latent) if isinstance(module, NoiseChannels) else module.eval()(values)
            if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                last = module


def _normalize_roughly(norm: nn.BatchNorm1d | nn.BatchNorm2d, values: torch.Tensor, random: np.random.Generator) -> None:
    """Give a batch normalization statistics near those of `values`."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    axes = [axis for axis in range(values.ndim) if axis != 1]
    channels = norm.num_features
    variance, mean = torch.var_mean(values, dim=axes)
    norm.running_var.copy_(variance * torch.from_numpy(random.uniform(0.5, 2.0, channels)))
    norm.running_mean.copy_(mean + variance.sqrt() * torch.from_numpy(random.normal(scale=0.3, size=channels)))
    _fill(norm.weight, random.uniform(0.5, 1.5, channels))


def _fill(weight: torch.Tensor, values: NDArray[np.float64]) -> None:
    weight.copy_(torch.from_numpy(values))
