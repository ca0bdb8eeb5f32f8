"""A preset is a row of the table and its networks, and nothing else: one is added here, trained by gan-train and folded."""

import sys
from dataclasses import replace
from types import MappingProxyType

import pytest
import torch
from torch import nn
from train_command import Command, assert_fails

from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.layers import activations
from pocketgan_trainer.networks.conditional import ConditionalGenerator
from pocketgan_trainer.networks.pocket import strided_discriminator
from pocketgan_trainer.training.checkpoint import load_checkpoint, restore_generator
from pocketgan_trainer.training.presets import PRESETS, Preset
from pocketgan_trainer.training.run_folder import RUNS, RunFolder
from pocketgan_trainer.training.steps import paired_step


def build_generator(classes: int, image_size: int) -> nn.Module:
    """Return a conditional generator of one hidden layer."""
    pixels = image_size * image_size
    layers = (
        nn.Linear(8 + classes, 16),
        nn.ReLU(),
        nn.Linear(16, pixels),
        nn.Tanh(),
        nn.Unflatten(1, (1, image_size, image_size)),
    )
    return ConditionalGenerator(classes, nn.Sequential(*layers))


def build_discriminator(classes: int, image_size: int) -> nn.Module:
    """Return a small discriminator that also classifies."""
    return strided_discriminator(classes, image_size, channels=(4, 4, 4), features=8)


ROW = Preset(
    description="one hidden layer, with classes",
    build_generator=build_generator,
    build_discriminator=build_discriminator,
    latent_size=8,
    is_conditional=True,
    step=paired_step,
    ignores=frozenset({"batch_statistics_share"}),
    least_psnr_db=36,
    config=replace(PRESETS["nano"].config, preset="tiny", epochs=1, batch_size=64, batch_statistics_share=1.0),
)


@pytest.fixture
def _row(monkeypatch: pytest.MonkeyPatch) -> None:
    table = MappingProxyType({**PRESETS, "tiny": ROW})
    for module in [module for name, module in sys.modules.items() if name.startswith("pocketgan_trainer.")]:
        if vars(module).get("PRESETS") is PRESETS:
            monkeypatch.setattr(module, "PRESETS", table)


@pytest.mark.usefixtures("_row", "few_digits")
def test_a_preset_is_added_by_its_row_alone(gan_train: Command) -> None:
    assert "tiny    one hidden layer, with classes" in gan_train("--preset", "list").stdout.splitlines()
    result = gan_train("--preset", "tiny")
    assert result.exit_code == 0, result.output
    generator = restore_generator(load_checkpoint(RunFolder(RUNS / "0001-tiny-mnist").best))
    latent, label = torch.randn(5, 8), torch.arange(5)
    torch.testing.assert_close(
        activations(fold(generator), latent, label)[-1].float(), generator(latent, label), atol=1e-5, rtol=0
    )
    # It is advised where it helps, and only there.
    assert_fails(gan_train("--preset", "mlp", "--set", "class_weight=0.5"), 1, "or choose pocket or nano or tiny")
    assert_fails(gan_train("--preset", "tiny", "--set", "batch_statistics_share=0.5"), 1, "or choose pocket or nano or dcgan")
