"""The losses that the systems play for."""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, softplus


def cross_entropy_to(logits: Tensor, target: float) -> Tensor:
    """Return the mean binary cross-entropy of float [N, 1] logits against one target probability, a scalar.

    The generator's loss is that of its fakes against 1, the non-saturating form of I. Goodfellow et al., "Generative Adversarial
    Nets", 2014, section 3.
    """
    return binary_cross_entropy_with_logits(logits.float(), torch.full_like(logits, target, dtype=torch.float32))


def pairing_loss(higher: Tensor, lower: Tensor) -> Tensor:
    """Return how far logits [N, 1] are from all lying above their partners in `lower` [N, 1]: a scalar.

    The discriminator's loss is pairing_loss(real, fake), the generator's pairing_loss(fake, real): A. Jolicoeur-Martineau, "The
    relativistic discriminator", 2018, section 4.1, in the form of N. Huang et al., "The GAN is dead; long live the GAN! A Modern
    Baseline GAN", 2024, equation 2.
    """
    return softplus(lower.float() - higher.float()).mean()


def squared_gradient(logits: Tensor, images: Tensor) -> Tensor:
    """Return the mean over images [N, C, H, W] of the squared length of the logits' gradient at them: a scalar.

    `images` must require gradients and `logits` [N, 1] come from them; what is returned can be differentiated again. At real
    images this is R1, at generated ones R2: L. Mescheder et al., "Which Training Methods for GANs do actually Converge?", 2018,
    section 4.1.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.float().square().sum(dim=(1, 2, 3)).mean()
