"""The table of presets: the numbers of the two classics, and what our own two may cost."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from pocketgan_trainer.data.images import MNIST_FACTS
from pocketgan_trainer.networks.dcgan import DcganDiscriminator, DcganGenerator
from pocketgan_trainer.networks.mlp import MlpDiscriminator, MlpGenerator
from pocketgan_trainer.networks.pocket import PocketDiscriminator, PocketGenerator
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.presets import DEFAULT_PRESET, PRESETS, build_discriminator, build_generator, generator_classes
from pocketgan_trainer.training.steps import SMOOTHED_REAL, alternating_step, paired_step, simultaneous_step


def test_dcgan_has_the_numbers_of_the_tutorials() -> None:
    preset = PRESETS["dcgan"]
    assert preset.config == TrainingConfig(preset="dcgan", epochs=50, batch_size=256, learning_rate=1e-4, bfloat16=True, seed=0)
    assert preset.step is simultaneous_step
    assert (preset.latent_size, preset.is_conditional) == (100, False)
    assert SMOOTHED_REAL == 0.9


def test_mlp_has_the_numbers_of_the_tutorials() -> None:
    preset = PRESETS["mlp"]
    assert preset.config == TrainingConfig(preset="mlp", epochs=50, batch_size=64, learning_rate=1e-3, bfloat16=False, seed=0)
    assert preset.step is alternating_step
    assert (preset.latent_size, preset.is_conditional) == (100, False)


def test_networks_are_those_of_the_name() -> None:
    assert isinstance(PRESETS["dcgan"].build_generator(10, 28), DcganGenerator)
    assert isinstance(PRESETS["dcgan"].build_discriminator(10, 28), DcganDiscriminator)
    assert isinstance(PRESETS["mlp"].build_generator(10, 28), MlpGenerator)
    assert isinstance(PRESETS["mlp"].build_discriminator(10, 28), MlpDiscriminator)


@pytest.mark.parametrize("name", ["pocket", "nano"])
def test_our_own_are_conditional_and_averaged_and_train_by_pairs(name: str) -> None:
    preset = PRESETS[name]
    assert isinstance(preset.build_generator(10, 28), PocketGenerator)
    assert isinstance(preset.build_discriminator(10, 28), PocketDiscriminator)
    assert preset.is_conditional
    assert preset.step is paired_step
    assert preset.config.ema_halflife_images > 0
    assert preset.config.gradient_penalty > 0
    assert preset.config.class_weight > 0
    assert preset.config.shifted_share > 0
    assert 0 < preset.config.refinement_share < 1


@pytest.mark.parametrize(("image_size", "classes"), [(28, ()), (28, ("sneaker",)), (32, ("a", "b", "c"))])
@pytest.mark.parametrize("name", list(PRESETS))
def test_the_networks_of_a_preset_fit_together(name: str, image_size: int, classes: tuple[str, ...]) -> None:
    preset = PRESETS[name]
    assert preset.config.preset == name
    config = replace(preset.config, data=replace(MNIST_FACTS, image_size=image_size, classes=classes))
    asked = generator_classes(config)
    assert asked == (classes if name in ("pocket", "nano") else ())
    condition = (torch.tensor([0, len(asked) - 1]),) if asked else ()
    images = build_generator(config)(torch.randn(2, preset.latent_size), *condition)
    assert images.shape == (2, 1, image_size, image_size)
    judged = build_discriminator(config)(images, *condition)
    if preset.step is paired_step:
        judged, class_logits = judged
        assert class_logits is None if not classes else class_logits.shape == (2, len(classes))
    assert judged.shape == (2, 1)


def multiply_adds(generator: nn.Module, *inputs: Tensor) -> int:
    """Return the products that dense layers and convolutions sum up for one image, as an observer of its layers counts them."""
    counted: list[int] = []

    def count(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        assert isinstance(layer, nn.Linear | nn.Conv2d)
        counted.append(output.numel() * layer.weight[0].numel())  # each output value is a sum over one row of weights

    for module in generator.modules():
        assert not isinstance(module, nn.ConvTranspose2d)
        if isinstance(module, nn.Linear | nn.Conv2d):
            module.register_forward_hook(count)
    generator.eval()(*inputs)
    return sum(counted)


@pytest.mark.parametrize(
    ("name", "most_weights", "most_multiply_adds"), [("pocket", 240_000, 5_000_000), ("nano", 64 * 1024, 1_200_000)]
)
def test_our_own_generators_keep_within_their_budget(name: str, most_weights: int, most_multiply_adds: int) -> None:
    preset = PRESETS[name]
    generator = preset.build_generator(10, 28)
    assert sum(weight.numel() for weight in generator.parameters()) <= most_weights
    assert multiply_adds(generator, torch.randn(1, preset.latent_size), torch.tensor([3])) <= most_multiply_adds


def test_the_default_is_in_the_table() -> None:
    assert DEFAULT_PRESET == "pocket"
    assert DEFAULT_PRESET in PRESETS
