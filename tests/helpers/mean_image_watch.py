"""A watch of training runs for tests: it tells rough from rougher images at once, without a judge."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.watch.signs import ClassView, Observation, Pairs
from pocketgan_trainer.watch.validation_watch import DiscriminatorLogits


def rough_observation(score: float, share: float = 1.0, variety: float = 1.0, named: float = 0.75) -> Observation:
    """Return an observation with this score, and with one class whose share among real images is 1."""
    view = ClassView("all", share=share, real_share=1.0, real_images=500, coverage=0.5, variety=variety)
    return Observation(score, (view,), Pairs(named, named, lead_training=1.0, lead_held_out=1.0))


@dataclass(frozen=True, eq=False)
class MeanImageWatch:
    """Scores images by how far their mean is from that of real digits."""

    labels: NDArray[np.int64]
    mean: NDArray[np.float64]
    """Of the real digits: [28, 28], from 0 to 255."""

    def observe(self, images: NDArray[np.uint8], discriminator_logits: DiscriminatorLogits) -> Observation:
        """Return the root of the mean squared difference between the two mean images as ratio, and how D likes the images."""
        likes = float((discriminator_logits(images, self.labels) > 0).mean())
        return rough_observation(float(np.sqrt(np.square(images.mean(axis=0) - self.mean).mean())), named=1 - likes)


def mean_image_watch(digits: Digits) -> MeanImageWatch:
    """Return the watch against these digits, for as many images of the same classes."""
    return MeanImageWatch(digits.labels.astype(np.int64), digits.images.mean(axis=0))
