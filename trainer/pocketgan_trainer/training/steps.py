"""One training step of each system, with its losses and augmentation.

A step changes nothing but the networks and optimizers that it is given.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, softplus
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from pocketgan_trainer.processes import ALONE, Processes
from pocketgan_trainer.training.shared_networks import own_network


def cross_entropy_to(logits: Tensor, target: float) -> Tensor:
    """Return the mean binary cross-entropy of float [N, 1] logits against one target probability, a scalar.

    The generator's loss is that of its fakes against 1, the non-saturating form of I. Goodfellow et al., "Generative Adversarial
    Nets", 2014, section 3.
    """
    return binary_cross_entropy_with_logits(logits.float(), torch.full_like(logits, target, dtype=torch.float32))


def relativistic_loss(higher: Tensor, lower: Tensor) -> Tensor:
    """Return how far logits [N, 1] are from all lying above their partners in `lower` [N, 1]: a scalar.

    The discriminator's loss is relativistic_loss(real, fake), the generator's relativistic_loss(fake, real): A. Jolicoeur-Martineau, "The
    relativistic discriminator", 2018, section 4.1, in the form of N. Huang et al., "The GAN is dead; long live the GAN! A Modern
    Baseline GAN", 2024, equation 2.
    """
    return softplus(lower.float() - higher.float()).mean()


def gradient_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """Return the mean over images [N, C, H, W] of the squared length of the logits' gradient at them: a scalar.

    `images` must require gradients and `logits` [N, 1] come from them; what is returned can be differentiated again. At real
    images this is R1, at generated ones R2: L. Mescheder et al., "Which Training Methods for GANs do actually Converge?", 2018,
    section 4.1.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.float().square().sum(dim=(1, 2, 3)).mean()


LARGEST_SHIFT_PIXELS = 2
BACKGROUND = -1.0


def shifted(images: Tensor, share: float, processes: Processes = ALONE) -> Tensor:
    """Return images [N, 1, H, W], about `share` of them moved by up to LARGEST_SHIFT_PIXELS, the others as they are.

    Each is moved on its own, by whole pixels along both axes, all distances alike likely; what leaves the image is lost, and
    background follows. No pixel's grey level changes, and gradients flow back to where it came from. Draws from torch's random
    state, for the images of all `processes` that share a batch, unless `share` is 0. This is shown to the discriminator in place
    of real and of generated images alike. So that the generator cannot learn to draw moved images, one that stays must be more
    frequent than any one move, which here are 25; so it is for every share below 1. Source: T. Karras et al., "Training
    Generative Adversarial Networks with Limited Data", 2020, sections 2.2 and 3; S. Zhao et al., "Differentiable Augmentation for
    Data-Efficient GAN Training", 2020.
    """
    if not share:
        return images
    count, _, height, width = images.shape
    reach = LARGEST_SHIFT_PIXELS
    in_all = processes.count * count
    moves = processes.own(torch.rand(in_all, 1, device=images.device)) < share
    distances = processes.own(torch.randint(2 * reach + 1, (in_all, 2), device=images.device))
    offsets = torch.where(moves, distances, reach)
    rows = offsets[:, 0, None] + torch.arange(height, device=images.device)  # [N, H]
    columns = offsets[:, 1, None] + torch.arange(width, device=images.device)  # [N, W]
    padded = functional.pad(images, (reach, reach, reach, reach), value=BACKGROUND).flatten(1)
    places = rows[:, :, None] * (width + 2 * reach) + columns[:, None, :]  # [N, H, W]
    return padded.gather(1, places.flatten(1)).view_as(images)


SMOOTHED_REAL = 0.9
"""What the DCGAN's discriminator is told of real images.

Source: T. Salimans et al., "Improved Techniques for Training GANs", 2016, section 3.4.
"""

PENALTY_INTERVAL = 4
"""The gradient penalties are taken every so many steps, and count so many times as much then: they cost more than the rest.

Source: T. Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, appendix B, there of R1 alone.
"""


@dataclass(frozen=True)
class Gan:
    """The two networks and the optimizers that move them."""

    generator: nn.Module
    discriminator: nn.Module
    generator_optimizer: Optimizer
    discriminator_optimizer: Optimizer
    ema_generator: nn.Module | None
    """The moving average of the generator, which no step touches; None in a run without."""

    @property
    def sampling_generator(self) -> nn.Module:
        """The generator whose images are shown, scored and exported."""
        return own_network(self.generator) if self.ema_generator is None else self.ema_generator


@dataclass(frozen=True)
class Batch:
    """What one step learns from."""

    real: Tensor
    """Real images, float [N, 1, H, W] in [-1, 1]."""
    latent: Tensor
    """What the fakes are drawn from, float [N, size]."""
    condition: tuple[Tensor, ...]
    """What both networks are told besides: (labels int64 [N],) of the real images and of the fakes alike, or nothing."""
    step: int
    """How many steps the run has taken before."""
    penalty_weight: float
    """Gamma: what the discriminator's squared gradients weigh, in a step that penalizes them."""
    class_weight: float
    """What naming the right class weighs in both losses, in a step whose discriminator does."""
    shifted_share: float
    """Share of the images that the discriminator is shown moved, in a step that moves any."""
    processes: Processes = ALONE
    """Those whose batches make up the step's."""


@dataclass(frozen=True)
class StepStatistics:
    """What one step measured, its figures as detached scalars on the training device, so that reading them can wait."""

    is_sound: bool
    """Whether all gradients were finite, for which the device was waited for.

    A network with others was not moved, and the rest is not to be relied on.
    """
    generator_loss: Tensor
    discriminator_loss: Tensor
    real_score: Tensor
    """D(x): the mean probability of being real that the discriminator gave to real images.

    Where it judges pairs of a real and a generated image, that of being the real one of the pair.
    """
    fake_score: Tensor
    """D(G(z)): the same for generated ones, before the generator moved."""


Step: TypeAlias = Callable[[Gan, Batch], StepStatistics]
"""Moves both networks once."""


def simultaneous_step(gan: Gan, batch: Batch) -> StepStatistics:
    """Move both networks from one batch and one set of fakes, each by its gradient at the same point."""
    fake = gan.generator(batch.latent, *batch.condition)
    real_logits = gan.discriminator(batch.real, *batch.condition)
    fake_logits = gan.discriminator(fake, *batch.condition)
    discriminator_loss = cross_entropy_to(real_logits, SMOOTHED_REAL) + cross_entropy_to(fake_logits, 0.0)
    generator_loss = cross_entropy_to(fake_logits, 1.0)
    # Both gradients before either step: the two losses share one graph, and neither may see the other's new weights.
    is_sound = _set_gradients(gan.discriminator_optimizer, discriminator_loss, retain_graph=True)
    is_sound &= _set_gradients(gan.generator_optimizer, generator_loss)
    if is_sound:
        gan.discriminator_optimizer.step()
        gan.generator_optimizer.step()
    return _statistics(is_sound, generator_loss, discriminator_loss, real_logits, fake_logits)


def alternating_step(gan: Gan, batch: Batch) -> StepStatistics:
    """Move the discriminator on a real batch, then on a fake one, then the generator against the moved discriminator."""
    real_logits = gan.discriminator(batch.real, *batch.condition)
    real_loss = cross_entropy_to(real_logits, 1.0)
    is_sound = _move(gan.discriminator_optimizer, real_loss)

    fake = gan.generator(batch.latent, *batch.condition)
    fake_logits = gan.discriminator(fake.detach(), *batch.condition)
    fake_loss = cross_entropy_to(fake_logits, 0.0)
    is_sound &= _move(gan.discriminator_optimizer, fake_loss)

    generator_loss = cross_entropy_to(gan.discriminator(fake, *batch.condition), 1.0)
    is_sound &= _move(gan.generator_optimizer, generator_loss)
    return _statistics(is_sound, generator_loss, real_loss + fake_loss, real_logits, fake_logits)


def paired_step(gan: Gan, batch: Batch) -> StepStatistics:
    """Move the discriminator, then the generator against it, both by the relativistic pairing loss.

    Pairs are of a real image and a fake of the same class, drawn from the same latents for both moves; the discriminator sees a
    share of both kinds shifted. It is held back by its squared gradients at real images (R1) and at fakes (R2). Besides, where
    images have classes, it learns to name those of real images. The generator is drawn towards classes that it names rightly in
    those steps alone in which it names the fakes worse than the real images: always, and the generator would shun what is odd.
    Needs a discriminator that returns logits [N, 1] and those of the classes [N, K], or None.

    Source of loss and penalties: N. Huang et al., "The GAN is dead; long live the GAN! A Modern Baseline GAN", 2024, section 2,
    where the penalties are taken at every step. Naming classes is after A. Odena et al., "Conditional Image Synthesis with
    Auxiliary Classifier GANs", 2017, section 4; to stop where real images are named no better is our own.
    """
    fake = gan.generator(batch.latent, *batch.condition)
    seen = [shifted(images, batch.shifted_share, batch.processes) for images in (batch.real, fake.detach())]
    images = torch.cat(seen)
    penalized = batch.penalty_weight > 0 and batch.step % PENALTY_INTERVAL == 0
    both_conditions = [torch.cat([label, label]) for label in batch.condition]
    logits, class_logits = gan.discriminator(images.requires_grad_(penalized), *both_conditions)
    real_logits, fake_logits = logits.chunk(2)
    discriminator_loss = relativistic_loss(real_logits, fake_logits)
    # At a weight of 0 the layer that names gets gradients of 0; Adam's first steps with it in earnest are a few times as long.
    naming_loss = _naming_loss(class_logits, batch.condition)
    loss = discriminator_loss + batch.class_weight * naming_loss
    if penalized:
        # The mean over reals and fakes together is half the sum of R1 and R2, and gamma / 2 its weight.
        loss = loss + PENALTY_INTERVAL * batch.penalty_weight * gradient_penalty(logits, images)
    is_sound = _move(gan.discriminator_optimizer, loss)

    with torch.no_grad():
        moved_real_logits, _ = gan.discriminator(images[: len(batch.real)], *batch.condition)
    fooled_logits, fooled_classes = gan.discriminator(shifted(fake, batch.shifted_share, batch.processes), *batch.condition)
    generator_loss = relativistic_loss(fooled_logits, moved_real_logits)
    excess_naming_loss = _naming_loss(fooled_classes, batch.condition) - naming_loss.detach()
    counts = batch.processes.mean(excess_naming_loss.detach()) > 0
    loss = generator_loss + batch.class_weight * torch.where(counts, excess_naming_loss, 0.0)
    is_sound &= _move(gan.generator_optimizer, loss)
    lead = real_logits - fake_logits
    return _statistics(is_sound, generator_loss, discriminator_loss, lead, -lead)


def _naming_loss(class_logits: Tensor | None, condition: tuple[Tensor, ...]) -> Tensor:
    """Return how badly the first images of a batch were named, whose labels `condition` holds; 0 where there are none."""
    if class_logits is None:
        return torch.zeros(())
    (label,) = condition
    return cross_entropy(class_logits[: len(label)], label)


def _set_gradients(optimizer: Optimizer, loss: Tensor, retain_graph: bool = False) -> bool:
    """Replace the gradients of the optimizer's weights, and of no others, by those of `loss`; return whether all are finite."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    optimizer.zero_grad()
    # Not autograd.grad, which networks that several processes train would not hear of.
    loss.backward(inputs=weights, retain_graph=retain_graph)  # type: ignore[no-untyped-call]
    return bool(get_total_norm(weight.grad for weight in weights).isfinite())


def _move(optimizer: Optimizer, loss: Tensor) -> bool:
    """Move the optimizer's network a step down `loss`, or not at all if a gradient is not finite; return whether it moved."""
    is_sound = _set_gradients(optimizer, loss)
    if is_sound:
        optimizer.step()
    return is_sound


def _statistics(
    is_sound: bool, generator_loss: Tensor, discriminator_loss: Tensor, real_logits: Tensor, fake_logits: Tensor
) -> StepStatistics:
    return StepStatistics(
        is_sound=is_sound,
        generator_loss=generator_loss.detach(),
        discriminator_loss=discriminator_loss.detach(),
        real_score=real_logits.detach().float().sigmoid().mean(),
        fake_score=fake_logits.detach().float().sigmoid().mean(),
    )
