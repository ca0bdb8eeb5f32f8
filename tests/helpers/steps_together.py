"""A few training steps of every preset, for a test to start with torchrun, or to take by itself.

    torchrun --standalone --nproc-per-node 2 steps_together.py FOLDER

Each process leaves FOLDER/RANK.json: for each of CONFIGS the losses of its steps, and what is drawn after them.
"""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch.optim import SGD

from pocketgan_trainer.data.published import load_mnist
from pocketgan_trainer.processes import Processes, processes_of_environment
from pocketgan_trainer.training.drawing import random_latents
from pocketgan_trainer.training.presets import PRESETS, build_gan, latent_size
from pocketgan_trainer.training.shared_networks import own_network
from pocketgan_trainer.training.steps import Batch

STEPS = 5
"""Two of them with gradient penalties."""


CONFIGS = {
    **{name: preset.config for name, preset in PRESETS.items()},
    **{f"{name} with a canvas": preset.canvas.config for name, preset in PRESETS.items() if preset.canvas is not None},
}


def losses_of_steps(name: str, processes: Processes) -> dict[str, list[float]]:
    """Return the losses of each step with one of CONFIGS, and the generator's running variances after them.

    By plain gradient descent with short steps: Adam makes long steps of the tiniest differences.
    """
    torch.manual_seed(0)
    device = torch.device("cpu")
    config, digits = CONFIGS[name], load_mnist()
    preset = PRESETS[config.preset]
    gan = build_gan(replace(config, bfloat16=False), device, processes)
    gan = replace(
        gan,
        generator_optimizer=SGD(gan.generator.parameters(), lr=1e-3),
        discriminator_optimizer=SGD(gan.discriminator.parameters(), lr=1e-3),
    )
    batch_size = 64 if config.canvas else 8
    losses: dict[str, list[float]] = {"generator": [], "discriminator": [], "variance": []}
    for step in range(STEPS):
        rows = slice(step * batch_size, (step + 1) * batch_size)
        labels = processes.own(torch.from_numpy(digits.labels[rows]).long())
        batch = Batch(
            real=processes.own(torch.from_numpy(digits.images[rows, None]).float() / 127.5 - 1),
            latent=processes.own(random_latents(batch_size, latent_size(config), device)),
            condition=(labels,) if preset.is_conditional else (),
            step=step,
            penalty_weight=0.5,
            class_weight=0.3,
            guidance_weight=0.0,
            trait_weight=config.trait_weight,
            hidden_traits_share=0.0,
            shifted_share=0.5,
            processes=processes,
        )
        statistics = preset.step(gan, batch)
        assert statistics.is_sound
        losses["generator"].append(processes.mean(statistics.generator_loss).item())
        losses["discriminator"].append(processes.mean(statistics.discriminator_loss).item())
    buffers = own_network(gan.generator).named_buffers()
    losses["variance"] = [buffer.mean().item() for name, buffer in buffers if name.endswith("running_var")]
    return losses


def main() -> None:
    """Take the steps in this process of several."""
    torch.set_num_threads(1)
    processes = processes_of_environment()
    with processes.joined():
        found = {name: losses_of_steps(name, processes) for name in CONFIGS}
    (Path(sys.argv[1]) / f"{processes.rank}.json").write_text(json.dumps(found))
    # At once, as gan-train ends: a thread of gloo may still run, which the interpreter's own way out aborts.
    os._exit(0)


if __name__ == "__main__":
    main()
