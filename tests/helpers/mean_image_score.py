"""A score of training runs for tests: it tells rough from rougher images at once, without a judge."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.data.mnist import Digits


@dataclass(frozen=True, eq=False)
class MeanImageScore:
    """Scores images by how far their mean is from that of real digits."""

    labels: NDArray[np.int64]
    mean: NDArray[np.float64]
    """Of the real digits: [28, 28], from 0 to 255."""

    def of(self, images: NDArray[np.uint8]) -> float:
        """Return the root of the mean squared difference between the two mean images, in grey levels."""
        return float(np.sqrt(np.square(images.mean(axis=0) - self.mean).mean()))


def mean_image_score(digits: Digits) -> MeanImageScore:
    """Return the score against these digits, for as many images of the same classes."""
    return MeanImageScore(digits.labels.astype(np.int64), digits.images.mean(axis=0))
