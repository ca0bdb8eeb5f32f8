"""An evaluation in one line of plain words for each source: how close to real digits, and what gives it away."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from typing import TypeAlias

from pocketgan_trainer.evaluate.evaluation import Evaluation, SourceScores
from pocketgan_trainer.evaluate.two_samples import DETECTORS

NEARNESS = (
    (0.05, "close to real digits"),
    (0.15, "not far from real digits"),
    (0.35, "clearly different from real digits"),
    (1.0, "far from real digits"),
)
"""By how much larger a share than of real digits the nearest neighbour in the first judge's features recognizes, at most."""

Comparison: TypeAlias = Callable[[float, float], bool]
"""Whether a figure differs from that of real digits, which is the second argument, by more than chance explains."""


@dataclass(frozen=True)
class Giveaway:
    """Something by which generated digits can be recognized."""

    key: str
    """Of a row of `figures.FIGURES`."""
    words: str
    shows: Comparison


GIVEAWAYS = (
    Giveaway("against_test.told_apart_by_texture", "texture", lambda found, real: found > real + 0.05),
    Giveaway("traits.sized_and_centered", "size and place", lambda found, real: found < real - 0.02),
    Giveaway("traits.usual_full_ink", "the grey of full ink", lambda found, real: abs(found - real) > 0.1),
    Giveaway("traits.topology_distance", "broken strokes and filled loops", lambda found, real: found > 2 * real),
    Giveaway("against_test.neighbourhood.recall", "little variety", lambda found, real: found < real - 0.05),
    Giveaway("against_test.neighbourhood.precision", "misshapen digits", lambda found, real: found < real - 0.05),
)
_LEAST_MISJUDGED = 0.005
"""A smaller share of images that are judged as another digit, beyond that of real ones, is not worth a word."""


def verdict(evaluation: Evaluation, scores: SourceScores) -> str:
    """Return what the figures of one source mean, in a few words; figures that were not measured say nothing."""
    real = evaluation.real
    neighbour = "against_test.nearest_neighbour_accuracy"
    excess = _mean(scores, neighbour) - _mean(real, neighbour)
    parts = [next(words for limit, words in NEARNESS if excess <= limit)]
    found = [
        giveaway.words
        for giveaway in GIVEAWAYS
        if giveaway.key in scores.seeds[0] and giveaway.shows(_mean(scores, giveaway.key), _mean(real, giveaway.key))
    ]
    if found:
        parts.append(f"given away by {', '.join(found)}")
    trained = [fmean(scores.trained[detector.key]) for detector in DETECTORS if detector.key in scores.trained]
    if trained:
        parts.append(f"a network recognizes {max(trained):.0%}")
    if scores.has_classes:
        misjudged = _mean(real, "classes.accuracy") - _mean(scores, "classes.accuracy")
        if misjudged > _LEAST_MISJUDGED:
            parts.append(f"{1 - _mean(scores, 'classes.accuracy'):.1%} look like another digit than the one asked for")
    band = real.seeds[0].get("memorization.copying_band")
    if isinstance(band, tuple) and _mean(scores, "memorization.copying_score") < band[0]:
        parts.append("some are copies of training digits")
    return "; ".join(parts)


def _mean(scores: SourceScores, key: str) -> float:
    values = [of_seed[key] for of_seed in scores.seeds]
    return fmean(value for value in values if isinstance(value, float))
