"""How well a classifier that was trained on generated digits alone reads real ones.

This is the score CAS of S. Ravuri, O. Vinyals, "Classification Accuracy Score for Conditional Generative Models", 2019: it falls
if digits are wrong, blurred, or of too few kinds. The recipe is this project's own.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample

from pocketgan_trainer.data.mnist import Digits
from pocketgan_trainer.errors import DataError
from pocketgan_trainer.evaluate.small_classifier import Recipe, convolution, predict, train_classifier

RECIPE = Recipe(batch_size=128, peak_learning_rate=4e-3, weight_decay=0.05)
STEPS = 3_750
"""As many batches as 60,000 images fill eight times, however many images there are."""


def classifier_accuracy(
    images: NDArray[np.uint8],
    labels: NDArray[np.integer],
    test: Digits,
    seed: int = 0,
    steps: int = STEPS,
) -> float:
    """Return the share of `test` digits, 0 to 1, that a classifier reads rightly which knows only the images given.

    These are uint8 [N, 28, 28] with labels [N] from 0 to 9; scores compare only for the same N, 60,000 in this project, in equal
    classes. The classifier is that of the last step: nothing is chosen by the test digits. The recipe is fixed, and the same
    `seed` gives the same result (see `train_classifier`). Raises DataError if there is not a label for each image, or less than
    a batch of images.
    """
    if len(labels) != len(images) or len(images) < RECIPE.batch_size:
        message = f"{len(images)} images with {len(labels)} labels: expected a label for each, and at least {RECIPE.batch_size}"
        raise DataError(message)
    classifier = train_classifier(build_classifier, images, labels.astype(np.int64), RECIPE, steps, seed, moved)
    return float(np.mean(predict(classifier, test.images) == test.labels))


def build_classifier() -> nn.Module:
    """Return the network: pixels float [N, 1, 28, 28] to ten logits."""
    return nn.Sequential(
        *convolution(1, 32),
        nn.MaxPool2d(2),
        *convolution(32, 32),
        *convolution(32, 64),
        nn.MaxPool2d(2),
        *convolution(64, 64),
        *convolution(64, 64),
        nn.Flatten(),
        nn.Linear(64 * 7 * 7, 128, bias=False),
        nn.BatchNorm1d(128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def moved(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return each image float [N, 1, H, W] turned, slanted, stretched and shifted a little, by amounts of its own.

    Small enough that each digit stays the one it is, and never mirrored: up to 10 degrees, a slant of 0.1, a tenth in width and
    in height, and 2 of 28 pixels.
    """
    count = len(images)

    def up_to(limit: float) -> Tensor:
        return (torch.rand(count, generator=generator) * 2 - 1) * limit

    angle, slant, width, height = up_to(math.pi / 18), up_to(0.1), 1 + up_to(0.1), 1 + up_to(0.1)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    # The rotation times [[width, slant], [0, height]]; the unit of the shift is half an image.
    rows = [
        torch.stack([width * cosine, slant * cosine - height * sine, up_to(2 / 14)], dim=1),
        torch.stack([width * sine, slant * sine + height * cosine, up_to(2 / 14)], dim=1),
    ]
    grid = affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    return grid_sample(images, grid, align_corners=False)
