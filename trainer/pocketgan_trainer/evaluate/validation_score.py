"""The score that chooses a run's best epoch: how far its images are from real digits that it was not trained on.

It is the Frechet distance in the first judge's features between generated digits and the validation digits, divided by that of as
many training digits of the same classes: 1.0 is what real digits score, give or take a fifth. Real digits of classes drawn by
lot, as a generator without classes draws them, score 1.6 on average. The test digits play no part, nor does the second judge.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.data.class_rows import rows_of_classes
from pocketgan_trainer.data.validation import TrainingSplit
from pocketgan_trainer.evaluate.frechet import frechet_distance
from pocketgan_trainer.evaluate.judge import Judge

_SAMPLE_SEED = 0


@dataclass(frozen=True, eq=False)
class ValidationScore:
    """Scores images against the validation digits."""

    judge: Judge
    labels: NDArray[np.int64]
    """The classes of the validation digits, int64 [N]: what to draw for a score, where classes can be asked for."""
    features: NDArray[np.float32]
    """What the judge sees of the validation digits, float32 [N, F]."""
    floor: float
    """The distance of N training digits of the same classes."""

    def of(self, images: NDArray[np.uint8]) -> float:
        """Return the score of images uint8 [N, 28, 28]; lower is better, 1.0 is real."""
        return frechet_distance(self.judge.look(images).features, self.features) / self.floor


def validation_score(judge: Judge, split: TrainingSplit) -> ValidationScore:
    """Return the score against the validation digits of `split`, its floor measured with training digits of the same classes."""
    validation = split.validation
    random = np.random.Generator(np.random.Philox(_SAMPLE_SEED))
    alike = split.training.images[rows_of_classes(split.training.labels, validation.labels, random)]
    features = judge.look(validation.images).features
    floor = frechet_distance(judge.look(alike).features, features)
    return ValidationScore(judge, validation.labels.astype(np.int64), features, floor)
