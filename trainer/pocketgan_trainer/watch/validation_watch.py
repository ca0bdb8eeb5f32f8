"""Compares a run's images with real ones: Frechet ratio, classes, coverage, variety, and the discriminator's view."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.data.split import TrainingSplit, rows_of_classes
from pocketgan_trainer.evaluate.distances import DENSITY_NEIGHBOURS, Manifold, compare_manifolds, estimate_manifold
from pocketgan_trainer.evaluate.frechet_ratio import FrechetRatio, frechet_ratio
from pocketgan_trainer.evaluate.judge import Assessment, ImageJudge
from pocketgan_trainer.evaluate.texture import FEWEST_FOR_TEXTURE, count_neighbours, largest_difference, told_apart_by_texture
from pocketgan_trainer.evaluate.topology import (
    count_topologies,
    euler_numbers,
    largest_topology_difference,
    topology_distance,
)
from pocketgan_trainer.watch.observation import ClassView, Observation, Pairs, Texture, Topology

LEAST_FOR_VARIETY = 10
"""With fewer images of a class, the distances between them mean little."""
PAIRS = 1_000
"""The most pairs that are shown to the discriminator."""
REAL_TOPOLOGIES = 10
"""Samples of real images whose parts and holes are compared with the others': one alone is up to a third too high or too low."""
ALL_IMAGES = "all"
"""Name of the one class of images without classes."""
_PAIRS_SEED = 1

DiscriminatorLogits: TypeAlias = Callable[[NDArray[np.uint8], NDArray[np.int64]], NDArray[np.float32]]
"""Returns the discriminator's logits, float32 [N], of images uint8 [N, S, S] and their classes int64 [N], used or not."""


@dataclass(frozen=True, eq=False)
class RealClass:
    """The validation images of one class."""

    name: str
    images: int
    share: float
    manifold: Manifold | None
    """Of their features; None if they are too few for coverage."""
    spread: float
    """Mean squared distance of the features of two of them."""
    misjudged: float | None
    """Share of them that the judge takes for another class; None if the generator cannot be asked for one, or there is
    only one class, or none of its images."""


@dataclass(frozen=True, eq=False)
class ValidationWatch:
    """Compares the images of each epoch with the validation images."""

    ratio: FrechetRatio
    classes: tuple[RealClass, ...]
    held_out: NDArray[np.uint8]
    """Validation images for pairs, uint8 [P, S, S]."""
    trained_on: NDArray[np.uint8]
    """Training images of the same classes, uint8 [P, S, S]."""
    neighbours: NDArray[np.uint16]
    """Of all validation images, see `texture.count_neighbours`."""
    real_told_apart: float | None
    """How well training images of the same classes are told from these by texture; None if they are too few."""
    topologies: NDArray[np.int64]
    """Of all training images, see `topology.count_topologies`."""
    real_topology_distance: float | None
    """The distance of as many training images, of the same classes as the validation images, from the others, the mean over
    REAL_TOPOLOGIES samples; None if validation images are too few."""
    is_conditional: bool
    """Whether the generator can be asked for a class."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """The classes to draw, int64 [N]; a generator without classes draws N images."""
        return self.ratio.labels

    def observe(self, images: NDArray[np.uint8], discriminator_logits: DiscriminatorLogits) -> Observation:
        """Return what is observed in images uint8 [N, S, S], drawn for `labels`, and in the discriminator's logits of them."""
        assessed = self.ratio.judge.assess(images)
        judged = _judged(assessed)
        views = [
            self._view(real, assessed.features[judged == label], judged[self.labels == label] != label)
            for label, real in enumerate(self.classes)
        ]
        pairs = self._pairs(images, discriminator_logits)
        ratio = self.ratio.of_features(assessed.features)
        topology = self._topology(images, self.labels if self.is_conditional else judged)
        return Observation(ratio, tuple(views), pairs, self._texture(images), topology)

    def _texture(self, images: NDArray[np.uint8]) -> Texture | None:
        if self.real_told_apart is None:
            return None
        counts = count_neighbours(images)
        told_apart = told_apart_by_texture(counts, self.neighbours)
        return Texture(told_apart, self.real_told_apart, largest_difference(counts, self.neighbours))

    def _topology(self, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Topology | None:
        if self.real_topology_distance is None:
            return None
        counts = count_topologies(euler_numbers(images), labels, len(self.classes))
        label, worst_distance, excess = largest_topology_difference(counts, self.topologies)
        distance = topology_distance(counts, self.topologies)
        return Topology(distance, self.real_topology_distance, self.classes[label].name, worst_distance, excess)

    def _view(self, real: RealClass, features: NDArray[np.float32], misjudged: NDArray[np.bool_]) -> ClassView:
        """Return the view of a class: of the images that are judged as it [N, F], and of those drawn for it, bool [M]."""
        coverage: float | None = 0.0
        if real.manifold is None:
            coverage = None
        elif len(features) > DENSITY_NEIGHBOURS:
            coverage = compare_manifolds(real.manifold, estimate_manifold(features)).coverage
        variety = None
        if min(len(features), real.images) >= LEAST_FOR_VARIETY and real.spread:
            variety = (_spread(features) / real.spread) ** 0.5
        return ClassView(
            name=real.name,
            share=len(features) / len(self.labels),
            real_share=real.share,
            real_images=real.images,
            coverage=coverage,
            variety=variety,
            misjudged=None if real.misjudged is None else float(misjudged.mean()),
            real_misjudged=real.misjudged or 0.0,
        )

    def _pairs(self, images: NDArray[np.uint8], discriminator_logits: DiscriminatorLogits) -> Pairs:
        labels = self.labels[: len(self.held_out)]
        fake = discriminator_logits(images[: len(labels)], labels)
        # A generator without classes draws any class, so any of its images may be paired with a real one.
        training, held_out = (discriminator_logits(real, labels) - fake for real in (self.trained_on, self.held_out))
        return Pairs(_share_above_0(training), _share_above_0(held_out), float(training.mean()), float(held_out.mean()))


def watch_validation(judge: ImageJudge, split: TrainingSplit, classes: tuple[str, ...], is_conditional: bool) -> ValidationWatch:
    """Return the watch for `split`, whose classes have these names, in the order of their labels; () if it has none.

    `is_conditional` says whether the generator can be asked for a class.
    """
    ratio = frechet_ratio(judge, split)
    validation = split.validation
    assessed = judge.assess(validation.images)
    labels = ratio.labels[:PAIRS]
    random = np.random.Generator(np.random.Philox(_PAIRS_SEED))
    trained_on = split.training.images[rows_of_classes(split.training.labels, labels, random)]
    real, judged, is_judged = [], _judged(assessed), is_conditional and len(classes) > 1
    for label, name in enumerate(classes or (ALL_IMAGES,)):
        of_class = validation.labels == label
        features = assessed.features[of_class]
        manifold = estimate_manifold(features) if len(features) > DENSITY_NEIGHBOURS else None
        misjudged = float((judged[of_class] != label).mean()) if is_judged and len(features) else None
        real.append(RealClass(name, len(features), len(features) / len(validation), manifold, _spread(features), misjudged))
    neighbours, real_told_apart = count_neighbours(validation.images), None
    training = split.training
    numbers, real_topology_distance = euler_numbers(training.images), None
    topologies = count_topologies(numbers, training.labels, len(real))
    if len(validation) >= FEWEST_FOR_TEXTURE:
        alike = training.images[rows_of_classes(training.labels, ratio.labels, random)]
        real_told_apart = told_apart_by_texture(count_neighbours(alike), neighbours)
        samples = [
            count_topologies(numbers[rows_of_classes(training.labels, ratio.labels, random)], ratio.labels, len(real))
            for _ in range(REAL_TOPOLOGIES)
        ]
        real_topology_distance = float(np.mean([topology_distance(sample, topologies - sample) for sample in samples]))
    return ValidationWatch(
        ratio,
        tuple(real),
        validation.images[:PAIRS],
        trained_on,
        neighbours,
        real_told_apart,
        topologies,
        real_topology_distance,
        is_conditional,
    )


def _judged(assessed: Assessment) -> NDArray[np.int64]:
    """Return the most likely class of each image, int64 [N]; 0 by a judge without classes, which gives no probabilities."""
    probabilities = assessed.probabilities
    return probabilities.argmax(axis=1) if probabilities.shape[1] else np.zeros(len(probabilities), np.int64)


def _share_above_0(leads: NDArray[np.float32]) -> float:
    """Return the share of values [N] above 0; those of 0 count half."""
    return float((leads > 0).mean() + 0.5 * (leads == 0).mean())


def _spread(features: NDArray[np.float32]) -> float:
    """Return the mean squared distance of two different rows of [N, F]; 0 if there are fewer than two."""
    if len(features) < 2:
        return 0.0
    return float(2 * features.astype(np.float64).var(axis=0, ddof=1).sum())
