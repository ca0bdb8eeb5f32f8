"""The classifier two-sample test: how well networks distinguish two sets of images, by the number they learn from.

A network that learns from too few images sees no difference, and one that learns from enough may see all of it. So the test is
repeated for several numbers of images, with two networks of different build.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import conv2d

from pocketgan_trainer.data.published import IMAGE_SHAPE
from pocketgan_trainer.errors import DataError
from pocketgan_trainer.evaluate.classifiers import Recipe, convolution, predict, train_classifier

BUDGETS = (5_000, 10_000, 20_000, 40_000)
"""Images of each set that the networks learn from."""
TESTED_IMAGES = 5_000
"""Images of each set that are kept for the test, the same for all budgets."""
EPOCHS = 5
"""Rounds through all images that are not tested. With a smaller budget there are as many batches, so each image comes more often:
networks need some hundred batches before they see anything."""
RECIPE = Recipe(batch_size=128, peak_learning_rate=3e-3, weight_decay=0.01)


@dataclass(frozen=True)
class Detector:
    """A kind of network that distinguishes two sets of images."""

    name: str
    key: str
    """Of its figure with the largest budget, in JSON; with a smaller one the key ends with the budget."""
    build: Callable[[], nn.Module]
    """Makes a fresh one: pixels float [N, 1, 28, 28], from 0 to just below 1, to two logits."""


def two_sample_test(
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    detector: Detector,
    budget: int = BUDGETS[-1],
    seed: int = 0,
    epochs: int = EPOCHS,
    tested: int = TESTED_IMAGES,
) -> float:
    """Return the share of images uint8 [N, 28, 28] for which a network names the right set: 0.5 if the sets look the same to it.

    It is tested on the last `tested` images of both sets, after it has learned from the first `budget` of the others, or from all
    of them if there are fewer; so no image may be in a set twice. For any budget, the number of batches is that of `epochs`
    rounds through all the others. Nothing is chosen by the tested images. The same `seed` gives the same result (see
    `train_classifier`). With the default 10,000 tested images pure chance lies between 49 and 51 % in 95 of 100 cases. Raises
    DataError if the sets differ in size or leave less than a batch to learn from. Source: D. Lopez-Paz, M. Oquab, "Revisiting
    Classifier Two-Sample Tests", 2017.
    """
    if len(first) != len(second):
        raise DataError(f"the sets hold {len(first)} and {len(second)} images: expected as many in both, so that chance is 50 %")
    others = len(first) - tested
    if 2 * others < RECIPE.batch_size:
        least = tested + RECIPE.batch_size // 2
        raise DataError(f"{len(first)} images in each set, {tested} of them to test with: expected at least {least}")
    learned = min(budget, others)
    network = train_classifier(
        detector.build,
        np.concatenate([first[:learned], second[:learned]]),
        np.repeat([0, 1], learned),
        RECIPE,
        steps=epochs * 2 * others // RECIPE.batch_size,
        seed=seed,
    )
    right = np.sum(predict(network, first[others:]) == 0) + np.sum(predict(network, second[others:]) == 1)
    return float(right) / (2 * tested)


def build_plain() -> nn.Module:
    """Return the first network; 78,000 weights.

    Six 3x3 convolutions with batch normalization, the first two at full resolution, since generators show in the texture of
    pixels; then a dense layer over all 7x7 places, since they also show in where strokes run. Grey levels enter as numbers, so
    shapes and shades count. A network that looked each level up in a table could learn which of two neighbouring levels is more
    frequent, which in MNIST comes from how it was scaled and has nothing to do with the digits.
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


class WithLaplacian(nn.Module):
    """Adds to images float [N, 1, H, W] how much each pixel exceeds the mean of its four neighbours: [N, 2, H, W]."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        kernel = torch.tensor([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]])
        self.register_buffer("kernel", kernel[None, None])

    def forward(self, images: Tensor) -> Tensor:
        """Return both."""
        return torch.cat([images, conv2d(images, self.kernel, padding=1)], dim=1)


class Residual(nn.Module):
    """Adds to features float [N, C, H, W] what a dilated convolution makes of them."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.layers = nn.Sequential(*_smooth_convolution(channels, channels, dilation))

    def forward(self, features: Tensor) -> Tensor:
        """Return the sum."""
        summed: Tensor = features + self.layers(features)
        return summed


def build_residual() -> nn.Module:
    """Return the second network, for reports only: nothing in this project is trained against it or chosen by it; 60,000 weights.

    It differs from the first in its input, the image and its Laplacian; in residual blocks, all at full resolution but one, whose
    dilated 3x3 convolutions see 19x19 pixels; in SiLU; and in one average over 4x4 pixels in place of two maxima.
    """
    return nn.Sequential(
        WithLaplacian(),
        *_smooth_convolution(2, 16),
        Residual(16),
        Residual(16, dilation=2),
        Residual(16, dilation=4),
        nn.AvgPool2d(4),
        *_smooth_convolution(16, 64),
        Residual(64),
        nn.Flatten(),
        nn.Linear(64 * 7 * 7, 2),
    )


def _smooth_convolution(inputs: int, outputs: int, dilation: int = 1) -> tuple[nn.Module, ...]:
    """Return a 3x3 convolution that keeps the image's size, its batch normalization and SiLU."""
    layer = nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation, bias=False)
    return layer, nn.BatchNorm2d(outputs), nn.SiLU()


DETECTORS = (
    Detector("first", "told_apart", build_plain),
    Detector("second", "told_apart_second", build_residual),
)


def train_one_step() -> None:
    """Train the first detector for one step, on black images: a sample of the work, to choose the number of threads by."""
    detector = DETECTORS[0]
    blank = np.zeros((RECIPE.batch_size, *IMAGE_SHAPE), np.uint8)
    train_classifier(detector.build, blank, np.zeros(len(blank), np.int64), RECIPE, steps=1, seed=0)
