"""Generators that were never trained but use their whole range: what exporting has to cope with, without the training."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pocketgan_trainer.training.presets import PRESETS


def lively_generator(preset: str, seed: int = 0) -> nn.Module:
    """Return a preset's generator in evaluation mode, whose images show all grey levels.

    Its weights are random, and so are the running statistics of its batch normalizations: they are near those of its activations,
    but not the same, as after a training.
    """
    random = np.random.default_rng(seed)
    latent = torch.from_numpy(random.normal(size=(64, PRESETS[preset].latent_size))).float()
    generator = PRESETS[preset].build_generator()
    last_weights: torch.Tensor = next(generator.parameters())
    with torch.no_grad():
        for weight in generator.parameters():
            _fill(weight, random.normal(scale=0.3 if weight.ndim == 1 else 1.5 / np.sqrt(weight.shape[1]), size=weight.shape))
        values = latent
        for module in generator.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                _normalize_roughly(module, values, random)
            elif isinstance(module, nn.Tanh):
                last_weights.div_(values.std())  # then the tanh meets values of standard deviation 1
            if not list(module.children()):
                values = module.eval()(values)
            if isinstance(module, nn.Linear | nn.ConvTranspose2d):
                last_weights = module.weight
    return generator.eval()


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
