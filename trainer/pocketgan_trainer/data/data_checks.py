"""What training images must be so that training on them makes sense at all."""

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.data.idx import LARGEST_CONTENTS
from pocketgan_trainer.data.image_source import ImageSource
from pocketgan_trainer.errors import DataError

FEWEST_IMAGES = 200
MOST_IMAGES = LARGEST_CONTENTS // 32**2
"""So that they fit into memory at 32x32."""


def check_source(source: ImageSource, where: str) -> None:
    """Raise DataError, which says `where` they are, if there are too few images or too many."""
    if source.count < FEWEST_IMAGES:
        message = f"{where} holds {source.count:,} images: expected at least {FEWEST_IMAGES}, better 2,000; add more"
        raise DataError(message)
    if source.count > MOST_IMAGES:
        message = f"{where} holds {source.count:,} images: expected at most {MOST_IMAGES:,}; take a part of them"
        raise DataError(message)


def check_variety(images: NDArray[np.uint8], where: str) -> None:
    """Raise DataError if all images [N, S, S] are equal."""
    if (images == images[0]).all():
        kind = "are black" if not images.any() else "are equal"
        message = (
            f"all {len(images):,} images of {where} {kind}: expected different ones; check how they were made (transparent "
            "pictures are laid on black, so their ink must be light)"
        )
        raise DataError(message)
