"""The two published judges: small classifiers of handwritten digits, in whose features and answers the figures are taken.

Their networks differ in depth, kernel size, width and training seed, so that what pleases one of them by chance does not please
the other. `scripts/train_judges.py` trained them.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn.functional import dropout

from pocketgan.files import open_regular_file
from pocketgan_trainer.data.published import CLASSES, IMAGE_SHAPE
from pocketgan_trainer.errors import JudgeError

JudgeName: TypeAlias = Literal["first", "second"]

FOLDER = Path(__file__).parent / "judges"
_BATCH_SIZE = 250


@dataclass(frozen=True, eq=False)
class Assessment:
    """What a judge finds in N images."""

    features: NDArray[np.float32]
    """[N, F], none negative: F is 64 for the first judge, 128 for the second, of which 21 never leave 0 on digits."""
    probabilities: NDArray[np.float32]
    """[N, 10]: how likely the judge finds each digit; rows sum to 1."""


class ImageJudge(Protocol):
    """A published judge, or one of a user's own images."""

    def assess(self, images: NDArray[np.uint8]) -> Assessment:
        """Return features and probabilities of images uint8 [N, S, S]."""


class Judge:
    """A trained classifier of digits, on the CPU and in float32."""

    def __init__(self, name: JudgeName, network: "JudgeNetwork") -> None:
        self.name = name
        self._network = network.eval()

    def assess(self, images: NDArray[np.uint8]) -> Assessment:
        """Return features and probabilities of images uint8 [N, 28, 28], 0 = background; N must not be 0.

        An image's row depends on that image alone, but for the last bits of float32. Raises JudgeError for images of any other
        shape or type, of which the judge's answers would mean nothing.
        """
        if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != IMAGE_SHAPE or len(images) == 0:
            message = f"the judge was given {images.dtype} {list(images.shape)}; expected images uint8 [N, 28, 28], N above 0"
            raise JudgeError(message)
        return assess_in_batches(self._network.body, self._network.head, images, white=255)


def assess_in_batches(body: nn.Module, head: nn.Module, images: NDArray[np.uint8], white: int) -> Assessment:
    """Return the features and probabilities that a network in evaluation mode finds in images uint8 [N, S, S], N above 0.

    `body` makes features [N, F] of pixels float32 [N, 1, S, S], which are grey levels divided by `white`; `head` makes logits.
    """
    features, probabilities = [], []
    with torch.inference_mode():
        for first in range(0, len(images), _BATCH_SIZE):
            of_batch = body(to_pixels(torch.from_numpy(images[first : first + _BATCH_SIZE].copy()), white))
            features.append(of_batch.numpy())
            probabilities.append(head(of_batch).softmax(dim=1).numpy())
    return Assessment(np.concatenate(features), np.concatenate(probabilities))


def to_pixels(images: Tensor, white: int = 255) -> Tensor:
    """Return images uint8 [N, S, S] as networks take them, float32 [N, 1, S, S], each grey level divided by `white`."""
    return images[:, None].to(torch.float32) / white


class JudgeOutput(NamedTuple):
    """What a judge's network returns for pixels float32 [N, 1, 28, 28] from 0 to 1."""

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

    def forward(self, pixels: Tensor) -> JudgeOutput:
        """Return the 64 features and the logits."""
        features = self.body(pixels)
        return JudgeOutput(features, self.head(dropout(features, 0.2, self.training)))


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

    def forward(self, pixels: Tensor) -> JudgeOutput:
        """Return the 128 features and the logits."""
        features = self.body(pixels)
        return JudgeOutput(features, self.head(dropout(features, 0.4, self.training)))


JudgeNetwork: TypeAlias = FirstJudgeNetwork | SecondJudgeNetwork


def _convolution(inputs: int, outputs: int, kernel_size: int, padding: int) -> tuple[nn.Module, ...]:
    """Return a convolution, its batch normalization and a rectifier."""
    convolution = nn.Conv2d(inputs, outputs, kernel_size, padding=padding, bias=False)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU()


@dataclass(frozen=True)
class JudgeFile:
    """The network of a judge, and its file."""

    network: type[JudgeNetwork]
    sha256: str
    """Of the whole file NAME.safetensors."""


JUDGES: dict[JudgeName, JudgeFile] = {
    "first": JudgeFile(FirstJudgeNetwork, "2d3f949269773ce06d12fd0164481feec2934ce6a80ef394b34b4c4bd3eebafd"),
    "second": JudgeFile(SecondJudgeNetwork, "8440e80d3d482f34610de68ea3dab180c48d848655e8651b0a0c6cf4b9bcfb02"),
}


def load_judge(which: JudgeName) -> Judge:
    """Return the first or the second judge from the package's own file.

    Raises JudgeError if the file is absent or not the published one, bit for bit.
    """
    path = FOLDER / f"{which}.safetensors"
    remedy = "install pocketgan anew"
    try:
        with open_regular_file(path) as file:
            contents = file.read()
    except OSError as error:
        message = f"cannot read the {which} judge {path}: {error.strerror or error}; {remedy}"
        raise JudgeError(message) from error
    found, expected = hashlib.sha256(contents).hexdigest(), JUDGES[which].sha256
    if found != expected:
        message = f"{path} is not the {which} judge: its SHA-256 is {found}, expected {expected}; {remedy}"
        raise JudgeError(message)
    network = JUDGES[which].network()
    network.load_state_dict(load(contents))
    return Judge(which, network)
