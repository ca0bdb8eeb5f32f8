"""A whole evaluation: all figures of some sources and of real digits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.data.published import CLASSES, Digits
from pocketgan_trainer.data.split import TrainingSplit, rows_of_classes, split_validation
from pocketgan_trainer.errors import DataError
from pocketgan_trainer.evaluate.classifiers import classifier_accuracy
from pocketgan_trainer.evaluate.figures import Figure, SetFigures, chosen_figures, measure, measure_real
from pocketgan_trainer.evaluate.image_set import ImageSet, Reference, choose_digits, open_reference
from pocketgan_trainer.evaluate.sources import Source
from pocketgan_trainer.evaluate.two_samples import BUDGETS, DETECTORS, TESTED_IMAGES, Detector, two_sample_test

REAL_DIGITS = "real digits"
REAL_SAMPLES = 5
"""The figures of real digits are means over this number of samples of training digits, for any number of seeds."""
TWO_SAMPLE_IMAGES = BUDGETS[-1] + TESTED_IMAGES
"""Generated and real images each, including those for the test."""
REAL_TWO_SAMPLE_TESTED = 2_500
"""Images of each half used for the test when real digits are compared with real digits, which are smaller sets."""
CLASSIFIER_IMAGES = 60_000
"""Generated images that a classifier is trained on, as many as there are real ones."""
WORST = 40
"""The number of worst images shown for a source."""
_SHUFFLE_SEED = 0

QUICK_TRAINING_DIGITS, QUICK_VALIDATION_DIGITS = 10_000, 1_000
"""A quick evaluation chooses as many at random in place of all."""
_SET_WORK = 5
"""The figures of an image of a set take about this many times as long as finding its features."""
_TWO_SAMPLE_WORK = 15
_CLASSIFIER_WORK = 6
"""Learning from an image takes about this many times as long as finding its features."""

Log: TypeAlias = Callable[[str, int], None]
"""Takes a line about what is being measured, and how much work that is, in the unit of `total_work`; 0 if it is done already."""


@dataclass(frozen=True)
class EvaluationOptions:
    """What to measure."""

    count: int
    """Images of each source and test digits that they are compared with."""
    seeds: int
    """Latent seeds, from 0 on."""
    told_apart: bool
    """Whether to train networks for the two-sample test, with each budget."""
    cas: bool
    """Whether to train classifiers on generated digits."""
    classifier_seeds: int
    """Trainings of each network; training i draws images and weights with seed i."""
    quick: bool = False
    """Whether to leave out what needs all training digits."""

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The figures that need no training."""
        return chosen_figures(self.count, self.quick)

    @property
    def trained_figures(self) -> "tuple[TrainedFigure, ...]":
        """The figures for which networks are trained."""
        return (*(TWO_SAMPLE_TESTS if self.told_apart else ()), *((CAS,) if self.cas else ()))


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
    """The digit asked for, if any, the one judged, and the probability of the former, or of the latter if none was asked for."""


@dataclass(frozen=True)
class SourceScores:
    """All figures of one source."""

    name: str
    sha256: str | None
    """Digest of the file, if it is one."""
    has_classes: bool
    seeds: tuple[SetFigures, ...]
    """The figures of the images of each seed 0, 1, ...; of real digits, those of each sample."""
    trained: Mapping[str, tuple[float, ...]]
    """Figures for which networks were trained, by their key, once for each training; those not measured are absent."""
    specimens: Specimens | None
    """Of the first seed; None of real digits, and in a quick evaluation."""


@dataclass(frozen=True)
class Evaluation:
    """The figures of real digits and of all sources."""

    options: EvaluationOptions
    real: SourceScores
    sources: tuple[SourceScores, ...]


@dataclass(frozen=True)
class RealDigits:
    """The real digits that networks are trained on and tested with."""

    shuffled: Digits
    """The training digits without those of validation, in a random order: in MNIST's own, writers come one after the other."""
    all_training: Digits
    test: Digits


@dataclass(frozen=True)
class TrainedFigure:
    """A figure for which a network is trained on images that a source draws."""

    key: str
    """In the JSON object of a source."""
    name: str
    """As printed."""
    remedy: str
    """What to do if a source has too few images."""
    needs_classes: bool
    labels: Callable[[RealDigits], NDArray[np.int64]]
    """Returns the classes that a source must draw, int64 [N]."""
    measure: Callable[[NDArray[np.uint8], NDArray[np.int64], RealDigits, int], float]
    """Returns the figure of images uint8 [N, 28, 28] of these labels, with a seed."""
    measure_real: Callable[[RealDigits, int], float]
    """Returns the figure of real digits, with a seed."""
    progress: Callable[[int], str]
    """Returns the line that is printed before N images are used."""
    progress_real: Callable[[RealDigits], str]
    work: int
    """Of one training, in the unit of `total_work`."""


def two_sample_figure(detector: Detector, budget: int) -> TrainedFigure:
    """Return the figure of one network that learns from `budget` images of each kind."""

    def compare_halves(real: RealDigits, seed: int) -> float:
        half, images = len(real.shuffled) // 2, real.shuffled.images
        return two_sample_test(images[:half], images[half : 2 * half], detector, budget, seed, tested=REAL_TWO_SAMPLE_TESTED)

    def learned_of_half(real: RealDigits) -> int:
        return min(budget, len(real.shuffled) // 2 - REAL_TWO_SAMPLE_TESTED)

    training = f"training the {detector.name} network to distinguish"
    return TrainedFigure(
        key=f"{detector.key}{'' if budget == BUDGETS[-1] else f'_{budget}'}",
        name=f"Told apart by the {detector.name} network, {budget:,} digits of each kind (50 % = it cannot)",
        remedy="leave out --told-apart",
        needs_classes=False,
        # The classes of the digits that they are compared with.
        labels=lambda real: real.shuffled.labels[:TWO_SAMPLE_IMAGES].astype(np.int64),
        measure=lambda images, labels, real, seed: two_sample_test(
            images, real.shuffled.images[: len(images)], detector, budget, seed
        ),
        measure_real=compare_halves,
        progress=lambda count: f"{training} {budget:,} images from as many real digits",
        progress_real=lambda real: f"{training} {learned_of_half(real):,} from as many others",
        work=budget * _TWO_SAMPLE_WORK,
    )


TWO_SAMPLE_TESTS = tuple(two_sample_figure(detector, budget) for detector in DETECTORS for budget in BUDGETS)
CAS = TrainedFigure(
    key="classifier_accuracy",
    name="CAS: real test digits right after training on these only",
    remedy="leave out --cas",
    needs_classes=True,
    # All classes in turn.
    labels=lambda real: np.arange(CLASSIFIER_IMAGES) % CLASSES,
    measure=lambda images, labels, real, seed: classifier_accuracy(images, labels, real.test, seed),
    measure_real=lambda real, seed: classifier_accuracy(real.all_training.images, real.all_training.labels, real.test, seed),
    progress=lambda count: f"training a classifier on {count:,} images",
    progress_real=lambda real: f"training a classifier on {len(real.all_training):,}",
    work=CLASSIFIER_IMAGES * _CLASSIFIER_WORK,
)
TRAINED_FIGURES = (*TWO_SAMPLE_TESTS, CAS)


def evaluate(sources: Sequence[Source], options: EvaluationOptions, training: Digits, test: Digits, log: Log) -> Evaluation:
    """Return all figures of the sources and of real digits; `training` and `test` are all digits of MNIST's two splits.

    The last 5,000 of `training`, the validation digits, are not used as training digits, except by the classifier that is trained
    on real ones. Raises DataError at the start if a source has too few images or no source has the classes that `options.cas`
    needs, ModelError if a model fails to draw, JudgeError.
    """
    split, compared = split_validation(training), choose_digits(test, options.count)
    if options.quick:
        chosen = choose_digits(split.training, QUICK_TRAINING_DIGITS), choose_digits(split.validation, QUICK_VALIDATION_DIGITS)
        split = TrainingSplit(*chosen)
    real = RealDigits(shuffle(split.training), training, test)
    if options.cas and not any(source.has_classes for source in sources):
        raise DataError("none of these has classes, which --cas learns from: name one that has, or leave out --cas")
    for source in sources:
        source.require(compared.labels.astype(np.int64), "use a smaller --count")
        for figure in _figures_to_train(source, options):
            source.require(figure.labels(real), figure.remedy)

    words = f"measuring the features of {len(split.training):,} training digits and {len(compared):,} test digits"
    log(words, _work_of_reference(options, len(training)))
    reference = open_reference(split, compared)
    of_real = SourceScores(
        name=REAL_DIGITS,
        sha256=None,
        has_classes=True,
        seeds=_measure_samples(reference, split.training, options, log),
        trained={figure.key: _train_on_real(figure, real, options, log) for figure in options.trained_figures},
        specimens=None,
    )
    return Evaluation(options, of_real, tuple(_score_source(source, reference, real, options, log) for source in sources))


def total_work(sources: Sequence[Source], options: EvaluationOptions, training_digits: int) -> int:
    """Return how much work an evaluation is, in images whose features are found."""
    sets = REAL_SAMPLES + len(sources) * options.seeds
    of_real = sum(figure.work for figure in options.trained_figures)
    of_sources = sum(figure.work for source in sources for figure in _figures_to_train(source, options))
    return (
        _work_of_reference(options, training_digits)
        + sets * options.count * _SET_WORK
        + options.classifier_seeds * (of_real + of_sources)
    )


def _work_of_reference(options: EvaluationOptions, training_digits: int) -> int:
    return (QUICK_TRAINING_DIGITS + QUICK_VALIDATION_DIGITS if options.quick else training_digits) + options.count


def shuffle(digits: Digits) -> Digits:
    """Return the digits in a random order that is always the same."""
    order = np.random.Generator(np.random.Philox(_SHUFFLE_SEED)).permutation(len(digits))
    return Digits(digits.images[order], digits.labels[order])


def _figures_to_train(source: Source, options: EvaluationOptions) -> list[TrainedFigure]:
    return [figure for figure in options.trained_figures if source.has_classes or not figure.needs_classes]


def _measure_samples(reference: Reference, training: Digits, options: EvaluationOptions, log: Log) -> tuple[SetFigures, ...]:
    """Return the figures of real digits, for REAL_SAMPLES samples of the training digits."""
    words = f"{REAL_DIGITS}: measuring {REAL_SAMPLES} samples of {len(reference.labels):,} training digits"
    log(words, REAL_SAMPLES * options.count * _SET_WORK)
    randoms = [np.random.Generator(np.random.Philox(seed)) for seed in range(REAL_SAMPLES)]
    rows = [rows_of_classes(training.labels, reference.labels, random) for random in randoms]
    return measure_real(reference, [reference.training.at(some) for some in rows], options.figures)


def _score_source(source: Source, reference: Reference, real: RealDigits, options: EvaluationOptions, log: Log) -> SourceScores:
    """Return all figures of a source, and specimens of its first seed."""
    scored, specimens = [], None
    for seed in range(options.seeds):
        log(f"{source.name}, seed {seed}: measuring {options.count:,} images", options.count * _SET_WORK)
        located = ImageSet(reference, reference.spaces.locate(source.draw(reference.labels, seed)), source.has_classes, seed)
        scored.append(measure(located, options.figures))
        if specimens is None and not options.quick:
            specimens = _pick_specimens(located)
    return SourceScores(
        name=source.name,
        sha256=source.sha256,
        has_classes=source.has_classes,
        seeds=tuple(scored),
        trained={figure.key: _train(figure, source, real, options, log) for figure in _figures_to_train(source, options)},
        specimens=specimens,
    )


def _pick_specimens(located: ImageSet) -> Specimens:
    """Return the closest pairs and the worst images of a set."""
    generated, training = located.memorization.closest_pairs.T
    images, real = located.images, located.reference.training
    distances = np.linalg.norm(images.features["first_judge"][generated] - real.features["first_judge"][training], axis=1)
    requested = located.requested
    probabilities = images.probabilities[np.arange(len(requested)), requested]
    worst = np.argsort(probabilities, kind="stable")[:WORST]
    return Specimens(
        closest_pairs=np.stack([images.pixels[generated], real.pixels[training]], axis=1),
        pair_captions=tuple(f"{distance:.2f}" for distance in distances),
        worst=images.pixels[worst],
        worst_captions=tuple(
            f"{f'{requested[row]}: ' if located.has_classes else ''}{located.judged[row]}, {100 * probabilities[row]:.0f} %"
            for row in worst
        ),
    )


def _train(figure: TrainedFigure, source: Source, real: RealDigits, options: EvaluationOptions, log: Log) -> tuple[float, ...]:
    """Return the figure of a source, for each seed of its images and of the network."""
    labels = figure.labels(real)
    return _each_seed(
        figure,
        f"{source.name}: {figure.progress(len(labels))}",
        lambda seed: figure.measure(source.draw(labels, seed), labels, real, seed),
        options,
        log,
    )


def _train_on_real(figure: TrainedFigure, real: RealDigits, options: EvaluationOptions, log: Log) -> tuple[float, ...]:
    """Return the figure of real digits, for each seed."""
    words = f"{REAL_DIGITS}: {figure.progress_real(real)}"
    return _each_seed(figure, words, lambda seed: figure.measure_real(real, seed), options, log)


def _each_seed(
    figure: TrainedFigure, what: str, measure_seed: Callable[[int], float], options: EvaluationOptions, log: Log
) -> tuple[float, ...]:
    """Return what is measured with each seed from 0 on, and log a line before and after."""
    measured = []
    for seed in range(options.classifier_seeds):
        log(f"{what}, seed {seed}", figure.work)
        measured.append(measure_seed(seed))
        log(f"  right: {measured[-1]:.2%}", 0)
    return tuple(measured)
