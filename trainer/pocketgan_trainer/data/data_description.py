"""Training images in one line, as it is shown before training starts."""

import numpy as np

from pocketgan_trainer.data.training_images import TrainingImages

MOST_SHOWN = 12


def describe(images: TrainingImages) -> str:
    """Return how many images of which size and classes these are, in one line; beyond 12 classes some are left out."""
    count, height, width = images.images.shape
    text = f"{images.name}: {count:,} images of {height}x{width}"
    if images.labels is None:
        return f"{text} without labels"
    counts = np.bincount(images.labels, minlength=len(images.classes)).tolist()
    each = [f"{name} {of_class:,}" for name, of_class in zip(images.classes, counts, strict=True)]
    if len(each) > MOST_SHOWN:
        each = [*each[: MOST_SHOWN - 2], "...", each[-1]]
    return f"{text} in {len(images.classes):,} {'class' if len(images.classes) == 1 else 'classes'}: {', '.join(each)}"
