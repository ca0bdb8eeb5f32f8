"""A whole evaluation: all figures of some sources and of real digits, in order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pocketgan_trainer.data.class_rows import rows_of_classes
from pocketgan_trainer.data.mnist import Digits
from pocketgan_trainer.data.validation import split_validation
from pocketgan_trainer.errors import DataError
from pocketgan_trainer.evaluate.image_scores import (
    ImageScores,
    Reference,
    choose_test_digits,
    open_reference,
    score_images,
    score_real,
)
from pocketgan_trainer.evaluate.sources import Source
from pocketgan_trainer.evaluate.specimens import Specimens, pick_specimens
from pocketgan_trainer.evaluate.trained_scores import (
    Say,
    classifier_labels,
    real_told_apart,
    shuffled,
    told_apart_from_real,
    told_apart_labels,
    trained_on_generated,
    trained_on_real,
)

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
