"""Train one of the two judges of evaluate/judge.py on the 55,000 training digits that are not held out for validation.

    .venv/bin/python scripts/train_judges.py first
    .venv/bin/python scripts/train_judges.py second

Writes trainer/pocketgan_trainer/evaluate/judges/NAME.safetensors, and prints its SHA-256, to be copied into judge.py, and the
accuracy on validation and test digits. Nothing is chosen by the test digits: there is one run per judge, and its last epoch is
used. A run took a quarter of an hour on half a core with bfloat16 units. It is reproducible on the same kind of CPU with the
same torch. Scores by a retrained judge cannot be compared with earlier ones. Needs the extra [train].
"""

import argparse
import hashlib
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn.functional import affine_grid, cross_entropy, grid_sample

from pocketgan.files import whole_file
from pocketgan_trainer.data.published import Digits, load_mnist
from pocketgan_trainer.data.split import split_validation
from pocketgan_trainer.evaluate.judge import FOLDER, JUDGES, Judge, JudgeName, JudgeNetwork, to_pixels

BATCH_SIZE = 125
WEIGHT_DECAY = 0.05


@dataclass(frozen=True)
class Recipe:
    """How one judge is trained."""

    seed: int
    epochs: int
    learning_rate: float
    """The highest learning rate of the schedule, for AdamW."""


RECIPES: dict[JudgeName, Recipe] = {
    "first": Recipe(seed=1, epochs=13, learning_rate=4e-3),
    "second": Recipe(seed=2, epochs=20, learning_rate=3e-3),
}


def augmented(pixels: Tensor) -> Tensor:
    """Return images [N, 1, 28, 28], each randomly rotated, slanted, scaled and shifted a little; never mirrored."""
    count = len(pixels)
    angle = _between(-12, 12, count) * math.pi / 180
    slant = _between(-0.15, 0.15, count)
    width, height = _between(0.88, 1.12, count), _between(0.88, 1.12, count)
    shift = _between(-2.2, 2.2, (count, 2)) / 14  # affine_grid's unit is half the image
    cosine, sine = torch.cos(angle), torch.sin(angle)
    turn = torch.stack([cosine, -sine, sine, cosine], dim=1).reshape(-1, 2, 2)
    stretch = torch.stack([width, slant, torch.zeros(count), height], dim=1).reshape(-1, 2, 2)
    placing = torch.cat([turn @ stretch, shift[:, :, None]], dim=2)
    return grid_sample(pixels, affine_grid(placing, list(pixels.shape), align_corners=False), align_corners=False)


def train(name: JudgeName, digits: Digits) -> JudgeNetwork:
    """Return the judge's network after its last epoch."""
    recipe = RECIPES[name]
    torch.manual_seed(recipe.seed)
    network = JUDGES[name].network()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images, labels = torch.from_numpy(digits.images), torch.from_numpy(digits.labels).long()
    steps = len(images) // BATCH_SIZE
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, total_steps=recipe.epochs * steps)
    for epoch in range(1, recipe.epochs + 1):
        begun, total = time.perf_counter(), 0.0
        for chosen in torch.randperm(len(images))[: steps * BATCH_SIZE].reshape(steps, BATCH_SIZE):
            pixels = augmented(to_pixels(images[chosen])).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                logits = network(pixels).logits
            # No label smoothing: it would pull the features of a class together, but they should show differences within it.
            loss = cross_entropy(logits.float(), labels[chosen])
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch:2d} of {recipe.epochs}: loss {total / steps:.4f}, {time.perf_counter() - begun:.1f} s", flush=True)
    return network


def accuracy(judge: Judge, digits: Digits) -> float:
    """Return the share of digits that a judge classifies correctly."""
    return float((judge.assess(digits.images).probabilities.argmax(axis=1) == digits.labels).mean())


def main() -> None:
    """Train the requested judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder for the file (default: the package's own)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    split, test = split_validation(load_mnist()), load_mnist(split="test")
    network = train(arguments.name, split.training)
    contents = save({key: value.contiguous() for key, value in network.state_dict().items()})
    with whole_file(arguments.output / f"{arguments.name}.safetensors") as temporary:
        temporary.write_bytes(contents)
    print(f"{len(contents):,} bytes, SHA-256 {hashlib.sha256(contents).hexdigest()}")
    judge = Judge(arguments.name, network)
    print(f"right in {accuracy(judge, split.validation):.2%} of validation and {accuracy(judge, test):.2%} of test digits")


def _between(low: float, high: float, shape: int | tuple[int, int]) -> Tensor:
    """Return uniformly distributed random numbers, float32."""
    return torch.rand(shape) * (high - low) + low


if __name__ == "__main__":
    main()
