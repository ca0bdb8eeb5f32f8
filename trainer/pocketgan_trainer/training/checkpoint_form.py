"""What a checkpoint may hold: its tensors, which depend on its config, its position and its threads."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pocketgan.cpus import MOST_THREADS
from pocketgan_trainer.strict_json import read_json
from pocketgan_trainer.tensor_files import Form, UnfitTensorError, check_values, form_of
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.presets import build_discriminator, build_generator
from pocketgan_trainer.training.progress import Progress, zero_sums

AVERAGE = "average"
SUMS = "sums"
RANDOM, RANDOM_OF_CUDA = "random.cpu", "random.cuda"
EARLIER_SUMS = 4
"""The number of sums in earlier versions, which skipped no steps and so did not count them."""
_BYTES_OF_CUDA_STATE = 16
"""Eight bytes each for a seed and an offset."""


def tensor_forms(config: TrainingConfig) -> dict[str, frozenset[Form]]:
    """Return the names of all tensors that a checkpoint of this config may hold, and the forms that each may have."""
    with torch.random.fork_rng(devices=[]):
        generator, discriminator = build_generator(config), build_discriminator(config)
    networks = {"generator": generator, "discriminator": discriminator}
    if config.ema_halflife_images:
        networks[AVERAGE] = generator
    forms: dict[str, frozenset[Form]] = {
        RANDOM: frozenset({form_of(torch.get_rng_state())}),
        RANDOM_OF_CUDA: frozenset({(torch.uint8, (_BYTES_OF_CUDA_STATE,))}),
        SUMS: frozenset({form_of(zero_sums(torch.device("cpu"))), (torch.float64, (EARLIER_SUMS,))}),
    }
    for name, network in networks.items():
        forms |= {f"{name}.{key}": frozenset({form_of(value)}) for key, value in network.state_dict().items()}
    for name, network in (("generator_optimizer", generator), ("discriminator_optimizer", discriminator)):
        forms |= _forms_of_moments(name, network)
    return forms


def _forms_of_moments(name: str, network: nn.Module) -> dict[str, frozenset[Form]]:
    forms: dict[str, frozenset[Form]] = {}
    for index, weight in enumerate(network.parameters()):
        forms[f"{name}.{index}.step"] = frozenset({(torch.float32, ())})
        for moment in ("exp_avg", "exp_avg_sq"):
            forms[f"{name}.{index}.{moment}"] = frozenset({form_of(weight)})
    return forms


def read_position(text: Mapping[str, str], config: TrainingConfig) -> tuple[Progress, int | None]:
    """Return the position and the threads from a checkpoint's text; None for the threads if an earlier version wrote it.

    Raises ValueError, KeyError or TypeError if they are missing, or no run of this config can have them.
    """
    values = read_json(text["progress"])
    if not isinstance(values, dict):
        raise ValueError("its position is not a JSON object")
    progress = Progress(**values)
    if progress.epoch > config.epochs:
        raise ValueError(f"epoch {progress.epoch} is beyond the {config.epochs} of the run")
    threads = int(text["threads"]) if "threads" in text else None
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise ValueError(f"threads are {threads}, expected 1 to {MOST_THREADS}")
    return progress, threads


def check_state(tensors: Mapping[str, Tensor], progress: Progress) -> None:
    """Raise UnfitTensorError if no run can have these tensors at this position; their forms have been checked before."""
    check_values(tensors)
    sums, state = tensors.get(SUMS), tensors.get(RANDOM)
    if sums is not None and len(sums) > EARLIER_SUMS:
        counted = float(sums[-1])
        if not counted.is_integer() or not 0 <= counted <= progress.step:
            raise UnfitTensorError(f"its sums count {counted:g} steps, expected 0 to {progress.step}")
    if state is not None:
        try:
            torch.Generator().set_state(state)
        except RuntimeError as error:
            raise UnfitTensorError("its random state is not torch's") from error
