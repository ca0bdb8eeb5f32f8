"""Noise: which latents become which pixels of it, and that a generator with noise takes the latents that it says it does."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from pocketgan_trainer.networks.noise import NoiseChannels
from pocketgan_trainer.training.presets import build_generator, latent_size, preset_config


def test_latents_become_channels_place_by_place_and_negative_ones_zero() -> None:
    latent = torch.arange(-20.0, 20.0).repeat(2, 1)
    features = torch.full((2, 1, 2, 3), -7.0)
    noisy = NoiseChannels(first=18, channels=2)(features, latent)
    assert torch.equal(noisy[:, :1], features)
    assert noisy[1, 1].tolist() == [[0, 0, 2], [4, 6, 8]]
    assert noisy[1, 2].tolist() == [[0, 1, 3], [5, 7, 9]]


@pytest.mark.parametrize("image_size", [28, 32])
def test_each_latent_changes_the_image(image_size: int) -> None:
    config = preset_config("nano", canvas=True)
    config = replace(config, data=replace(config.data, image_size=image_size))
    generator = build_generator(config).eval()
    fields: list[torch.Tensor] = []
    latent = torch.ones(1, latent_size(config), requires_grad=True)
    *_, last = (module for module in generator.modules() if isinstance(module, nn.Conv2d))
    last.register_forward_hook(lambda _, __, field: fields.append(field))
    generator(latent, torch.tensor([3]))
    (gradient,) = torch.autograd.grad(fields[0].square().sum(), latent)
    assert gradient.shape == (1, latent_size(config))
    assert (gradient != 0).all()
