"""The score that chooses a run's best epoch: how far its images are from real ones that it was not trained on.

It is the Frechet distance in a judge's features between generated images and the validation images, divided by that of as many
training images of the same classes: real images score 1.0, plus or minus a fifth. Real digits of random classes, as a generator
without classes draws them, score 1.6 on average. Neither test images nor the second judge are used.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.data.split import TrainingSplit, rows_of_classes
from pocketgan_trainer.evaluate.distances import frechet_distance
from pocketgan_trainer.evaluate.judge import Assessment, ImageJudge

_SAMPLE_SEED = 0
# Below this a distance is a rounding error: of images that hardly differ at all.
_LEAST_DISTANCE = 1e-9


@dataclass(frozen=True, eq=False)
class ValidationScore:
    """Scores images against the validation images."""

    judge: ImageJudge
    labels: NDArray[np.int64]
    """The classes of the validation images, int64 [N]: what to draw for a score, where classes can be asked for."""
    real: Assessment
    """Of the validation images, by the judge."""
    floor: float
    """The distance of N training images of the same classes."""

    def of(self, images: NDArray[np.uint8]) -> float:
        """Return the score of images uint8 [N, S, S]; lower is better, 1.0 is real."""
        return self.of_features(self.judge.assess(images).features)

    def of_features(self, features: NDArray[np.float32]) -> float:
        """Return the score of images with these features by the judge, float32 [N, F]."""
        return max(0.0, frechet_distance(features, self.real.features)) / self.floor


def validation_score(judge: ImageJudge, split: TrainingSplit) -> ValidationScore:
    """Return the score against the validation digits of `split`, its floor measured with training images of the same classes."""
    validation = split.validation
    random = np.random.Generator(np.random.Philox(_SAMPLE_SEED))
    alike = split.training.images[rows_of_classes(split.training.labels, validation.labels, random)]
    real = judge.assess(validation.images)
    floor = max(_LEAST_DISTANCE, frechet_distance(judge.assess(alike).features, real.features))
    return ValidationScore(judge, validation.labels.astype(np.int64), real, floor)
