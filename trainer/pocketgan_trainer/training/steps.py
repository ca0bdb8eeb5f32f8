"""One training step of each system: pure in everything but the networks and optimizers that it moves."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from pocketgan_trainer.training.losses import cross_entropy_to

SMOOTHED_REAL = 0.9
"""What the DCGAN's discriminator is told of real images.

Source: T. Salimans et al., "Improved Techniques for Training GANs", 2016, section 3.4.
"""


@dataclass(frozen=True)
class Players:
    """The two networks and the optimizers that move them."""

    generator: nn.Module
    discriminator: nn.Module
    generator_optimizer: Optimizer
    discriminator_optimizer: Optimizer


@dataclass(frozen=True)
class StepStatistics:
    """What one step measured, as detached scalars on the training device, so that reading them can wait."""

    generator_loss: Tensor
    discriminator_loss: Tensor
    real_score: Tensor
    """D(x): the mean probability of being real that the discriminator gave to real images."""
    fake_score: Tensor
    """D(G(z)): the same for generated ones, before the generator moved."""


Step: TypeAlias = Callable[[Players, Tensor, Tensor], StepStatistics]
"""Takes the players, real images float [N, 1, H, W] in [-1, 1] and latents float [N, size]; moves both networks once."""


def simultaneous_step(players: Players, real: Tensor, latent: Tensor) -> StepStatistics:
    """Move both networks from one batch and one set of fakes, each by its gradient at the same point."""
    fake = players.generator(latent)
    real_logits = players.discriminator(real)
    fake_logits = players.discriminator(fake)
    discriminator_loss = cross_entropy_to(real_logits, SMOOTHED_REAL) + cross_entropy_to(fake_logits, 0.0)
    generator_loss = cross_entropy_to(fake_logits, 1.0)
    # Both gradients before either step: the two losses share one graph, and neither may see the other's new weights.
    _set_gradients(players.discriminator, discriminator_loss, retain_graph=True)
    _set_gradients(players.generator, generator_loss)
    players.discriminator_optimizer.step()
    players.generator_optimizer.step()
    return _statistics(generator_loss, discriminator_loss, real_logits, fake_logits)


def alternating_step(players: Players, real: Tensor, latent: Tensor) -> StepStatistics:
    """Move the discriminator on a real batch, then on a fake one, then the generator against the moved discriminator."""
    real_logits = players.discriminator(real)
    real_loss = cross_entropy_to(real_logits, 1.0)
    _set_gradients(players.discriminator, real_loss)
    players.discriminator_optimizer.step()

    fake = players.generator(latent)
    fake_logits = players.discriminator(fake.detach())
    fake_loss = cross_entropy_to(fake_logits, 0.0)
    _set_gradients(players.discriminator, fake_loss)
    players.discriminator_optimizer.step()

    generator_loss = cross_entropy_to(players.discriminator(fake), 1.0)
    _set_gradients(players.generator, generator_loss)
    players.generator_optimizer.step()
    return _statistics(generator_loss, real_loss + fake_loss, real_logits, fake_logits)


def _set_gradients(network: nn.Module, loss: Tensor, retain_graph: bool = False) -> None:
    """Replace the gradients of one network's weights, and of nothing else, by those of `loss`."""
    weights = list(network.parameters())
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights, retain_graph=retain_graph), strict=True):
        weight.grad = gradient


def _statistics(generator_loss: Tensor, discriminator_loss: Tensor, real_logits: Tensor, fake_logits: Tensor) -> StepStatistics:
    return StepStatistics(
        generator_loss=generator_loss.detach(),
        discriminator_loss=discriminator_loss.detach(),
        real_score=real_logits.detach().float().sigmoid().mean(),
        fake_score=fake_logits.detach().float().sigmoid().mean(),
    )
