"""An evaluation in one line of plain words for each source: how close to real digits, and what gives it away."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from typing import TypeAlias

from pocketgan_trainer.evaluate.evaluation import Evaluation, SourceScores
from pocketgan_trainer.evaluate.two_samples import DETECTORS

CLOSENESS = (
    (0.05, "close to real digits"),
    (0.15, "not far from real digits"),
    (0.35, "clearly different from real digits"),
    (1.0, "far from real digits"),
)
"""The largest excess of the nearest neighbour's accuracy, in the first judge's features, over that for real digits."""

Comparison: TypeAlias = Callable[[float, float, float], bool]
"""Whether a figure differs from that of real digits, the second argument, by more than the third, which chance explains."""


@dataclass(frozen=True)
class Giveaway:
    """Something by which generated digits can be recognized."""

    key: str
    """Of a row of `figures.FIGURES`."""
    words: str
    shows: Comparison


GIVEAWAYS = (
    Giveaway("against_test.told_apart_by_texture", "texture", lambda found, real, chance: found > real + 0.05 + chance),
    Giveaway("traits.sized_and_centered", "size and place", lambda found, real, chance: found < real - 0.02 - chance),
    Giveaway("traits.usual_full_ink", "the grey of full ink", lambda found, real, chance: abs(found - real) > 0.1 + chance),
    Giveaway("traits.topology_distance", "broken strokes and filled loops", lambda found, real, chance: found > 2 * real),
    Giveaway("against_test.neighbourhood.recall", "little variety", lambda found, real, chance: found < real - 0.05 - chance),
    Giveaway(
        "against_test.neighbourhood.precision", "misshapen digits", lambda found, real, chance: found < real - 0.05 - chance
    ),
)
_LEAST_MISJUDGED = 0.005
"""A smaller share of images that are judged as another digit, beyond that of real ones, is not worth a word."""
_RARE = 0.13
"""Two standard deviations of a share near 0.4 %, as a part of those of a share near a half."""
_GUESS = 0.52
"""A network that is right no more often than this hardly knows more than chance."""


def verdict(evaluation: Evaluation, scores: SourceScores) -> str:
    """Return what the figures of one source mean, in a few words; figures that were not measured say nothing."""
    real = evaluation.real
    neighbour = "against_test.nearest_neighbour_accuracy"
    chance = math.sqrt(2 / evaluation.options.count)  # two standard deviations of the difference of two shares near a half
    excess = _mean(scores, neighbour) - _mean(real, neighbour) - chance
    parts = [next(words for limit, words in CLOSENESS if excess <= limit)]
    found = [
        giveaway.words
        for giveaway in GIVEAWAYS
        if giveaway.key in scores.seeds[0] and giveaway.shows(_mean(scores, giveaway.key), _mean(real, giveaway.key), chance)
    ]
    if found:
        parts.append(f"given away by {', '.join(found)}")
    trained = [fmean(scores.trained[detector.key]) for detector in DETECTORS if detector.key in scores.trained]
    if trained:
        right = max(trained)
        parts.append("no network recognizes them" if right < _GUESS else f"a network is right in {right:.0%} of cases")
    if scores.has_classes:
        misjudged = _mean(real, "classes.accuracy") - _mean(scores, "classes.accuracy")
        if misjudged > _LEAST_MISJUDGED + _RARE * chance:
            parts.append(f"{1 - _mean(scores, 'classes.accuracy'):.1%} look like another digit than the one asked for")
    band, band_low = (real.seeds[0].get(f"memorization.{key}") for key in ("copying_band", "band_low"))
    if isinstance(band, tuple) and isinstance(band_low, tuple):
        is_far_below = _mean(scores, "memorization.copying_score") < 2 * band[0]
        if is_far_below and _mean(scores, "memorization.nearest_ratio_low") < band_low[0]:
            parts.append("closer to training digits than real ones are: some may be copies")
    return "; ".join(parts)


def _mean(scores: SourceScores, key: str) -> float:
    values = [of_seed[key] for of_seed in scores.seeds]
    return fmean(value for value in values if isinstance(value, float))
