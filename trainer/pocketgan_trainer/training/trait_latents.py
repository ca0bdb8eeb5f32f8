"""The latents that stand for traits: how slanted, thick and wide the digits of a data set are, as standard normal numbers.

A generator whose fakes have the same numbers as the real images that they are paired with learns what these numbers mean, and
digits can be asked for by their traits later.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pocketgan.latents import LARGEST_TICK, LATENT_STEP
from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.evaluate.handwriting import handwriting, normal_scores

_FEWEST = 10
"""The fewest digits of a class that can be compared with each other."""
_LEAST_DEVIATION = 0.05
"""What differs less is taken for nothing."""


def trait_latents(digits: Digits) -> Tensor:
    """Return three latents for each of the digits, float32 [N, 3], on the runtime's grid, from its slant, thickness and width.

    Within a class each trait is ranked and becomes a normal number. The first latent is that of slant, the second the part of
    thickness that slant does not explain, the third the part of width that neither explains. So they are independent and about
    standard normal, as the generator's latents are. A part that is nothing becomes zeros, and so do digits without ink. Takes a
    millisecond or two for each.
    """
    traits = handwriting(digits.images)
    latents = np.zeros_like(traits)
    has_ink = np.isfinite(traits).all(axis=1)
    for label in np.unique(digits.labels):
        of_class = np.flatnonzero(has_ink & (digits.labels == label))
        if len(of_class) >= _FEWEST:
            latents[of_class] = _independent(normal_scores(traits[of_class]))
    ticks = (torch.from_numpy(latents).float() / LATENT_STEP).round().clamp(-LARGEST_TICK, LARGEST_TICK)
    return ticks * LATENT_STEP


def _independent(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what is new in each column of scores float64 [n, k] when those before are known, standardized, or zeros."""
    found: list[NDArray[np.float64]] = []
    for score in (scores - scores.mean(axis=0)).T:
        new = score - sum((score @ before) / len(score) * before for before in found)
        deviation = new.std()
        found.append(new / deviation if deviation > _LEAST_DEVIATION else np.zeros_like(new))
    return np.stack(found, axis=1)
