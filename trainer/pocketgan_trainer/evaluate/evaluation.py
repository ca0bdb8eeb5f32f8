"""A whole evaluation: all figures of some sources and of real digits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.data.published import CLASSES, Digits
from pocketgan_trainer.data.split import rows_of_classes, split_validation
from pocketgan_trainer.errors import DataError
from pocketgan_trainer.evaluate.classifiers import TESTED_IMAGES, classifier_accuracy, told_apart
from pocketgan_trainer.evaluate.figures import (
    ImageScores,
    Reference,
    choose_test_digits,
    open_reference,
    score_images,
    score_real,
)
from pocketgan_trainer.evaluate.sources import Source
from pocketgan_trainer.evaluate.spaces import Coordinates

WORST = 40


@dataclass(frozen=True, eq=False)
class Specimens:
    """Some images of one source, with a few words about each."""

    closest_pairs: NDArray[np.uint8]
    """The closest pairs of a generated and a training digit, the closest first: [pairs, 2, 28, 28]."""
    pair_captions: tuple[str, ...]
    """The distance of each pair in the first judge's features."""
    worst: NDArray[np.uint8]
    """The images that the first judge finds least like the digit asked for, or least like any where none was: [WORST, 28, 28]."""
    worst_captions: tuple[str, ...]
    """What was asked for, what the judge sees, and the probability that it gives to the former, or to the latter if none was."""


def pick_specimens(
    reference: Reference,
    images: NDArray[np.uint8],
    located: Coordinates,
    has_classes: bool,
    closest_pairs: NDArray[np.int64],
    training_images: NDArray[np.uint8],
) -> Specimens:
    """Return specimens of images uint8 [N, 28, 28] and their coordinates.

    `closest_pairs` [pairs, 2] holds rows of `images` and of `training_images`, see `Memorization`.
    """
    generated, training = closest_pairs[:, 0], closest_pairs[:, 1]
    distances = np.linalg.norm(located.first_judge[generated] - reference.training.first_judge[training], axis=1)
    judged = located.probabilities.argmax(axis=1)
    wanted = reference.labels if has_classes else judged
    probabilities = located.probabilities[np.arange(len(images)), wanted]
    worst = np.argsort(probabilities, kind="stable")[:WORST]
    return Specimens(
        closest_pairs=np.stack([images[generated], training_images[training]], axis=1),
        pair_captions=tuple(f"{distance:.2f}" for distance in distances),
        worst=images[worst],
        worst_captions=tuple(
            f"{f'{wanted[row]}: ' if has_classes else ''}{judged[row]}, {100 * probabilities[row]:.0f} %" for row in worst
        ),
    )


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


REAL_DIGITS = "real digits"
REAL_SAMPLES = 5
"""Samples of training digits that real digits' figures are the means of, whatever the seeds: every ratio is to them."""


@dataclass(frozen=True)
class Plan:
    """What is to be measured."""

    count: int
    """Images of each source and test digits that they are compared with."""
    seeds: int
    """Latent seeds, from 0 on."""
    told_apart: bool
    """Whether to train networks to tell generated from real."""
    cas: bool
    """Whether to train classifiers on generated digits."""
    classifier_seeds: int
    """Trainings of either, each with a seed of its own for images and network, from 0 on."""


@dataclass(frozen=True)
class SourceScores:
    """All figures of one source; several values of a figure belong to the seeds 0, 1, ..."""

    name: str
    sha256: str | None
    """Digest of the file, if it is one."""
    has_classes: bool
    images: tuple[ImageScores, ...]
    told_apart: tuple[float, ...] | None
    """How often a network of its own tells generated from real: 0.5 if it cannot. None if not measured."""
    classifier_accuracy: tuple[float, ...] | None
    """CAS: accuracy on real test digits of a classifier that saw only this source. None if not measured, or without classes."""
    specimens: Specimens | None
    """Of the first seed; None of real digits."""


@dataclass(frozen=True)
class Evaluation:
    """The figures of real digits and of all sources."""

    plan: Plan
    real: SourceScores
    sources: tuple[SourceScores, ...]


def evaluate(sources: Sequence[Source], plan: Plan, training: Digits, test: Digits, say: Say) -> Evaluation:
    """Return all figures of the sources and of real digits; `training` and `test` are all digits of MNIST's two splits.

    The last 5,000 of `training`, the validation digits, count as training digits nowhere but for the classifier that is trained
    on real ones. Raises DataError at the start if a source has too few images or no source has the classes that `plan.cas` needs,
    ModelError if a model fails to draw, JudgeError.
    """
    split, compared = split_validation(training), choose_test_digits(test, plan.count)
    apart = shuffled(split.training)
    if plan.cas and not any(source.has_classes for source in sources):
        raise DataError("none of these has classes, which --cas learns from: name one that has, or leave out --cas")
    for source in sources:
        source.require(compared.labels.astype(np.int64), "use a smaller --count")
        if plan.told_apart:
            source.require(told_apart_labels(apart), "leave out --told-apart")
        if plan.cas and source.has_classes:
            source.require(classifier_labels(), "leave out --cas")

    say(f"looking at {len(split.training):,} training digits and {len(compared):,} test digits")
    reference = open_reference(split, compared)
    real = SourceScores(
        name=REAL_DIGITS,
        sha256=None,
        has_classes=True,
        images=_score_real(reference, split.training, say),
        told_apart=real_told_apart(apart, plan.classifier_seeds, say) if plan.told_apart else None,
        classifier_accuracy=trained_on_real(training, test, plan.classifier_seeds, say) if plan.cas else None,
        specimens=None,
    )
    scored = []
    for source in sources:
        images, specimens = _score_source(source, reference, split.training, plan, say)
        is_classifier_trained = plan.cas and source.has_classes
        scored.append(
            SourceScores(
                name=source.name,
                sha256=source.sha256,
                has_classes=source.has_classes,
                images=images,
                told_apart=told_apart_from_real(source, apart, plan.classifier_seeds, say) if plan.told_apart else None,
                classifier_accuracy=trained_on_generated(source, test, plan.classifier_seeds, say)
                if is_classifier_trained
                else None,
                specimens=specimens,
            )
        )
    return Evaluation(plan, real, tuple(scored))


def _score_real(reference: Reference, training: Digits, say: Say) -> tuple[ImageScores, ...]:
    """Return the figures of real digits, for REAL_SAMPLES samples of the training digits."""
    say(f"{REAL_DIGITS}: measuring {REAL_SAMPLES} samples of {len(reference.labels):,} training digits")
    randoms = [np.random.Generator(np.random.Philox(seed)) for seed in range(REAL_SAMPLES)]
    rows = [rows_of_classes(training.labels, reference.labels, random) for random in randoms]
    return score_real(reference, [reference.training.at(some) for some in rows])


def _score_source(
    source: Source, reference: Reference, training: Digits, plan: Plan, say: Say
) -> tuple[tuple[ImageScores, ...], Specimens]:
    """Return the figures of a source for each seed, and specimens of the first."""
    scores, specimens = [], None
    for seed in range(plan.seeds):
        say(f"{source.name}, seed {seed}: measuring {plan.count:,} images")
        images = source.draw(reference.labels, seed)
        located = reference.spaces.locate(images)
        scores.append(score_images(reference, located, source.has_classes, seed))
        if specimens is None:
            pairs = scores[0].memorization.closest_pairs
            specimens = pick_specimens(reference, images, located, source.has_classes, pairs, training.images)
    assert specimens is not None
    return tuple(scores), specimens
