"""The table of presets: the numbers of the two classics."""

import pytest
import torch

from pocketgan_trainer.networks.dcgan import DcganDiscriminator, DcganGenerator
from pocketgan_trainer.networks.mlp import MlpDiscriminator, MlpGenerator
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.presets import DEFAULT_PRESET, PRESETS
from pocketgan_trainer.training.steps import SMOOTHED_REAL, alternating_step, simultaneous_step


def test_dcgan_has_the_numbers_of_the_tutorials() -> None:
    preset = PRESETS["dcgan"]
    assert preset.config == TrainingConfig(preset="dcgan", epochs=50, batch_size=256, learning_rate=1e-4, bfloat16=True, seed=0)
    assert preset.step is simultaneous_step
    assert preset.latent_size == 100
    assert SMOOTHED_REAL == 0.9


def test_mlp_has_the_numbers_of_the_tutorials() -> None:
    preset = PRESETS["mlp"]
    assert preset.config == TrainingConfig(preset="mlp", epochs=50, batch_size=64, learning_rate=1e-3, bfloat16=False, seed=0)
    assert preset.step is alternating_step
    assert preset.latent_size == 100


def test_networks_are_those_of_the_name() -> None:
    assert isinstance(PRESETS["dcgan"].build_generator(), DcganGenerator)
    assert isinstance(PRESETS["dcgan"].build_discriminator(), DcganDiscriminator)
    assert isinstance(PRESETS["mlp"].build_generator(), MlpGenerator)
    assert isinstance(PRESETS["mlp"].build_discriminator(), MlpDiscriminator)


@pytest.mark.parametrize("name", list(PRESETS))
def test_the_networks_of_a_preset_fit_together(name: str) -> None:
    preset = PRESETS[name]
    assert preset.config.preset == name
    images = preset.build_generator()(torch.randn(2, preset.latent_size))
    assert images.shape == (2, 1, 28, 28)
    assert preset.build_discriminator()(images).shape == (2, 1)


def test_the_default_is_in_the_table_and_the_table_cannot_be_changed() -> None:
    assert DEFAULT_PRESET == "dcgan"
    assert DEFAULT_PRESET in PRESETS
    with pytest.raises(TypeError):
        PRESETS["mine"] = PRESETS["mlp"]  # type: ignore[index]
