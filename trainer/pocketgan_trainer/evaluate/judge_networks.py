"""The two networks that judge images: small classifiers of digits that also tell what they saw just before they decided.

They differ in depth, kernel size, width and training seed, so that what pleases one of them by chance does not please the other.
Both take grey levels float [N, 1, 28, 28] from 0 to 1 and return their features and their logits.
"""

from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from pocketgan_trainer.data.class_rows import CLASSES


class Sight(NamedTuple):
    """What a judge's network makes of images."""

    features: Tensor
    """The values of its last hidden layer, after the rectifier: float [N, F], none negative."""
    logits: Tensor
    """[N, 10]; their softmax is the probability of each digit."""


class FirstJudgeNetwork(nn.Module):
    """Five layers of 3x3 kernels and 64 features, after K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks", 2014."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_convolution(1, 16, kernel_size=3, padding=1),
            nn.MaxPool2d(2),
            *_convolution(16, 32, kernel_size=3, padding=1),
            *_convolution(32, 32, kernel_size=3, padding=1),
            nn.MaxPool2d(2),
            *_convolution(32, 64, kernel_size=3, padding=1),
            *_convolution(64, 64, kernel_size=3, padding=0),
            nn.Flatten(),
            nn.Linear(64 * 5 * 5, 64, bias=False),
            nn.BatchNorm1d(64),
            nn.ReLU(),
        )
        self.head = nn.Linear(64, CLASSES)

    def forward(self, pixels: Tensor) -> Sight:
        """Return the 64 features and the logits."""
        features = self.body(pixels)
        return Sight(features, self.head(dropout(features, 0.2, self.training)))


class SecondJudgeNetwork(nn.Module):
    """Two layers of 5x5 kernels and 128 features, after Y. LeCun et al., "Gradient-based learning", 1998, with wider layers."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_convolution(1, 32, kernel_size=5, padding=0),
            nn.MaxPool2d(2),
            *_convolution(32, 64, kernel_size=5, padding=0),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(64 * 4 * 4, 128),
            nn.ReLU(),
        )
        self.head = nn.Linear(128, CLASSES)

    def forward(self, pixels: Tensor) -> Sight:
        """Return the 128 features and the logits."""
        features = self.body(pixels)
        return Sight(features, self.head(dropout(features, 0.4, self.training)))


JudgeNetwork: TypeAlias = FirstJudgeNetwork | SecondJudgeNetwork


def _convolution(inputs: int, outputs: int, kernel_size: int, padding: int) -> tuple[nn.Module, ...]:
    """Return a convolution, its batch normalization and a rectifier."""
    convolution = nn.Conv2d(inputs, outputs, kernel_size, padding=padding, bias=False)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU()


def pixels_of(images: Tensor) -> Tensor:
    """Return what the networks take, float32 [N, 1, 28, 28] from 0 to 1, from images uint8 [N, 28, 28]."""
    return images[:, None].to(torch.float32) / 255
