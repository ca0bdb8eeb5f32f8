"""The loss that both classic systems play for."""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def cross_entropy_to(logits: Tensor, target: float) -> Tensor:
    """Return the mean binary cross-entropy of float [N, 1] logits against one target probability, a scalar.

    The generator's loss is that of its fakes against 1, the non-saturating form of I. Goodfellow et al., "Generative Adversarial
    Nets", 2014, section 3.
    """
    return binary_cross_entropy_with_logits(logits.float(), torch.full_like(logits, target, dtype=torch.float32))
