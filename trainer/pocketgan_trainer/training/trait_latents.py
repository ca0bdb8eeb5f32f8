"""The latents that stand for traits: how slanted, thick and wide the digits of a data set are, as standard normal numbers.

A generator whose fakes have the same numbers as the real images that they are paired with learns what these numbers mean, and
digits can be asked for by their traits later.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pocketgan.latents import LARGEST_TICK, LATENT_STEP
from pocketgan.trait_table import TRAITS
from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.evaluate.handwriting import handwriting, normal_scores


def trait_latents(digits: Digits) -> Tensor:
    """Return three latents for each of the digits, float32 [N, 3], on the runtime's grid, from its slant, thickness and width.

    Within a class each trait is ranked and becomes a normal number. The first latent is that of slant; what is left of
    thickness, and then of width, when those before are known gives the others. So they are standard normal and independent, as
    the generator's latents are. Digits without ink get zeros. Takes a millisecond or two for each.
    """
    traits = handwriting(digits.images)
    latents = np.zeros_like(traits)
    has_ink = np.isfinite(traits).all(axis=1)
    for label in np.unique(digits.labels):
        of_class = np.flatnonzero(has_ink & (digits.labels == label))
        if len(of_class) > len(TRAITS):
            latents[of_class] = _independent(normal_scores(traits[of_class]))
    ticks = (torch.from_numpy(latents).float() / LATENT_STEP).round().clamp(-LARGEST_TICK, LARGEST_TICK)
    return ticks * LATENT_STEP


def _independent(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what is new in each column of scores float64 [n, k] when those before are known, standardized."""
    mixing = np.linalg.cholesky(np.corrcoef(scores.T))
    return np.linalg.solve(mixing, scores.T).T
