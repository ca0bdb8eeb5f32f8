"""Training a small network to classify 28x28 images that are already in memory: what two of the measurements rest on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.memory_format import convert_conv2d_weight_memory_format
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import update_bn

from pocketgan_trainer.devices import supports_bfloat16

Augment: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]
"""Takes images float32 [N, 1, 28, 28] and the source of its random numbers; returns changed ones of the same shape."""

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
    """Return the class that a network in evaluation mode holds most likely for each of images uint8 [N, 28, 28], int64 [N]."""
    with torch.inference_mode(), _autocast():
        batches = [
            network(_as_input(images[start : start + _PREDICTED_AT_ONCE])).argmax(dim=1)
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
        batch = _as_input(images[chosen.numpy()])
        yield (batch if augment is None else augment(batch, generator)), chosen


def _as_input(images: NDArray[np.uint8]) -> Tensor:
    """Return images uint8 [N, 28, 28] as float32 [N, 1, 28, 28], from 0 to just below 1.

    Divided by 256, not by 255: so all grey levels, which may be what gives a generator away, stay exact in bfloat16.
    """
    return torch.from_numpy(images)[:, None].float() / 256


def _autocast() -> torch.autocast:
    return torch.autocast(_CPU.type, torch.bfloat16, enabled=supports_bfloat16(_CPU))
