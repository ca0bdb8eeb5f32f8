"""How small networks are trained for figures, and one of them: CAS, the classification accuracy score."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import affine_grid, cross_entropy, grid_sample
from torch.nn.utils.memory_format import convert_conv2d_weight_memory_format
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import update_bn

from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.devices import supports_bfloat16
from pocketgan_trainer.errors import DataError
from pocketgan_trainer.evaluate.judge import to_pixels

Augment: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]
"""Takes images float32 [N, 1, 28, 28] and the source of its random numbers; returns changed ones of the same shape."""

TRAINED_WHITE = 256
"""Grey levels are divided by this. With 255 they would not be exact in bfloat16, and small differences may betray a generator."""
CAS_STEPS = 3_750
"""The number of batches, for any number of images; 60,000 images are seen eight times."""
_CPU = torch.device("cpu")
_PREDICTED_AT_ONCE = 500
_NORMALIZED_BATCHES = 20


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: by AdamW (I. Loshchilov, F. Hutter, "Decoupled Weight Decay Regularization", 2019).

    It descends the cross-entropy, with a learning rate that goes up to its peak and then down to almost nothing, in one cycle
    (L. Smith, N. Topin, "Super-Convergence", 2018).
    """

    batch_size: int
    peak_learning_rate: float
    weight_decay: float


CAS_RECIPE = Recipe(batch_size=128, peak_learning_rate=4e-3, weight_decay=0.05)


def classifier_accuracy(
    images: NDArray[np.uint8],
    labels: NDArray[np.integer],
    test: Digits,
    seed: int = 0,
    steps: int = CAS_STEPS,
) -> float:
    """Return CAS: the accuracy on `test` digits, 0 to 1, of a classifier that is trained on these images only.

    The images are uint8 [N, 28, 28] with labels [N] from 0 to 9; scores compare only for the same N, 60,000 in this project, in
    equal classes. The score falls if digits are wrong, blurred, or too much alike. The classifier is that of the last step:
    nothing is chosen by the test digits. The recipe is this project's own and fixed, and the same `seed` gives the same result
    (see `train_classifier`). Raises DataError if there is not a label for each image, or less than a batch of images. Source:
    S. Ravuri, O. Vinyals, "Classification Accuracy Score for Conditional Generative Models", 2019.
    """
    if len(labels) != len(images) or len(images) < CAS_RECIPE.batch_size:
        message = (
            f"{len(images)} images with {len(labels)} labels: expected a label for each, and at least {CAS_RECIPE.batch_size}"
        )
        raise DataError(message)
    classifier = train_classifier(build_classifier, images, labels.astype(np.int64), CAS_RECIPE, steps, seed, moved)
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
    """Return images float [N, 1, H, W], each turned, slanted, stretched and shifted a little, by its own random amounts.

    The amounts are small enough that a digit stays what it is: up to 10 degrees, a slant of 0.1, a tenth in width and in height,
    and 2 of 28 pixels. Nothing is mirrored.
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


def train_classifier(
    build: Callable[[], nn.Module],
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    recipe: Recipe,
    steps: int,
    seed: int,
    augment: Augment | None = None,
) -> nn.Module:
    """Return a fresh network, trained for `steps` batches of images uint8 [N, 28, 28] with labels int64 [N].

    `build` makes the network: float32 [N, 1, 28, 28] to logits [N, classes]. Batches run through all images in a new random order
    before any image comes again. Weights, order and augmentation follow from `seed`: on one machine with one number of threads
    the result is always the same. Torch's own random state is left as it was. The layers compute in bfloat16 where the CPU does
    so natively.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = convert_conv2d_weight_memory_format(build(), torch.channels_last)  # the faster order on CPUs
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.peak_learning_rate, weight_decay=recipe.weight_decay)
    schedule = OneCycleLR(optimizer, recipe.peak_learning_rate, total_steps=steps)
    targets = torch.from_numpy(labels)

    batches = _batches(images, recipe.batch_size, augment, generator)
    network.train()
    for _ in range(steps):
        batch, chosen = next(batches)
        with _autocast():
            logits = network(batch)
        optimizer.zero_grad()
        torch.autograd.backward(cross_entropy(logits.float(), targets[chosen]))
        optimizer.step()
        schedule.step()

    with _autocast():  # the running averages of batch normalization lag behind the weights, far behind after few steps
        update_bn((next(batches)[0] for _ in range(_NORMALIZED_BATCHES)), network)
    return network.eval()


def predict(network: nn.Module, images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the class that a network in evaluation mode finds most likely for each of images uint8 [N, 28, 28], int64 [N]."""
    with torch.inference_mode(), _autocast():
        batches = [
            network(to_pixels(torch.from_numpy(images[start : start + _PREDICTED_AT_ONCE]), TRAINED_WHITE)).argmax(dim=1)
            for start in range(0, len(images), _PREDICTED_AT_ONCE)
        ]
    return torch.cat(batches).numpy()


def convolution(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    """Return a 3x3 convolution that keeps the image's size, its batch normalization and a rectifier."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()


def _batches(
    images: NDArray[np.uint8], batch_size: int, augment: Augment | None, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches float32 [batch_size, 1, 28, 28] without end, and the indices int64 of their images."""
    order = torch.empty(0, dtype=torch.int64)
    while True:
        while len(order) < batch_size:
            order = torch.cat([order, torch.randperm(len(images), generator=generator)])
        chosen, order = order[:batch_size], order[batch_size:]
        batch = to_pixels(torch.from_numpy(images[chosen.numpy()]), TRAINED_WHITE)
        yield (batch if augment is None else augment(batch, generator)), chosen


def _autocast() -> torch.autocast:
    return torch.autocast(_CPU.type, torch.bfloat16, enabled=supports_bfloat16(_CPU))
