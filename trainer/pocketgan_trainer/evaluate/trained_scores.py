"""The two figures for which fresh networks are trained: whether one can tell generated from real, and what one learns from it."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.data.class_rows import CLASSES
from pocketgan_trainer.data.mnist import Digits
from pocketgan_trainer.evaluate.sources import Source
from pocketgan_trainer.evaluate.told_apart import TESTED_IMAGES, told_apart
from pocketgan_trainer.evaluate.train_on_generated import classifier_accuracy

TOLD_APART_IMAGES = 40_000 + TESTED_IMAGES
"""Generated and real images each, those for the test among them."""
REAL_TOLD_APART_TESTED = 2_500
"""Images kept for the test where half of the training digits are told from the other half: smaller sets."""
CLASSIFIER_IMAGES = 60_000
"""Generated images that a classifier is trained on: as many as there are real ones."""
_SHUFFLE_SEED = 0

Say: TypeAlias = Callable[[str], None]
"""Takes a line about what was or is being measured."""


def shuffled(digits: Digits) -> Digits:
    """Return the digits in a random order that is always the same: in MNIST's own, writers come one after the other."""
    order = np.random.Generator(np.random.Philox(_SHUFFLE_SEED)).permutation(len(digits))
    return Digits(digits.images[order], digits.labels[order])


def told_apart_labels(real: Digits) -> NDArray[np.int64]:
    """Return the classes that a source must draw to be told from shuffled training digits, int64 [N]: theirs."""
    return real.labels[:TOLD_APART_IMAGES].astype(np.int64)


def classifier_labels() -> NDArray[np.int64]:
    """Return the classes that a source must draw to train a classifier, int64 [CLASSIFIER_IMAGES]: all in turn."""
    return np.arange(CLASSIFIER_IMAGES) % CLASSES


def told_apart_from_real(source: Source, real: Digits, seeds: int, say: Say) -> tuple[float, ...]:
    """Return how often a network tells a source's images from shuffled training digits, once for each seed of both."""
    labels = told_apart_labels(real)
    return _each_seed(
        f"{source.name}: training a network to tell {len(labels):,} images from as many real digits",
        lambda seed: told_apart(source.draw(labels, seed), real.images[: len(labels)], seed),
        seeds,
        say,
    )


def real_told_apart(real: Digits, seeds: int, say: Say) -> tuple[float, ...]:
    """Return how often a network tells one half of the shuffled training digits from the other, for each seed."""
    half = len(real) // 2
    return _each_seed(
        f"real digits: training a network to tell {half:,} from the other {half:,}",
        lambda seed: told_apart(real.images[:half], real.images[half : 2 * half], seed, tested=REAL_TOLD_APART_TESTED),
        seeds,
        say,
    )


def trained_on_generated(source: Source, test: Digits, seeds: int, say: Say) -> tuple[float, ...]:
    """Return the accuracy on all test digits of a classifier that is trained on a source's images only, for each seed of both."""
    labels = classifier_labels()
    return _each_seed(
        f"{source.name}: training a classifier on {len(labels):,} images",
        lambda seed: classifier_accuracy(source.draw(labels, seed), labels, test, seed),
        seeds,
        say,
    )


def trained_on_real(training: Digits, test: Digits, seeds: int, say: Say) -> tuple[float, ...]:
    """Return the accuracy of the same classifier trained on the real digits of MNIST's train split, for each seed."""
    return _each_seed(
        f"real digits: training a classifier on {len(training):,}",
        lambda seed: classifier_accuracy(training.images, training.labels.astype(np.int64), test, seed),
        seeds,
        say,
    )


def _each_seed(what: str, measure: Callable[[int], float], seeds: int, say: Say) -> tuple[float, ...]:
    """Return what is measured with each seed from 0 on, and say so before and after."""
    measured = []
    for seed in range(seeds):
        say(f"{what}, seed {seed}")
        measured.append(measure(seed))
        say(f"  right: {measured[-1]:.2%}")
    return tuple(measured)
