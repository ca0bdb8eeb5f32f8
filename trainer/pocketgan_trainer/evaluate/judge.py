"""The two judges: small classifiers of handwritten digits whose features and opinions the figures are made of."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn.functional import dropout

from pocketgan.files import open_regular_file
from pocketgan_trainer.data.published import CLASSES
from pocketgan_trainer.errors import JudgeError


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


JudgeName: TypeAlias = Literal["first", "second"]

FOLDER = Path(__file__).parent / "judges"
_BATCH_SIZE = 250


@dataclass(frozen=True)
class JudgeFile:
    """How a judge is built, and by what its file is known."""

    network: type[JudgeNetwork]
    sha256: str
    """Of the whole file NAME.safetensors."""


JUDGES: dict[JudgeName, JudgeFile] = {
    "first": JudgeFile(FirstJudgeNetwork, "2d3f949269773ce06d12fd0164481feec2934ce6a80ef394b34b4c4bd3eebafd"),
    "second": JudgeFile(SecondJudgeNetwork, "8440e80d3d482f34610de68ea3dab180c48d848655e8651b0a0c6cf4b9bcfb02"),
}


@dataclass(frozen=True, eq=False)
class Views:
    """What a judge saw in N images."""

    features: NDArray[np.float32]
    """[N, F], none negative: F is 64 for the first judge, 128 for the second, of which 21 never leave 0 on digits."""
    probabilities: NDArray[np.float32]
    """[N, 10]: how likely the judge finds each digit; rows sum to 1."""


class Judge:
    """A trained classifier of digits, on the CPU and in float32."""

    def __init__(self, name: JudgeName, network: JudgeNetwork) -> None:
        self.name = name
        self._network = network.eval()

    def look(self, images: NDArray[np.uint8]) -> Views:
        """Return features and probabilities of images uint8 [N, 28, 28], 0 = background; N must not be 0.

        An image's row depends on that image alone, but for the last bits of float32. Raises JudgeError for images of any other
        shape or type, in which the judge would see nothing true.
        """
        if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (28, 28) or len(images) == 0:
            message = f"the judge was given {images.dtype} {list(images.shape)}; expected images uint8 [N, 28, 28], N above 0"
            raise JudgeError(message)
        features, probabilities = [], []
        with torch.inference_mode():
            for first in range(0, len(images), _BATCH_SIZE):
                batch = torch.from_numpy(images[first : first + _BATCH_SIZE].copy())
                sight = self._network(pixels_of(batch))
                features.append(sight.features.numpy())
                probabilities.append(sight.logits.softmax(dim=1).numpy())
        return Views(np.concatenate(features), np.concatenate(probabilities))


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
