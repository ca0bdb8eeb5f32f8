"""What a run is going to take, before it begins: the size of its networks, and the time from a few steps."""

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pocketgan_trainer.data.mnist import Digits
from pocketgan_trainer.training.build_players import build_players
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.loop import count_steps
from pocketgan_trainer.training.presets import PRESETS, asked_classes
from pocketgan_trainer.training.sampling import random_latents
from pocketgan_trainer.training.steps import PENALTY_INTERVAL, Batch

_TIMED_STEPS = 2 * PENALTY_INTERVAL


@dataclass(frozen=True)
class NetworkSize:
    """How large one network is."""

    weights: int
    multiply_adds: int
    """Products that its dense layers and convolutions sum up for one image."""


@dataclass(frozen=True)
class Estimate:
    """What a run is going to take."""

    generator: NetworkSize
    discriminator: NetworkSize
    images: int
    """Real images that are going to be shown, with repetitions."""
    seconds: float
    """From a few steps on this machine as it is now, without scores, sheets and checkpoints."""


def estimate(config: TrainingConfig, digits: Digits, device: torch.device) -> Estimate:
    """Return what a run on these images is going to take; some steps are taken with networks of no further use."""
    preset, players = PRESETS[config.preset], build_players(config, device)
    real = torch.from_numpy(digits.images[: config.batch_size, None]).to(device).float() / 127.5 - 1
    labels = torch.from_numpy(digits.labels[: config.batch_size].astype(np.int64)).to(device)
    condition = (labels,) if asked_classes(config) else ()

    def take(step: int) -> None:
        latent = random_latents(config.batch_size, preset.latent_size, device)
        batch = Batch(real, latent, condition, step, config.gradient_penalty, config.class_weight, config.shifted_share)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.bfloat16, cache_enabled=False):
            preset.step(players, batch).generator_loss.item()

    for step in range(PENALTY_INTERVAL):  # the first ones are slower
        take(step)
    began = time.perf_counter()
    for step in range(_TIMED_STEPS):
        take(step)
    seconds_per_step = (time.perf_counter() - began) / _TIMED_STEPS
    steps = config.epochs * count_steps(config, len(digits))
    latent, one = torch.zeros(1, preset.latent_size, device=device), tuple(label[:1] for label in condition)
    return Estimate(
        generator=_size(players.generator, latent, *one),
        discriminator=_size(players.discriminator, real[:1], *one),
        images=steps * config.batch_size,
        seconds=steps * seconds_per_step,
    )


def _size(network: nn.Module, *inputs: Tensor) -> NetworkSize:
    products: list[int] = []

    def count(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(layer, nn.ConvTranspose2d):
            # Each input is multiplied with the whole kernel.
            products.append(given[0].numel() * layer.weight[0].numel())
        elif isinstance(layer, nn.Linear | nn.Conv2d):
            products.append(output.numel() * layer.weight[0].numel())

    hooks = [module.register_forward_hook(count) for module in network.modules()]
    with torch.no_grad():
        network.eval()(*inputs)
    for hook in hooks:
        hook.remove()
    return NetworkSize(sum(weight.numel() for weight in network.parameters()), sum(products))
