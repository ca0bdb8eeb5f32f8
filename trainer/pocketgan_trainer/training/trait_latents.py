"""The latents that stand for traits: how slanted, thick and wide the digits of a data set are, as standard normal numbers.

A generator whose fakes have the same numbers as the real images that they are paired with learns what these numbers mean, and
digits can be asked for by their traits later.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor

from pocketgan.errors import first_line
from pocketgan.files import open_regular_file, whole_file
from pocketgan.latents import LARGEST_TICK, LATENT_STEP
from pocketgan.trait_table import TRAITS
from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.errors import TrainingError
from pocketgan_trainer.evaluate.handwriting import handwriting, normal_scores
from pocketgan_trainer.tensor_files import form_of, read_header, read_tensors

_FEWEST = 10
"""The fewest digits of a class that can be compared with each other."""
_LEAST_DEVIATION = 0.05
"""What differs less is taken for nothing."""


_NAME = "ticks"


def trait_latents(digits: Digits, path: Path | None = None) -> Tensor:
    """Return three latents for each of the digits, float32 [N, 3], on the runtime's grid, from its slant, thickness and width.

    They are read from `path` if it exists; otherwise measured and, with a `path`, saved there. Raises TrainingError if the file
    cannot be read, OutputError if it cannot be written.
    """
    if path is not None and path.exists():
        return _read(path, len(digits)) * LATENT_STEP
    ticks = _measured(digits)
    if path is not None:
        with whole_file(path) as temporary:
            temporary.write_bytes(save({_NAME: ticks.to(torch.int8)}))
    return ticks * LATENT_STEP


def _read(path: Path, count: int) -> Tensor:
    """Return the ticks of `count` digits in a file, float32 [count, 3]."""
    try:
        with open_regular_file(path) as file:
            form = form_of(torch.zeros(count, len(TRAITS), dtype=torch.int8))
            _, tensors = read_tensors(file, read_header(file), {_NAME: frozenset({form})})
    except (OSError, ValueError) as error:
        remark = (error.strerror if isinstance(error, OSError) else None) or first_line(error)
        raise TrainingError(
            f"{path} does not hold the traits of this run's images ({remark}): remove it to have them measured again"
        ) from error
    return tensors[_NAME].float()


def _measured(digits: Digits) -> Tensor:
    """Return the latents in LATENT_STEPs, float32 [N, 3].

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
    return (torch.from_numpy(latents).float() / LATENT_STEP).round().clamp(-LARGEST_TICK, LARGEST_TICK)


def _independent(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what is new in each column of scores float64 [n, k] when those before are known, standardized, or zeros."""
    found: list[NDArray[np.float64]] = []
    for score in (scores - scores.mean(axis=0)).T:
        new = score - sum((score @ before) / len(score) * before for before in found)
        deviation = new.std()
        found.append(new / deviation if deviation > _LEAST_DEVIATION else np.zeros_like(new))
    return np.stack(found, axis=1)
