"""The training steps, with their losses and augmentation.

A step changes only the networks and optimizers that are passed to it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, softplus
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from pocketgan.trait_table import TRAITS
from pocketgan_trainer.networks.canvas import window
from pocketgan_trainer.processes import ALONE, Processes
from pocketgan_trainer.training.shared_networks import own_network


def cross_entropy_to(logits: Tensor, target: float) -> Tensor:
    """Return the mean binary cross-entropy of float [N, 1] logits against one target probability, a scalar.

    The generator's loss is that of its fakes against 1, the non-saturating form of I. Goodfellow et al., "Generative Adversarial
    Nets", 2014, section 3.
    """
    return binary_cross_entropy_with_logits(logits.float(), torch.full_like(logits, target, dtype=torch.float32))


def relativistic_loss(higher: Tensor, lower: Tensor) -> Tensor:
    """Return the mean of softplus(lower - higher) over pairs of logits, each float [N, 1]: a scalar.

    The discriminator's loss is relativistic_loss(real, fake), the generator's relativistic_loss(fake, real). Source:
    A. Jolicoeur-Martineau, "The relativistic discriminator", 2018, section 4.1, in the form of N. Huang et al., "The GAN is dead;
    long live the GAN! A Modern Baseline GAN", 2024, equation 2.
    """
    return softplus(lower.float() - higher.float()).mean()


def gradient_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """Return the mean over images [N, C, H, W] of the squared length of the logits' gradient at them: a scalar.

    `images` must require gradients, and `logits` [N, 1] must be computed from them; the result can be differentiated again. At
    real images this is R1, at generated ones R2. Source: L. Mescheder et al., "Which Training Methods for GANs do actually
    Converge?", 2018, section 4.1.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.float().square().sum(dim=(1, 2, 3)).mean()


LARGEST_SHIFT_PIXELS = 2


def shifted(images: Tensor, share: float, processes: Processes = ALONE) -> Tensor:
    """Return images [N, 1, H, W], about `share` of them moved by up to LARGEST_SHIFT_PIXELS, the others unchanged.

    Each of these is moved by its own whole number of pixels along each axis, all distances equally likely. Pixels that leave the
    image are lost, and background fills the gap. Grey levels do not change, and the gradient of a pixel flows back to where it
    came from. Unless `share` is 0, this draws from torch's random state, for the images of all `processes` that share a batch.

    The discriminator sees shifted images instead of both real and generated ones. The generator does not learn to draw shifted
    images as long as unshifted ones are more frequent than any single shift, which is true of every share below 1.

    Source: T. Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020, sections 2.2 and 3; S. Zhao et
    al., "Differentiable Augmentation for Data-Efficient GAN Training", 2020.
    """
    if not share:
        return images
    count, _, height, width = images.shape
    reach = LARGEST_SHIFT_PIXELS
    batch_size = processes.count * count
    moves = processes.own(torch.rand(batch_size, 1, device=images.device)) < share
    distances = processes.own(torch.randint(2 * reach + 1, (batch_size, 2), device=images.device))
    offsets = torch.where(moves, distances, reach)
    return window(images, offsets, reach, height, width)


SMOOTHED_REAL = 0.9
"""The DCGAN's target for real images (one-sided label smoothing).

Source: T. Salimans et al., "Improved Techniques for Training GANs", 2016, section 3.4.
"""

PENALTY_INTERVAL = 4
"""The gradient penalty is computed every 4th step, with 4 times the weight (lazy regularization): it costs more than the rest.

Source: T. Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, appendix B, for R1 alone.
"""


@dataclass(frozen=True)
class Gan:
    """The two networks, their optimizers, and the moving average of the generator."""

    generator: nn.Module
    discriminator: nn.Module
    generator_optimizer: Optimizer
    discriminator_optimizer: Optimizer
    ema_generator: nn.Module | None
    """The exponential moving average of the generator, which steps do not change; None in a run without it."""
    view: Callable[[Tensor], Tensor] = lambda images: images
    """What `paired_step` shows the discriminator of images [N, 1, H, W], real and generated: all of them, or their canvases."""

    guide: Callable[[Tensor], Tensor] | None = None
    """A classifier that does not learn any more: what the discriminator is shown of images, in [-1, 1], to logits [N, classes].
    None in a run without one."""

    @property
    def sampling_generator(self) -> nn.Module:
        """The generator whose images are shown, evaluated and exported."""
        return own_network(self.generator) if self.ema_generator is None else self.ema_generator


@dataclass(frozen=True)
class Batch:
    """What one step learns from."""

    real: Tensor
    """Real images, float [N, 1, H, W] in [-1, 1]."""
    latent: Tensor
    """The latents of the fakes, float [N, size]."""
    condition: tuple[Tensor, ...]
    """The further input of both networks: (labels int64 [N],), of the real images and of the fakes, or nothing."""
    step: int
    """The number of earlier steps of the run."""
    penalty_weight: float
    """Gamma, the weight of the gradient penalty, for steps that have one."""
    class_weight: float
    """The weight of classification in both losses, for steps whose discriminator classifies."""
    guidance_weight: float
    """The weight of the guide's cross-entropy in the generator's loss; if it is not 0, there must be a guide."""
    trait_weight: float
    """The weight of traits in both losses, for steps whose discriminator reads them; if it is not 0, the first latents of a fake
    are those of the real image of its pair, see `trait_latents`."""
    hidden_traits_share: float
    """Share of the pairs that the discriminator judges without being shown the traits that they should have."""
    shifted_share: float
    """Share of the images that the discriminator sees shifted, for steps that shift images."""
    processes: Processes = ALONE
    """The processes that share the step's batch."""


@dataclass(frozen=True)
class StepStatistics:
    """What one step measured: detached scalars on the training device, which need not be read at once."""

    is_sound: bool
    """Whether all gradients were finite; to find out, the step waits for the device.

    If not, a network whose gradients were not finite was not updated, and the other figures are meaningless.
    """
    generator_loss: Tensor
    discriminator_loss: Tensor
    real_score: Tensor
    """D(x): the mean probability of being real that the discriminator gave to real images.

    In `paired_step`, the probability of being the real image of a pair.
    """
    fake_score: Tensor
    """D(G(z)): the same for generated images, before the generator moved."""


Step: TypeAlias = Callable[[Gan, Batch], StepStatistics]
"""Updates both networks once."""


def simultaneous_step(gan: Gan, batch: Batch) -> StepStatistics:
    """Update both networks with one batch and one set of fakes, each by its gradient at the same point."""
    fake = gan.generator(batch.latent, *batch.condition)
    real_logits = gan.discriminator(batch.real, *batch.condition)
    fake_logits = gan.discriminator(fake, *batch.condition)
    discriminator_loss = cross_entropy_to(real_logits, SMOOTHED_REAL) + cross_entropy_to(fake_logits, 0.0)
    generator_loss = cross_entropy_to(fake_logits, 1.0)
    # Both gradients before either update: the two losses share one graph and must not see new weights.
    is_sound = _set_gradients(gan.discriminator_optimizer, discriminator_loss, retain_graph=True)
    is_sound &= _set_gradients(gan.generator_optimizer, generator_loss)
    if is_sound:
        gan.discriminator_optimizer.step()
        gan.generator_optimizer.step()
    return _statistics(is_sound, generator_loss, discriminator_loss, real_logits, fake_logits)


def alternating_step(gan: Gan, batch: Batch) -> StepStatistics:
    """Update the discriminator on a real batch, then on a fake one, then the generator against the new discriminator."""
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
    """Update the discriminator, then the generator against it, both by the relativistic loss.

    A pair is a real image and a fake of the same class; both updates use the same fakes, and the discriminator sees a share of
    both images shifted. A gradient penalty at real images (R1) and at fakes (R2) regularizes it. If images have classes, it also
    learns to classify real images. The generator learns to draw fakes that the discriminator classifies correctly, but only in
    steps in which it then classifies the fakes worse than it had classified the real images: otherwise the generator would avoid
    unusual shapes.
    With traits, a pair has the same ones; the discriminator learns to read them from real images, and the generator to draw fakes
    of which it reads those that they should have. The discriminator must take traits, whether it uses them or not, and return a
    Judgement. In pairs whose traits are hidden from it, it is shown zeros, the middle of each.
    With a guide, the generator also learns to draw fakes whose class the guide recognizes.

    Source of loss and penalties: N. Huang et al., "The GAN is dead; long live the GAN! A Modern Baseline GAN", 2024, section 2,
    with the penalties at every step. Classification follows A. Odena et al., "Conditional Image Synthesis with Auxiliary
    Classifier GANs", 2017, section 4; limiting it to steps in which real images are classified better is our own.
    """
    real, fake = gan.view(batch.real), gan.view(gan.generator(batch.latent, *batch.condition))
    penalized = batch.penalty_weight > 0 and batch.step % PENALTY_INTERVAL == 0
    seen_real, seen_fake = (
        shifted(images, batch.shifted_share, batch.processes).detach().requires_grad_(penalized) for images in (real, fake)
    )
    traits = batch.latent[:, : len(TRAITS)]
    shown = _partly_hidden(traits, batch.hidden_traits_share, batch.processes)
    # Separately, since a discriminator that compares images within a batch must not mix real and generated ones.
    real_logits, class_logits, real_traits = gan.discriminator(seen_real, *batch.condition, traits=shown)
    fake_logits = gan.discriminator(seen_fake, *batch.condition, traits=shown).logits
    discriminator_loss = relativistic_loss(real_logits, fake_logits)
    # Also at a weight of 0, so that the classifying layer gets gradients of 0; Adam's first steps after them are longer.
    class_loss = _class_loss(class_logits, batch.condition)
    loss = discriminator_loss + batch.class_weight * class_loss + batch.trait_weight * _trait_loss(real_traits, traits)
    if penalized:
        penalties = gradient_penalty(real_logits, seen_real) + gradient_penalty(fake_logits, seen_fake)
        loss = loss + PENALTY_INTERVAL * batch.penalty_weight / 2 * penalties
    is_sound = _move(gan.discriminator_optimizer, loss)

    with torch.no_grad():
        moved_real_logits = gan.discriminator(seen_real, *batch.condition, traits=shown).logits
    seen_fake = shifted(fake, batch.shifted_share, batch.processes)
    fooled_logits, fooled_classes, fooled_traits = gan.discriminator(seen_fake, *batch.condition, traits=shown)
    generator_loss = relativistic_loss(fooled_logits, moved_real_logits)
    excess_class_loss = _class_loss(fooled_classes, batch.condition) - class_loss.detach()
    counts = batch.processes.mean(excess_class_loss.detach()) > 0
    loss = generator_loss + batch.class_weight * torch.where(counts, excess_class_loss, 0.0)
    loss = loss + batch.trait_weight * _trait_loss(fooled_traits, traits)
    if batch.guidance_weight and gan.guide is not None:
        # Of fakes on canvases only every other one is black and white, as the images are that the guide knows.
        loss = loss + batch.guidance_weight * cross_entropy(gan.guide(fake[::2]).float(), batch.condition[0][::2])
    is_sound &= _move(gan.generator_optimizer, loss)
    lead = real_logits - fake_logits
    return _statistics(is_sound, generator_loss, discriminator_loss, lead, -lead)


def _partly_hidden(traits: Tensor, share: float, processes: Processes) -> Tensor:
    """Return traits [N, T], 0 in about `share` of the rows; unless that is 0, this draws from torch's random state."""
    if not share:
        return traits
    is_hidden = processes.own(torch.rand(processes.count * len(traits), 1, device=traits.device)) < share
    return torch.where(is_hidden, 0.0, traits)


def _class_loss(class_logits: Tensor | None, condition: tuple[Tensor, ...]) -> Tensor:
    """Return the cross-entropy of a batch whose labels `condition` holds; 0 without classes."""
    if class_logits is None:
        return torch.zeros(())
    (label,) = condition
    return cross_entropy(class_logits, label)


def _trait_loss(seen: Tensor | None, traits: Tensor) -> Tensor:
    """Return the mean squared distance of the traits that were read from images from their own, both [N, T]; 0 if none were."""
    if seen is None:
        return torch.zeros(())
    return (seen - traits).square().sum(dim=1).mean()


def _set_gradients(optimizer: Optimizer, loss: Tensor, retain_graph: bool = False) -> bool:
    """Set the gradients of the optimizer's weights only to those of `loss`; return whether all are finite."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    optimizer.zero_grad()
    # Not autograd.grad: DistributedDataParallel averages gradients over processes only in backward.
    loss.backward(inputs=weights, retain_graph=retain_graph)  # type: ignore[no-untyped-call]
    return bool(get_total_norm(weight.grad for weight in weights).isfinite())


def _move(optimizer: Optimizer, loss: Tensor) -> bool:
    """Take a step of the optimizer to reduce `loss`, unless a gradient is not finite; return whether it was taken."""
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
