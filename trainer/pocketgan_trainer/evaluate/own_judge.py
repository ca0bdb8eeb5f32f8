"""A judge of a user's own images: a small classifier of their classes, trained before the run; or their pixel components.

The published judges know handwritten digits only, and would take a shoe for one. This one is good enough to say which epoch of a
run is better than another. Its numbers cannot be compared with those of another data set or another training, so it is saved with
the run.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import nn

from pocketgan.errors import first_line
from pocketgan.files import open_regular_file, whole_file
from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.errors import JudgeError
from pocketgan_trainer.evaluate.classifiers import TRAINED_WHITE, Recipe, convolution, train_classifier
from pocketgan_trainer.evaluate.judge import Assessment, assess_in_batches
from pocketgan_trainer.evaluate.spaces import PixelSpace, fit_pixel_space, project
from pocketgan_trainer.tensor_files import check_values, form_of, read_header, read_tensors

FEATURES = 64
_EPOCHS = 3
_SEED = 3
_RECIPE = Recipe(batch_size=128, peak_learning_rate=4e-3, weight_decay=0.05)


class OwnJudge:
    """A trained classifier of a user's images, on the CPU and in float32."""

    def __init__(self, network: nn.Sequential) -> None:
        self.network = network.eval()
        """Features, float [N, FEATURES], then logits."""

    def assess(self, images: NDArray[np.uint8]) -> Assessment:
        """Return features and probabilities of images uint8 [N, S, S], N above 0."""
        body, head = self.network
        return assess_in_batches(body, head, images, white=TRAINED_WHITE)


class PixelJudge:
    """A judge without classes, whose features are the leading principal components of real images."""

    def __init__(self, space: PixelSpace) -> None:
        self._space = space

    def assess(self, images: NDArray[np.uint8]) -> Assessment:
        """Return components as features, float32 [N, FEATURES] or fewer, and no probabilities, [N, 0]."""
        return Assessment(project(self._space, images), np.empty((len(images), 0), np.float32))


def own_judge(training: Digits, classes: int, path: Path | None, seed: int = _SEED) -> OwnJudge | PixelJudge:
    """Return a judge of training images, read from `path` if it exists; otherwise train one and, with a `path`, save it there.

    With fewer than two `classes` its features are pixel components, and nothing is saved. Training takes about a minute on two
    cores for 60,000 images; another `seed` makes another judge. Raises JudgeError if the file cannot be read, OutputError if it
    cannot be written.
    """
    if classes < 2:
        components = min(FEATURES, len(training) - 1)
        return PixelJudge(fit_pixel_space(training.images, components))
    size = training.images.shape[1]
    if path is not None and path.exists():
        return OwnJudge(_read_network(path, classes, size))
    steps = _EPOCHS * max(1, len(training) // _RECIPE.batch_size)
    network = train_classifier(
        lambda: _network(classes, size), training.images, training.labels.astype(np.int64), _RECIPE, steps, seed
    )
    assert isinstance(network, nn.Sequential)
    network = network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    if path is not None:
        with whole_file(path) as temporary:
            temporary.write_bytes(save({name: tensor.contiguous() for name, tensor in network.state_dict().items()}))
    return OwnJudge(network)


def _read_network(path: Path, classes: int, size: int) -> nn.Sequential:
    """Return the network in the file. Raises JudgeError unless it is for these classes and images of this size."""
    network = _network(classes, size)
    forms = {name: frozenset({form_of(tensor)}) for name, tensor in network.state_dict().items()}
    try:
        with open_regular_file(path) as file:
            _, tensors = read_tensors(file, read_header(file), forms)
        check_values(tensors)
        network.load_state_dict(tensors)
    except (OSError, ValueError, RuntimeError) as error:
        remark = (error.strerror if isinstance(error, OSError) else None) or first_line(error)
        raise JudgeError(f"{path} is not the judge of this run ({remark}): remove it to have it trained again") from error
    return network


def _network(classes: int, size: int) -> nn.Sequential:
    """Return an untrained network: pixels float [N, 1, size, size] to features, then to logits [N, classes]."""
    quarter = size // 4
    body = nn.Sequential(
        *convolution(1, 16),
        nn.MaxPool2d(2),
        *convolution(16, 32),
        nn.MaxPool2d(2),
        *convolution(32, 64),
        nn.Flatten(),
        nn.Linear(64 * quarter * quarter, FEATURES, bias=False),
        nn.BatchNorm1d(FEATURES),
        nn.ReLU(),
    )
    return nn.Sequential(body, nn.Linear(FEATURES, classes))
