"""Checkpoint files for tests: networks that have moved, and files changed after they were written."""

import json
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from pocketgan_trainer.errors import CheckpointError
from pocketgan_trainer.training.checkpoint import digest, load_checkpoint
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.presets import PRESETS, build_gan
from pocketgan_trainer.training.progress import Progress
from pocketgan_trainer.training.steps import Gan

CONFIG = replace(PRESETS["mlp"].config, seed=3)
PROGRESS = Progress(epoch=2, step=7, images_seen=1234, seconds=5.25, best_score=1.5)
SUMS = torch.tensor([1.5, 2.5, 3.5, 4.5, 2.0], dtype=torch.float64)


def moved_gan(config: TrainingConfig) -> Gan:
    """Return networks that have taken one random step, so that their optimizers hold moments; an average stays behind."""
    gan = build_gan(config, torch.device("cpu"))
    for network, optimizer in (
        (gan.generator, gan.generator_optimizer),
        (gan.discriminator, gan.discriminator_optimizer),
    ):
        for weight in network.parameters():
            weight.grad = torch.randn_like(weight)
        optimizer.step()
    return gan


def refusal(path: Path) -> str:
    """Return the error with which loading `path` is refused: one line that names the file."""
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return the text and the tensors of a safetensors file."""
    with safe_open(path, framework="pt") as file:
        return dict(file.metadata()), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict


def rewrite_text(path: Path, **changes: str | None) -> None:
    """Write the file again with some of its texts changed, or left out where the change is None."""
    text, tensors = read(path)
    changed = {name: value for name, value in {**text, **changes}.items() if value is not None}
    save_file(tensors, path, metadata=changed)


def rewrite_json(path: Path, name: str, changes: Mapping[str, object]) -> None:
    """Write the file again with some fields of one of its JSON texts changed."""
    text, _ = read(path)
    rewrite_text(path, **{name: json.dumps({**json.loads(text[name]), **changes})})


def rewrite_tensors(path: Path, changes: Mapping[str, Tensor | None]) -> None:
    """Write the file again with some tensors changed, added, or left out where the change is None, and the right digest."""
    text, tensors = read(path)
    changed = {name: value for name, value in {**tensors, **changes}.items() if value is not None}
    save_file(changed, path, metadata={**text, "sha256": digest(changed)})


def header_length(contents: bytes) -> int:
    """Return the length of the header of a safetensors file, which follows the eight bytes that hold it."""
    (length,) = struct.unpack("<Q", contents[:8])
    return int(length)


def with_header_length(contents: bytes, length: int) -> bytes:
    """Return the same file with spaces after its header, up to a length; the format allows that."""
    old = header_length(contents)
    return struct.pack("<Q", length) + contents[8 : 8 + old].ljust(length) + contents[8 + old :]
