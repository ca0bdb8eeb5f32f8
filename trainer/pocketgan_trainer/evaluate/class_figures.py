"""Which digits a judge sees in generated images: whether all are there, in what proportions, and each where it was asked for."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ClassFigures:
    """What a judge makes of the classes of N generated images."""

    histogram: tuple[int, ...]
    """How many images the judge takes for each digit, 10 counts that sum to N."""
    divergence: float
    """Kullback-Leibler divergence of those shares from the expected proportions, in nats; 0 if they are equal.

    Labels drawn at random score 9 / 2N on average; infinite if a digit is there that is not expected at all.
    """
    accuracy_of_class: tuple[float, ...] | None
    """Share of the images asked for as each digit that the judge takes for it; nan for a digit never asked for.

    None where nobody asked for a digit.
    """
    accuracy: float | None
    """The same share of all images; None where nobody asked for a digit."""


def class_figures(
    probabilities: NDArray[np.float32],
    expected_proportions: NDArray[np.float64],
    asked: NDArray[np.uint8] | NDArray[np.int64] | None,
) -> ClassFigures:
    """Return the figures for a judge's probabilities [N, 10], N above 0, of images that were asked for as labels `asked` [N].

    The judge's digit is its most probable one. `expected_proportions` [10] are not negative and sum to 1.
    """
    classes = len(expected_proportions)
    judged = probabilities.argmax(axis=1)
    histogram = np.bincount(judged, minlength=classes)
    accuracy_of_class, accuracy = None, None
    if asked is not None:
        right = judged == asked
        asked_of_class = np.bincount(asked, minlength=classes)
        right_of_class = np.bincount(asked[right], minlength=classes)
        shares = np.divide(right_of_class, asked_of_class, out=np.full(classes, np.nan), where=asked_of_class > 0)
        accuracy_of_class, accuracy = tuple(shares.tolist()), float(right.mean())
    return ClassFigures(
        histogram=tuple(histogram.tolist()),
        divergence=_divergence(histogram / len(judged), expected_proportions),
        accuracy_of_class=accuracy_of_class,
        accuracy=accuracy,
    )


def _divergence(proportions: NDArray[np.float64], expected: NDArray[np.float64]) -> float:
    """Return sum p log(p / q) over the classes with p above 0; infinite where such a q is 0."""
    there = proportions > 0
    if (expected[there] == 0).any():
        return float("inf")
    return float((proportions[there] * np.log(proportions[there] / expected[there])).sum())
