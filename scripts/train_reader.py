"""Train a small network to read numbers: from generated rows, and from the same rows with real training digits in them.

    .venv/bin/python scripts/train_reader.py [MODEL ...]

Each network learns from 20,000 images of 3 to 6 digits, and reads 5,000 that are made in the same way of real test digits, by
people of whom no training digit is. Printed are the share of numbers that it reads wholly right, and of digits that are wrong,
missing or too many. The network, its training and the layout of the images are the same for all; only the digits differ. The
network is a small one after B. Shi et al., "An End-to-End Trainable Neural Network for Image-based Sequence Recognition", 2015,
without its recurrent layers, with the loss of A. Graves et al., "Connectionist Temporal Classification", 2006. Needs the
extra [train].
"""

import argparse
import sys
from statistics import mean

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn.functional import ctc_loss, log_softmax

from pocketgan import Generator
from pocketgan.address import ImageRange
from pocketgan.latents import latent_ticks
from pocketgan.write.request import writing_request
from pocketgan.write.writing import Writing
from pocketgan_trainer.data.published import Digits, load_mnist

TRAINING_IMAGES, TEST_IMAGES = 20_000, 5_000
TEST_SEED = 1
BATCH_SIZE, LEARNING_RATE = 64, 2e-3
BLANK = 10


class RealDigits:
    """Stands in for a model whose latents choose real digits of the class that is asked for."""

    def __init__(self, like: Generator, digits: Digits) -> None:
        """Take the card, and the limits, of a model."""
        self.card, self.cost, self.sha256, self.path = like.card, like.cost, like.sha256, like.path
        self._of_class = [digits.images[digits.labels == digit] for digit in range(10)]

    def check_traits(self, asked: object, cycle: object) -> None:
        """Accept anything."""

    def ticks(self, images: ImageRange, labels: NDArray[np.int64] | None) -> NDArray[np.int8]:
        """Return latents that have nothing of a hand, int8 [n, size]."""
        return latent_ticks(images._replace(hand=None), 8)

    def draw_latents(self, z: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return a real digit of each class, uint8 [n, 28, 28]."""
        words = (z * 32).astype(np.int64).astype(np.uint64) @ (np.uint64(0x9E3779B97F4A7C15) ** np.arange(1, 9, dtype=np.uint64))
        chosen = zip(labels.tolist(), (words >> np.uint64(20)).tolist(), strict=True)
        drawn: NDArray[np.uint8] = np.stack([self._of_class[label][word % len(self._of_class[label])] for label, word in chosen])
        return drawn


def rows(source: Generator | RealDigits, count: int, seed: int) -> tuple[Tensor, list[str]]:
    """Return images of numbers, float [n, 1, H, W] in 0 to 1, and what they say."""
    request = writing_request(count=count, seed=seed, jitter=0.7, ink=(50, 100), noise=8)
    writing = Writing(source, request)  # type: ignore[arg-type]
    return torch.from_numpy(writing.images())[:, None].float() / 255, [writing.text(index) for index in writing.indices]


def reader() -> nn.Module:
    """Return an untrained network: images float [N, 1, H, W] to logits [N, 11, W / 4] of each digit, and of none."""
    return nn.Sequential(
        *_block(1, 16, (2, 2)),
        *_block(16, 32, (2, 2)),
        *_block(32, 64, (2, 1)),
        nn.AdaptiveAvgPool2d((4, None)),
        nn.Flatten(1, 2),
        nn.Conv1d(4 * 64, 64, 3, padding=1),
        nn.BatchNorm1d(64),
        nn.ReLU(),
        nn.Conv1d(64, 11, 1),
    )


def _block(inputs: int, outputs: int, pooling: tuple[int, int]) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(pooling)]


def train(images: Tensor, texts: list[str], seed: int, epochs: int) -> nn.Module:
    """Return a network that has learned to read these images."""
    torch.manual_seed(seed)
    network, steps = reader(), epochs * (len(images) // BATCH_SIZE)
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    lengths = torch.tensor([len(text) for text in texts])
    digits = torch.tensor([[int(digit) for digit in text.ljust(6, "0")] for text in texts])
    for _ in range(epochs):
        order = torch.randperm(len(images))
        for first in range(0, len(images) - BATCH_SIZE + 1, BATCH_SIZE):
            chosen = order[first : first + BATCH_SIZE]
            scores = log_softmax(network(images[chosen]), dim=1).permute(2, 0, 1)  # [time, N, 11]
            times = torch.full((BATCH_SIZE,), len(scores))
            loss = ctc_loss(scores, digits[chosen], times, lengths[chosen], blank=BLANK)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return network.eval()


def read(network: nn.Module, images: Tensor) -> list[str]:
    """Return what a network reads in images."""
    with torch.inference_mode():
        best = torch.cat([network(part).argmax(dim=1) for part in torch.split(images, 500)]).tolist()
    return [
        "".join(str(digit) for digit, before in zip(row, [BLANK, *row[:-1]], strict=True) if digit not in (BLANK, before))
        for row in best
    ]


def edits(first: str, second: str) -> int:
    """Return how many characters must be changed, left out or put in to make the first text of the second (Levenshtein)."""
    costs = list(range(len(second) + 1))
    for row, character in enumerate(first, 1):
        above = costs
        costs = [row]
        for column, other in enumerate(second):
            costs.append(min(above[column] + (character != other), above[column + 1] + 1, costs[column] + 1))
    return costs[-1]


def main() -> None:
    """Train, read and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["pocket"], metavar="MODEL", help="names or files (default: pocket)")
    parser.add_argument("--images", type=int, default=TRAINING_IMAGES, help=f"to learn from (default {TRAINING_IMAGES:,})")
    parser.add_argument("--epochs", type=int, default=8, help="passes through them (default 8)")
    parser.add_argument("--seeds", type=int, default=2, help="networks of each kind (default 2)")
    arguments = parser.parse_args()
    generators = [Generator.load(name) for name in arguments.models]
    sources: dict[str, Generator | RealDigits] = dict(zip(arguments.models, generators, strict=True))
    sources["real training digits"] = RealDigits(generators[0], load_mnist(split="train"))
    tested, wanted = rows(RealDigits(generators[0], load_mnist(split="test")), TEST_IMAGES, TEST_SEED)
    table = Table("digits to learn from", "numbers read rightly", "digits wrong", title=f"{TEST_IMAGES:,} rows of test digits")
    for name, source in sources.items():
        images, texts = rows(source, arguments.images, seed=0)
        found = []
        for seed in range(arguments.seeds):
            print(f"training network {seed + 1} of {arguments.seeds} on {name}", file=sys.stderr)
            found.append(read(train(images, texts, seed, arguments.epochs), tested))
        right = [mean(map(str.__eq__, said, wanted)) for said in found]
        wrong = [sum(map(edits, said, wanted)) / len("".join(wanted)) for said in found]
        table.add_row(name, *(", ".join(f"{share:.2%}" for share in shares) for shares in (right, wrong)))
    Console().print(table)


if __name__ == "__main__":
    main()
