"""The generated images that are worth a look: those nearest to a training digit, and those least like the digit asked for."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.evaluate.image_scores import Reference
from pocketgan_trainer.evaluate.spaces import Coordinates

WORST = 40


@dataclass(frozen=True, eq=False)
class Specimens:
    """Some images of one source, with a few words about each."""

    closest_pairs: NDArray[np.uint8]
    """The closest pairs of a generated and a training digit, the closest first: [pairs, 2, 28, 28]."""
    pair_captions: tuple[str, ...]
    """The distance of each pair in the first judge's features."""
    worst: NDArray[np.uint8]
    """The images that the first judge finds least like the digit asked for, or least like any where none was: [WORST, 28, 28]."""
    worst_captions: tuple[str, ...]
    """What was asked for, what the judge sees, and the probability that it gives to the former, or to the latter if none was."""


def pick_specimens(
    reference: Reference,
    images: NDArray[np.uint8],
    located: Coordinates,
    has_classes: bool,
    closest_pairs: NDArray[np.int64],
    training_images: NDArray[np.uint8],
) -> Specimens:
    """Return specimens of images uint8 [N, 28, 28] and their coordinates.

    `closest_pairs` [pairs, 2] holds rows of `images` and of `training_images`, see `Memorization`.
    """
    generated, training = closest_pairs[:, 0], closest_pairs[:, 1]
    distances = np.linalg.norm(located.first_judge[generated] - reference.training.first_judge[training], axis=1)
    judged = located.probabilities.argmax(axis=1)
    wanted = reference.labels if has_classes else judged
    probabilities = located.probabilities[np.arange(len(images)), wanted]
    worst = np.argsort(probabilities, kind="stable")[:WORST]
    return Specimens(
        closest_pairs=np.stack([images[generated], training_images[training]], axis=1),
        pair_captions=tuple(f"{distance:.2f}" for distance in distances),
        worst=images[worst],
        worst_captions=tuple(
            f"{f'{wanted[row]}: ' if has_classes else ''}{judged[row]}, {100 * probabilities[row]:.0f} %" for row in worst
        ),
    )
