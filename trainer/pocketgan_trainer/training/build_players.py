"""The players of a run, made afresh."""

from copy import deepcopy

import torch
from torch import nn
from torch.optim import Adam

from pocketgan_trainer.processes import ALONE, Processes
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.presets import build_discriminator, build_generator
from pocketgan_trainer.training.shared_networks import shared
from pocketgan_trainer.training.steps import Players


def build_players(config: TrainingConfig, device: torch.device, processes: Processes = ALONE) -> Players:
    """Return fresh networks of the config's preset on `device`, and their optimizers, from torch's current random state."""
    generator, discriminator = build_generator(config).to(device), build_discriminator(config).to(device)
    average = deepcopy(generator).requires_grad_(False) if config.ema_halflife_images else None
    generator, discriminator = shared(generator, processes), shared(discriminator, processes)
    return Players(generator, discriminator, _adam(generator, config), _adam(discriminator, config), average)


def _adam(network: nn.Module, config: TrainingConfig) -> Adam:
    # Fused: one pass over all weights, where the networks are so small that many passes take longer than the sums.
    return Adam(network.parameters(), lr=config.learning_rate, betas=(config.adam_beta1, config.adam_beta2), fused=True)
