"""Checkpoints: everything that is needed to resume a run, in one safetensors file that cannot run code.

The file holds the weights, the optimizers' moments, the random state and the sums of the current epoch as tensors, and the
config, the position and a SHA-256 over the tensors as text.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from reprlib import repr as shortened
from typing import BinaryIO

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from pocketgan.files import open_regular_file, whole_file
from pocketgan_trainer.errors import CheckpointError, TrainingError
from pocketgan_trainer.tensor_files import UnfitTensorError, read_header, read_tensors
from pocketgan_trainer.training.checkpoint_form import (
    AVERAGE,
    EARLIER_SUMS,
    RANDOM,
    RANDOM_OF_CUDA,
    SUMS,
    check_state,
    read_position,
    tensor_forms,
)
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.presets import PRESETS, build_generator
from pocketgan_trainer.training.progress import Progress
from pocketgan_trainer.training.shared_networks import own_network
from pocketgan_trainer.training.steps import Gan

_FORMAT = "pocketgan checkpoint 1"
_LONGEST_REMARK = 300


@dataclass(frozen=True)
class Checkpoint:
    """The contents of a checkpoint file, its tensors on the CPU."""

    path: Path
    sha256: str
    """Digest of the file."""
    config: TrainingConfig
    progress: Progress
    threads: int | None
    """The number of CPU threads, on which the last bits of the results depend; None if an earlier version saved the file."""
    tensors: Mapping[str, Tensor]


def save_checkpoint(
    path: Path, config: TrainingConfig, gan: Gan, progress: Progress, sums: Tensor, previous: Path | None = None
) -> None:
    """Write the whole state of a run to `path`; the old checkpoint stays there until the new one is complete.

    If `previous` is given, the old one is then renamed to it, in case the new one is damaged later. For `sums`, see
    `progress.zero_sums`. Raises OutputError if the file cannot be written.
    """
    tensors = {SUMS: sums, RANDOM: torch.get_rng_state()}
    if sums.is_cuda:
        tensors[RANDOM_OF_CUDA] = torch.cuda.get_rng_state(sums.device)
    for name, network in _networks(gan).items():
        tensors |= {f"{name}.{key}": value for key, value in network.state_dict().items()}
    for name, optimizer in _optimizers(gan).items():
        for index, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"{name}.{index}.{key}": value for key, value in moments.items()}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = {
        "format": _FORMAT,
        "config": config.to_json(),
        "progress": json.dumps(asdict(progress)),
        "threads": str(torch.get_num_threads()),
        "sha256": digest(tensors),
    }
    with whole_file(path, is_synced=False) as temporary, temporary.open("wb") as file:
        file.write(save(tensors, metadata=text))
        file.flush()
        os.fsync(file.fileno())
        # Not earlier: now the new one is complete and on the disk.
        if previous is not None and path.exists():
            path.replace(previous)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read and check a checkpoint. Everything in it is then valid, but parts of it may be missing.

    Raises CheckpointError if the file is missing, a pickle, damaged, of another program, of an unknown preset, or holds values
    that no run can have.
    """
    try:
        with open_regular_file(path) as file:
            return _read(path, file)
    except OSError as error:
        remedy = "train first, or name another one" if isinstance(error, FileNotFoundError) else "name another one"
        raise CheckpointError(f"cannot read checkpoint {path}: {error.strerror}; {remedy}") from error


def _read(path: Path, file: BinaryIO) -> Checkpoint:
    try:
        header = read_header(file)
    except ValueError as error:
        # Not earlier: a sound file may begin with the same bytes, as its header length.
        file.seek(0)
        if (head := file.read(2))[:1] == b"\x80" or head == b"PK":
            raise CheckpointError(
                f"{path} is a pickled file, which could run code when it is loaded: expected a .safetensors file of gan-train"
            ) from error
        raise _damaged(path, error) from error
    text = header.text
    if text.get("format") != _FORMAT:
        raise CheckpointError(
            f"{path} is not a checkpoint of gan-train: its format is {shortened(text.get('format'))}, expected {_FORMAT!r}"
        )
    try:
        config = TrainingConfig.from_json(text["config"])
        progress, threads = read_position(text, config)
    except (KeyError, TypeError, ValueError, TrainingError) as error:
        raise CheckpointError(f"{path} has a config or position that cannot be read: {_remark(error)}") from error
    if config.preset not in PRESETS:
        raise CheckpointError(
            f"{path} is of preset {shortened(config.preset)}, which is unknown here: expected one of {', '.join(PRESETS)}"
        )
    try:
        contents, tensors = read_tensors(file, header, tensor_forms(config))
        if text.get("sha256") != digest(tensors):
            raise CheckpointError(
                f"{path} is damaged: the SHA-256 of its tensors is not the one written in it; use another checkpoint"
            )
        check_state(tensors, progress)
    except UnfitTensorError as error:
        raise CheckpointError(
            f"{path} is not a sound checkpoint of preset {config.preset!r}: {error}; use another, or the version that wrote it"
        ) from error
    except ValueError as error:
        raise _damaged(path, error) from error
    return Checkpoint(path, hashlib.sha256(contents).hexdigest(), config, progress, threads, tensors)


def _damaged(path: Path, error: ValueError) -> CheckpointError:
    return CheckpointError(f"{path} is damaged or not a checkpoint ({_remark(error)}): expected a .safetensors file of gan-train")


def _remark(error: Exception) -> str:
    """Return an error's message in one line, shortened: a crafted file could make it very long."""
    return " ".join(str(error)[:_LONGEST_REMARK].split())


def restore_generator(checkpoint: Checkpoint) -> nn.Module:
    """Return the generator to draw from, the averaged one if the run has one: on the CPU, in evaluation mode.

    Raises CheckpointError if its weights do not fit.
    """
    generator = build_generator(checkpoint.config)
    _load_network(generator, AVERAGE if checkpoint.config.ema_halflife_images else "generator", checkpoint)
    return generator.eval()


def restore_run(checkpoint: Checkpoint, gan: Gan, sums: Tensor) -> None:
    """Set networks, optimizers, sums and the random state to those of the checkpoint.

    Raises CheckpointError if the weights do not fit the networks, or the state was saved on another kind of device.
    """
    for name, network in _networks(gan).items():
        _load_network(network, name, checkpoint)
    for name, optimizer in _optimizers(gan).items():
        _load_moments(optimizer, name, checkpoint)
    saved_sums = checkpoint.tensors.get(SUMS)
    if saved_sums is None or RANDOM not in checkpoint.tensors:
        raise CheckpointError(f"{checkpoint.path} lacks the sums or the random state of its run; use another checkpoint")
    if saved_sums.shape == (EARLIER_SUMS,):
        saved_sums = torch.cat([saved_sums, torch.tensor([float(checkpoint.progress.step)], dtype=saved_sums.dtype)])
    sums.copy_(saved_sums)
    if sums.is_cuda != (RANDOM_OF_CUDA in checkpoint.tensors):
        there, here = ("cpu", "cuda") if sums.is_cuda else ("cuda", "cpu")
        raise CheckpointError(f"{checkpoint.path} was saved on {there} and cannot be resumed on {here}: use --device {there}")
    torch.set_rng_state(checkpoint.tensors[RANDOM])
    if sums.is_cuda:
        _set_random_state_of_cuda(sums.device, checkpoint)


def _set_random_state_of_cuda(device: torch.device, checkpoint: Checkpoint) -> None:
    try:
        torch.cuda.set_rng_state(checkpoint.tensors[RANDOM_OF_CUDA], device)
    except RuntimeError as error:  # only CUDA can check it
        raise CheckpointError(f"{checkpoint.path} has a random state that is not CUDA's; use another checkpoint") from error


def _networks(gan: Gan) -> dict[str, nn.Module]:
    networks = {"generator": own_network(gan.generator), "discriminator": own_network(gan.discriminator)}
    return networks if gan.ema_generator is None else {**networks, AVERAGE: gan.ema_generator}


def _optimizers(gan: Gan) -> dict[str, Optimizer]:
    return {
        "generator_optimizer": gan.generator_optimizer,
        "discriminator_optimizer": gan.discriminator_optimizer,
    }


def _below(prefix: str, checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Return the checkpoint's tensors whose names begin with `prefix.`, by the rest of their names."""
    return {name.removeprefix(f"{prefix}."): value for name, value in checkpoint.tensors.items() if name.startswith(f"{prefix}.")}


def _load_network(network: nn.Module, name: str, checkpoint: Checkpoint) -> None:
    try:
        network.load_state_dict(_below(name, checkpoint))
    except RuntimeError as error:
        message = f"{checkpoint.path}: its {name} does not fit preset {checkpoint.config.preset!r}; use the version that wrote it"
        raise CheckpointError(message) from error


def _load_moments(optimizer: Optimizer, name: str, checkpoint: Checkpoint) -> None:
    """Restore the moments of an Adam optimizer; before its first step it has none.

    Raises CheckpointError if some weights have moments and others have none.
    """
    if not _below(name, checkpoint):
        return
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for index, weight in enumerate(weights):
        for moment in ("step", "exp_avg", "exp_avg_sq"):
            tensor = checkpoint.tensors.get(f"{name}.{index}.{moment}")
            if tensor is None:
                raise CheckpointError(
                    f"{checkpoint.path}: its {name} does not fit preset {checkpoint.config.preset!r}; use another one"
                )
            # A copy, which the optimizer changes; a fused one expects the memory layout of the weight.
            own = torch.empty_like(weight) if tensor.dim() else torch.empty(())
            moments.setdefault(index, {})[moment] = own.copy_(tensor)
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 over names, types, shapes and bytes of contiguous CPU tensors, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
