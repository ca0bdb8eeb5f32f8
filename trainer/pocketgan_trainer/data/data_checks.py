"""What training images must be so that training on them makes sense at all."""

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.errors import DataError

FEWEST_IMAGES = 200
FEWEST_DISTINCT = 10
"""Images that differ from each other, however many there are in all."""
LARGEST_CONTENTS = 2**30
"""In bytes, of all images of one file: 20 times MNIST."""
MOST_IMAGES = LARGEST_CONTENTS // 32**2
"""So that they fit into memory at 32x32."""


def check_count(count: int, where: str, fewest: int = FEWEST_IMAGES) -> None:
    """Raise DataError, which says `where` they are, if there are fewer images than `fewest` or too many."""
    if count < fewest:
        noun = "image" if count == 1 else "images"
        message = f"{where} holds {count:,} {noun}: expected at least {fewest}, better 2,000; add more"
        raise DataError(message)
    if count > MOST_IMAGES:
        message = f"{where} holds {count:,} images: expected at most {MOST_IMAGES:,}; take a part of them"
        raise DataError(message)


def check_variety(images: NDArray[np.uint8], where: str) -> None:
    """Raise DataError if hardly any of the images [N, S, S] differ."""
    distinct: set[bytes] = set()
    for image in images:
        distinct.add(image.tobytes())
        if len(distinct) == FEWEST_DISTINCT:
            return
    if len(distinct) == 1:
        found = f"all {len(images):,} images of {where} are {'equal' if images.any() else 'black'}"
    else:
        found = f"the {len(images):,} images of {where} are only {len(distinct)} different ones, repeated"
    message = f"{found}: expected at least {FEWEST_DISTINCT} different ones; check how they were made, or add others"
    raise DataError(message)
