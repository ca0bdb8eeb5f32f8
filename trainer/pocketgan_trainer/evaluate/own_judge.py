"""A judge for a user's own images: a small classifier of their classes, trained before the run; or their pixel components.

The published judges saw handwritten digits only, and would take a shoe for one. This one is good enough to say which epoch of a
run is better than another. Its numbers mean nothing beside those of another data set or another training of it, so it is kept
with the run.
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
from pocketgan_trainer.evaluate.classifiers import Recipe, convolution, train_classifier
from pocketgan_trainer.evaluate.judge import Views
from pocketgan_trainer.evaluate.spaces import PixelSpace, fit_pixel_space, project
from pocketgan_trainer.tensor_files import check_values, form_of, read_header, read_tensors

FEATURES = 64
_EPOCHS = 3
_SEED = 3
_RECIPE = Recipe(batch_size=128, peak_learning_rate=4e-3, weight_decay=0.05)
_BATCH_SIZE = 250


class OwnJudge:
    """A trained classifier of a user's images, on the CPU and in float32."""

    def __init__(self, network: nn.Sequential) -> None:
        self.network = network.eval()
        """Features, float [N, FEATURES], then logits."""

    def look(self, images: NDArray[np.uint8]) -> Views:
        """Return features and probabilities of images uint8 [N, S, S], N above 0."""
        body, head = self.network
        features, probabilities = [], []
        with torch.inference_mode():
            for first in range(0, len(images), _BATCH_SIZE):
                # As train_classifier feeds them.
                pixels = torch.from_numpy(images[first : first + _BATCH_SIZE].copy())[:, None].float() / 256
                seen = body(pixels)
                features.append(seen.numpy())
                probabilities.append(head(seen).softmax(dim=1).numpy())
        return Views(np.concatenate(features), np.concatenate(probabilities))


class PixelJudge:
    """Sees the leading principal components of real images, and no classes: for images that have none."""

    def __init__(self, space: PixelSpace) -> None:
        self._space = space

    def look(self, images: NDArray[np.uint8]) -> Views:
        """Return components as features, float32 [N, FEATURES] or fewer, and no probabilities."""
        return Views(project(self._space, images), np.empty((len(images), 0), np.float32))


def own_judge(training: Digits, classes: int, path: Path | None) -> OwnJudge | PixelJudge:
    """Return a judge of training images: the one kept at `path`, else a new one, kept there if `path` is given.

    With fewer than two `classes` it sees pixel components, and nothing is kept. Training takes about a minute on two cores for
    60,000 images. Raises JudgeError if what is kept there cannot be read, OutputError if it cannot be written.
    """
    if classes < 2:
        components = min(FEATURES, len(training) - 1)
        return PixelJudge(fit_pixel_space(training.images, components))
    size = training.images.shape[1]
    if path is not None and path.exists():
        return OwnJudge(_kept(path, classes, size))
    steps = _EPOCHS * max(1, len(training) // _RECIPE.batch_size)
    network = train_classifier(
        lambda: _network(classes, size), training.images, training.labels.astype(np.int64), _RECIPE, steps, _SEED
    )
    assert isinstance(network, nn.Sequential)
    network = network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    if path is not None:
        with whole_file(path) as temporary:
            temporary.write_bytes(save({name: tensor.contiguous() for name, tensor in network.state_dict().items()}))
    return OwnJudge(network)


def _kept(path: Path, classes: int, size: int) -> nn.Sequential:
    network = _network(classes, size)
    forms = {name: frozenset({form_of(tensor)}) for name, tensor in network.state_dict().items()}
    try:
        with open_regular_file(path) as file:
            _, tensors = read_tensors(file, read_header(file), forms)
        check_values(tensors)
        network.load_state_dict(tensors)
    except (OSError, ValueError, RuntimeError) as error:
        remark = (error.strerror if isinstance(error, OSError) else None) or first_line(error)
        raise JudgeError(f"{path} is not the judge of this run ({remark}): remove it, and it is trained again") from error
    return network


def _network(classes: int, size: int) -> nn.Sequential:
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
