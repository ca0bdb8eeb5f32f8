"""Estimates before a run starts: the size of its networks, its duration from a few steps, and the fastest number of threads."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn

from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.devices import choose_threads
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.drawing import random_latents
from pocketgan_trainer.training.loop import count_steps
from pocketgan_trainer.training.presets import PRESETS, build_gan, generator_classes, latent_size
from pocketgan_trainer.training.steps import PENALTY_INTERVAL, Batch, Gan

_ROUNDS = 3
"""The number of rounds of timed steps; their median is used, so that brief work of other processes does not matter."""


@dataclass(frozen=True)
class NetworkSize:
    """The size of one network."""

    weights: int
    multiply_adds: int
    """Multiply-adds of its dense layers and convolutions for one image."""


@dataclass(frozen=True)
class Estimate:
    """The cost of a run, or of the rest of one."""

    generator: NetworkSize
    discriminator: NetworkSize
    images: int
    """Real images still to be shown, with repetitions."""
    seconds: float
    """Extrapolated from a few steps on this machine now; evaluation, sheets and checkpoints are not included."""


def estimate(config: TrainingConfig, digits: Digits, device: torch.device, images_seen: int = 0) -> Estimate:
    """Return the estimated cost of the rest of a run on these images; takes a few steps with temporary networks."""
    gan = build_gan(config, device)
    take = training_steps(config, digits, device, gan)
    take(0)  # the first one is slower
    rounds = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        for step in range(PENALTY_INTERVAL):
            take(step)
        rounds.append((time.perf_counter() - began) / PENALTY_INTERVAL)
    steps = config.epochs * count_steps(config, len(digits)) - images_seen // config.batch_size
    latent = torch.zeros(1, latent_size(config), device=device)
    real = torch.zeros(1, 1, *digits.images.shape[1:], device=device)
    one = (torch.zeros(1, dtype=torch.int64, device=device),) if generator_classes(config) else ()
    return Estimate(
        generator=_size(gan.generator, latent, *one),
        discriminator=_size(gan.discriminator, gan.view(real), *one),
        images=steps * config.batch_size,
        seconds=steps * median(rounds),
    )


def fastest_threads(config: TrainingConfig, digits: Digits, most: int) -> int:
    """Return the number of CPU threads, 1 or `most`, with which training steps are faster now, see `choose_threads`."""
    device = torch.device("cpu")
    take = training_steps(config, digits, device, build_gan(config, device))
    return choose_threads(lambda: take(1), most)


def training_steps(config: TrainingConfig, digits: Digits, device: torch.device, gan: Gan) -> Callable[[int], None]:
    """Return a function that takes training step number `step`, always with the same images."""
    preset = PRESETS[config.preset]
    real = torch.from_numpy(digits.images[: config.batch_size, None]).to(device).float() / 127.5 - 1
    labels = torch.from_numpy(digits.labels[: config.batch_size].astype(np.int64)).to(device)
    condition = (labels,) if generator_classes(config) else ()

    def take(step: int) -> None:
        latent = random_latents(config.batch_size, latent_size(config), device)
        batch = Batch(
            real,
            latent,
            condition,
            step=step,
            penalty_weight=config.gradient_penalty,
            class_weight=config.class_weight,
            guidance_weight=0.0,
            trait_weight=config.trait_weight,
            hidden_traits_share=config.hidden_traits_share,
            shifted_share=config.shifted_share,
        )
        with torch.autocast(device.type, torch.bfloat16, enabled=config.bfloat16, cache_enabled=False):
            preset.step(gan, batch).generator_loss.item()

    return take


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
