"""How often a fresh network can tell two sets of images apart: 50 % says that it cannot, 100 % that it always can.

This is the classifier two-sample test of D. Lopez-Paz, M. Oquab, "Revisiting Classifier Two-Sample Tests", 2017.
"""

import numpy as np
from numpy.typing import NDArray
from torch import nn

from pocketgan_trainer.data.mnist import IMAGE_SHAPE
from pocketgan_trainer.errors import DataError
from pocketgan_trainer.evaluate.small_classifier import Recipe, convolution, predict, train_classifier

TESTED_IMAGES = 5_000
"""Images of each set that are kept for the test."""
RECIPE = Recipe(batch_size=128, peak_learning_rate=3e-3, weight_decay=0.01)


def told_apart(
    first: NDArray[np.uint8], second: NDArray[np.uint8], seed: int = 0, epochs: int = 5, tested: int = TESTED_IMAGES
) -> float:
    """Return in which share of images uint8 [N, 28, 28] a network names the right set, 0 to 1.

    It is tested on the last `tested` images of both sets, after it has learned from all others for `epochs` rounds; so no image
    may be in a set twice. The recipe is fixed, and the same `seed` gives the same result (see `train_classifier`). With the
    default 10,000 tested images pure chance lies between 49 and 51 % in 95 of 100 cases. Raises DataError if the sets differ in
    size or leave less than a batch to learn from.
    """
    if len(first) != len(second):
        raise DataError(f"the sets hold {len(first)} and {len(second)} images: expected as many in both, so that chance is 50 %")
    trained = len(first) - tested
    if 2 * trained < RECIPE.batch_size:
        least = tested + RECIPE.batch_size // 2
        raise DataError(f"{len(first)} images in each set, {tested} of them to test with: expected at least {least}")
    detector = train_classifier(
        build_detector,
        np.concatenate([first[:trained], second[:trained]]),
        np.repeat([0, 1], trained),
        RECIPE,
        steps=epochs * 2 * trained // RECIPE.batch_size,
        seed=seed,
    )
    right = np.sum(predict(detector, first[trained:]) == 0) + np.sum(predict(detector, second[trained:]) == 1)
    return float(right) / (2 * tested)


def train_a_little() -> None:
    """Train a detector for one step, on black images: a piece of work to choose the number of threads by."""
    blank = np.zeros((RECIPE.batch_size, *IMAGE_SHAPE), np.uint8)
    train_classifier(build_detector, blank, np.zeros(len(blank), np.int64), RECIPE, steps=1, seed=0)


def build_detector() -> nn.Module:
    """Return the network: pixels float [N, 1, 28, 28], from 0 to just below 1, to two logits; 78,000 weights.

    Six 3x3 convolutions with batch normalization, the first two at full resolution, since generators give themselves away in the
    texture of pixels; then all 7x7 places are weighed, since they also do by where strokes run. Grey levels are numbers to it,
    so it judges shapes and shades. A network that looked each level up in a table could go by which of two neighbouring levels
    is the commoner, which in MNIST is an accident of how it was scaled, and would say nothing of the digits.
    """
    return nn.Sequential(
        *convolution(1, 16),
        *convolution(16, 16),
        nn.MaxPool2d(2),
        *convolution(16, 32),
        *convolution(32, 32),
        nn.MaxPool2d(2),
        *convolution(32, 64),
        *convolution(64, 64),
        nn.Flatten(),
        nn.Linear(64 * 7 * 7, 2),
    )
