"""Measures which latents stand for which slant, thickness and width in the images of an exported file.

A generator that was trained with traits follows its first latents only roughly; the table that is fitted here corrects curved
and mixed responses.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession
from scipy.optimize import isotonic_regression

from pocketgan.errors import CardError
from pocketgan.latents import LATENT_STEP
from pocketgan.trait_table import MIXING_UNITS, SCORES, TRAITS, VALUES_PER_UNIT, ClassTraits
from pocketgan_trainer.evaluate.handwriting import handwriting, normal_scores
from pocketgan_trainer.export.layers import model_inputs

TRAITS_SEED = 2**32 + 3
"""The seed of the images that are measured; small seeds of users do not draw them."""
_IMAGES_OF_A_CLASS = 1_000
_MOST_IMAGES = 20_000
_FEWEST_IMAGES = 2 * len(SCORES)

_BATCH_SIZE = 250


LEAST_CORRELATION = 0.6
"""Traits can be chosen if each of them follows the first latents at least so much in every class."""

LEAST_OWN_SHARE = 0.6
"""If a trait of a class follows its own latent less than that, this latent alone is its score.

So the others can change without it. A one is about as wide as its stroke is thick: a thin one that had to stay as wide would get
a foot.
"""


@dataclass(frozen=True)
class MeasuredTraits:
    """How well traits follow the first latents."""

    correlations: NDArray[np.float64]
    """Of each trait's normal scores with what the latents say, [classes, 3], or [1, 3] without classes."""
    table: tuple[ClassTraits, ...] | None
    """The traits of each class, or of all images without classes; None if they cannot be chosen."""

    @property
    def means(self) -> Mapping[str, float]:
        """The mean correlation of each trait over the classes."""
        return dict(zip(TRAITS, self.correlations.mean(axis=0).tolist(), strict=True))


def measure_traits(session: InferenceSession, latent_size: int, classes: int) -> MeasuredTraits:
    """Measure the images of an opened model, with `classes` or without; takes about ten seconds."""
    groups = max(1, classes)
    count = groups * min(_IMAGES_OF_A_CLASS, _MOST_IMAGES // groups)
    inputs = model_inputs(latent_size, classes, TRAITS_SEED, count)
    batches = [{name: values[first:][:_BATCH_SIZE] for name, values in inputs.items()} for first in range(0, count, _BATCH_SIZE)]
    traits = np.concatenate([handwriting(session.run(["images"], batch)[0]) for batch in batches])
    latents = inputs["z"][:, : len(TRAITS)].astype(np.float64)
    fitted = [_fitted(latents[number::groups], traits[number::groups]) for number in range(groups)]
    correlations = np.stack([each for each, _ in fitted])
    table = tuple(of_class for _, of_class in fitted if of_class is not None)
    can_choose = len(table) == groups and bool((correlations >= LEAST_CORRELATION).all())
    return MeasuredTraits(correlations, table if can_choose else None)


def describe_traits(traits: MeasuredTraits, classes: Sequence[str]) -> str:
    """Return in words whether traits can be chosen, and if not, which one of which class follows the latents least."""
    if traits.table is not None:
        figures = ", ".join(f"{name} {value:.3f}" for name, value in traits.means.items())
        return f"can be chosen; correlations with the first latents: {figures}"
    refused = "cannot be chosen (no --slant, --thickness, --width)"
    place, number = divmod(int(np.argmin(traits.correlations)), len(TRAITS))
    trait = f"{list(TRAITS)[number]}{f' of class {classes[place]}' if classes else ''}"
    least = traits.correlations.min()
    if least < LEAST_CORRELATION:
        return f"{refused}: {trait} correlates with the first latents by {least:.3f}, limit {LEAST_CORRELATION}"
    return f"{refused}: two of them depend on the same latents"


def _fitted(latents: NDArray[np.float64], traits: NDArray[np.float64]) -> tuple[NDArray[np.float64], ClassTraits | None]:
    """Return the correlations of one class, [3], and its table if there can be one, from latents and traits, both [n, 3]."""
    has_ink = np.isfinite(traits).all(axis=1)
    latents, traits = latents[has_ink], traits[has_ink]
    if len(traits) < _FEWEST_IMAGES or (np.ptp(traits, axis=0) == 0).any():
        return np.zeros(len(TRAITS)), None
    normal = normal_scores(traits)
    slopes = np.linalg.lstsq(latents, normal, rcond=None)[0].T
    mixing = slopes / np.linalg.norm(slopes, axis=1, keepdims=True)  # so that scores are distributed like latents
    correlations = np.array([np.corrcoef(latents @ row, of_trait)[0, 1] for row, of_trait in zip(mixing, normal.T, strict=True)])
    own = np.diag(mixing)
    correlations[own < 0] *= -1  # it falls when its own latent rises, so it cannot be chosen
    depends_on_others = own < LEAST_OWN_SHARE
    mixing = np.rint(MIXING_UNITS * np.where(depends_on_others[:, None], np.eye(len(TRAITS)), mixing)).astype(int)
    scores = latents @ mixing.T / (MIXING_UNITS * LATENT_STEP)
    # What the other latents do, if the score does not know it.
    others = [depends * np.delete(latents, number, axis=1) for number, depends in enumerate(depends_on_others)]
    values = [
        _values(of_trait, other, VALUES_PER_UNIT * trait)
        for of_trait, other, trait in zip(scores.T, others, traits.T, strict=True)
    ]
    try:
        return correlations, ClassTraits(tuple(map(tuple, values)), tuple(map(tuple, mixing.tolist())))
    except CardError:  # traits that cannot be told apart
        return correlations, None


def _values(scores: NDArray[np.float64], others: NDArray[np.float64], traits: NDArray[np.float64]) -> list[int]:
    """Return the values at SCORES between which straight lines fit the traits of images with these scores best, [n] both.

    What `others` do beyond that, [n, k], is left out.
    """
    place = (scores - SCORES[0]) / SCORES.step
    below = np.clip(np.floor(place).astype(int), 0, len(SCORES) - 2)
    each, share = np.arange(len(scores)), place - below
    hats = np.zeros((len(scores), len(SCORES)))
    hats[each, below], hats[each, below + 1] = 1 - share, share
    weights = np.linalg.lstsq(np.hstack([hats, others]), traits, rcond=None)[0]
    # Few images have the outermost scores, so chance may turn the order of their values round.
    rising = np.rint(isotonic_regression(weights[: len(SCORES)], weights=np.abs(hats).sum(axis=0) + 1e-6).x).astype(int)
    steps = np.arange(len(SCORES))  # each at least one above the one before
    fitted: list[int] = (np.maximum.accumulate(rising - steps) + steps).tolist()
    return fitted
