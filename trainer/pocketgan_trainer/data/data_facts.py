"""What a run learns from, in a few words: enough to build networks for it, and to find it and know it again."""

import hashlib
import os
from dataclasses import dataclass
from reprlib import repr as shortened

import numpy as np

from pocketgan.card import LARGEST_LABEL
from pocketgan_trainer.data.known_data_sets import KNOWN, MNIST
from pocketgan_trainer.data.training_images import IMAGE_SIZES, TrainingImages
from pocketgan_trainer.errors import TrainingError


@dataclass(frozen=True)
class DataFacts:
    """A data set, as a run's config and a model card name it."""

    name: str
    """In run folders and model cards."""
    source: str
    """What `--data` was given: a name, or an absolute path."""
    is_like_mnist: bool
    """Whether its pictures were inverted, scaled and centred as MNIST's digits are."""
    image_size: int
    """Height and width in pixels."""
    classes: tuple[str, ...]
    """Names of the classes by label; empty if the images have none."""
    sha256: str
    """Digest of images and labels, in hexadecimal; empty for MNIST's own, which are checked wherever they come from."""
    class_labels: tuple[int, ...] | None = None
    """The numbers that the data gives the classes, where their names do not say them."""

    def __post_init__(self) -> None:
        """Raise TrainingError if a value makes no sense."""
        if self.image_size not in IMAGE_SIZES:
            sizes = " or ".join(map(str, IMAGE_SIZES))
            raise TrainingError(f"image size {self.image_size} is out of range: expected {sizes}")
        labels = self.class_labels
        is_sound = labels is None or len(set(labels)) == len(labels) == len(self.classes)
        if labels is not None and not (is_sound and all(0 <= label <= LARGEST_LABEL for label in labels)):
            expected = f"a different whole number for each class, 0 to {LARGEST_LABEL}"
            raise TrainingError(f"the numbers of classes are {shortened(list(labels))}: expected {expected}")


MNIST_FACTS = DataFacts(name=MNIST.name, source=MNIST.name, is_like_mnist=False, image_size=28, classes=MNIST.classes, sha256="")
"""Also what a run has learned from whose config says nothing of it: there was no other data then."""


def facts_of(images: TrainingImages, source: str, is_like_mnist: bool) -> DataFacts:
    """Return what is to be remembered of images that `--data source` named; a path is remembered from the root on.

    MNIST's own digits are MNIST, wherever they lie.
    """
    image_size = images.images.shape[1]
    if (images.name, image_size) == (MNIST_FACTS.name, MNIST_FACTS.image_size):
        return MNIST_FACTS
    # Not of their bytes, which would be a copy.
    digest = hashlib.sha256(np.ascontiguousarray(images.images).data)
    digest.update(b"" if images.labels is None else np.ascontiguousarray(images.labels).data)
    return DataFacts(
        name=images.name,
        source=source if source in KNOWN else os.path.abspath(os.path.expanduser(source)),
        # Published data sets stay as they are.
        is_like_mnist=is_like_mnist and images.name not in KNOWN,
        image_size=image_size,
        classes=images.classes,
        sha256=digest.hexdigest(),
        class_labels=images.class_labels,
    )
