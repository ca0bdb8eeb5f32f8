"""Looking at a run's images beside the validation images: whether all classes are there, all of each, and told apart or not."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.data.split import TrainingSplit, rows_of_classes
from pocketgan_trainer.evaluate.distances import DENSITY_NEIGHBOURS, Crowd, compare_neighbourhoods, look_around
from pocketgan_trainer.evaluate.validation_score import Looker, ValidationScore, validation_score
from pocketgan_trainer.watch.signs import ClassView, Observation, Pairs

LEAST_FOR_VARIETY = 10
"""With fewer images of a class the distances among them say little."""
PAIRS = 1_000
"""At most so many pairs are shown to the discriminator."""
EVERYTHING = "all"
"""Name of the one class of images without classes."""
_PAIRS_SEED = 1

Verdicts: TypeAlias = Callable[[NDArray[np.uint8], NDArray[np.int64]], NDArray[np.float32]]
"""The discriminator's logits, float32 [N], of images uint8 [N, S, S] and their classes int64 [N], heeded or not."""


@dataclass(frozen=True, eq=False)
class RealClass:
    """The validation images of one class, as a judge sees them."""

    name: str
    images: int
    share: float
    crowd: Crowd | None
    """None if they are too few for coverage."""
    spread: float
    """Mean squared distance of two of them."""


@dataclass(frozen=True, eq=False)
class ValidationWatch:
    """Watches images beside the validation images."""

    score: ValidationScore
    classes: tuple[RealClass, ...]
    held_out: NDArray[np.uint8]
    """Validation images for pairs, uint8 [P, S, S]."""
    trained_on: NDArray[np.uint8]
    """Training images of the same classes, uint8 [P, S, S]."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """The classes to draw, int64 [N]; a generator without classes draws N images."""
        return self.score.labels

    def observe(self, images: NDArray[np.uint8], verdicts: Verdicts) -> Observation:
        """Return what is to be seen in images uint8 [N, S, S], drawn for `labels`, and in what the discriminator says of them."""
        seen = self.score.judge.look(images)
        # A judge without classes has no opinion about them.
        taken_for = seen.probabilities.argmax(axis=1) if seen.probabilities.shape[1] else np.zeros(len(images), np.int64)
        views = [self._view(real, seen.features[taken_for == label], len(images)) for label, real in enumerate(self.classes)]
        return Observation(self.score.of_features(seen.features), tuple(views), self._pairs(images, verdicts))

    def _view(self, real: RealClass, features: NDArray[np.float32], images: int) -> ClassView:
        coverage: float | None = 0.0
        if real.crowd is None:
            coverage = None
        elif len(features) > DENSITY_NEIGHBOURS:
            coverage = compare_neighbourhoods(real.crowd, look_around(features)).coverage
        variety = None
        if min(len(features), real.images) >= LEAST_FOR_VARIETY and real.spread:
            variety = (_spread(features) / real.spread) ** 0.5
        return ClassView(real.name, len(features) / images, real.share, real.images, coverage, variety)

    def _pairs(self, images: NDArray[np.uint8], verdicts: Verdicts) -> Pairs:
        labels = self.labels[: len(self.held_out)]
        fake = verdicts(images[: len(labels)], labels)
        # A generator without classes draws what it likes, so that any fake is as good a partner as any other.
        training, held_out = (verdicts(real, labels) - fake for real in (self.trained_on, self.held_out))
        return Pairs(_share_above_0(training), _share_above_0(held_out), float(training.mean()), float(held_out.mean()))


def watch_validation(judge: Looker, split: TrainingSplit, classes: tuple[str, ...]) -> ValidationWatch:
    """Return the watch beside the validation images of `split`, whose classes have these names by label; none if it has none."""
    score = validation_score(judge, split)
    validation = split.validation
    labels = score.labels[:PAIRS]
    random = np.random.Generator(np.random.Philox(_PAIRS_SEED))
    trained_on = split.training.images[rows_of_classes(split.training.labels, labels, random)]
    real = []
    for label, name in enumerate(classes or (EVERYTHING,)):
        features = score.features[validation.labels == label]
        crowd = look_around(features) if len(features) > DENSITY_NEIGHBOURS else None
        real.append(RealClass(name, len(features), len(features) / len(validation), crowd, _spread(features)))
    return ValidationWatch(score, tuple(real), validation.images[:PAIRS], trained_on)


def _share_above_0(leads: NDArray[np.float32]) -> float:
    """Return the share of leads [N] above 0; those of 0 count half."""
    return float((leads > 0).mean() + 0.5 * (leads == 0).mean())


def _spread(features: NDArray[np.float32]) -> float:
    """Return the mean squared distance of two different rows of [N, F]; 0 if there are fewer than two."""
    if len(features) < 2:
        return 0.0
    return float(2 * features.astype(np.float64).var(axis=0, ddof=1).sum())
