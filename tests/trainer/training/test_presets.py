"""The table of presets: the numbers of the two classics, and the budgets of our own two."""

from dataclasses import fields, replace

import pytest
import torch

from pocketgan_trainer.data.images import MNIST_FACTS
from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.errors import TrainingError
from pocketgan_trainer.networks.canvas_networks import CanvasGenerator
from pocketgan_trainer.networks.conditional import ConditionalGenerator, StyleScale
from pocketgan_trainer.networks.dcgan import DcganDiscriminator, DcganGenerator
from pocketgan_trainer.networks.mlp import MlpDiscriminator, MlpGenerator
from pocketgan_trainer.networks.pocket import PocketDiscriminator, PocketGenerator
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.estimate import estimate
from pocketgan_trainer.training.presets import (
    DEFAULT_PRESET,
    PRESETS,
    build_gan,
    build_generator,
    generator_classes,
    latent_size,
    preset_config,
)
from pocketgan_trainer.training.steps import SMOOTHED_REAL, Step, alternating_step, paired_step, simultaneous_step


@pytest.mark.parametrize(
    ("config", "step"),
    [
        (TrainingConfig("dcgan", epochs=50, batch_size=256, learning_rate=1e-4, bfloat16=True, seed=0), simultaneous_step),
        (TrainingConfig("mlp", epochs=50, batch_size=64, learning_rate=1e-3, bfloat16=False, seed=0), alternating_step),
    ],
)
def test_the_classics_have_the_numbers_of_the_tutorials(config: TrainingConfig, step: Step) -> None:
    preset = PRESETS[config.preset]
    assert (preset.config, preset.step, preset.latent_size, preset.is_conditional) == (config, step, 100, False)
    assert SMOOTHED_REAL == 0.9


@pytest.mark.parametrize("canvas", [False, True])
@pytest.mark.parametrize("name", ["pocket", "nano"])
def test_our_own_are_conditional_and_averaged_and_train_by_pairs(name: str, canvas: bool) -> None:
    preset, config = PRESETS[name], preset_config(name, canvas)
    assert (preset.step, preset.is_conditional) == (paired_step, True)
    assert min(config.ema_halflife_images, config.gradient_penalty) > 0
    assert (config.trait_weight > 0) == canvas
    assert 0 < config.refinement_share < 1
    assert 0 < config.class_weight < 1
    # Shifted canvases make the Frechet ratio worse, see docs/canvas-experiments.md.
    assert (config.shifted_share == 0) == canvas


@pytest.mark.parametrize("name", ["dcgan", "mlp"])
def test_the_classics_ignore_what_only_pairs_use(name: str) -> None:
    used_by_pairs = ("penalty", "refinement", "class_weight", "shifted")
    fields_of_pairs = {field.name for field in fields(TrainingConfig) if any(word in field.name for word in used_by_pairs)}
    assert fields_of_pairs <= PRESETS[name].ignores


NETWORKS = {
    "pocket": (PocketGenerator, PocketDiscriminator),
    "nano": (PocketGenerator, PocketDiscriminator),
    "dcgan": (DcganGenerator, DcganDiscriminator),
    "mlp": (MlpGenerator, MlpDiscriminator),
}


@pytest.mark.parametrize(("image_size", "classes"), [(28, ()), (28, ("sneaker",)), (32, ("a", "b", "c"))])
@pytest.mark.parametrize(("name", "canvas"), [*((name, False) for name in PRESETS), ("pocket", True), ("nano", True)])
def test_the_networks_of_a_preset_fit_together(name: str, canvas: bool, image_size: int, classes: tuple[str, ...]) -> None:
    preset = PRESETS[name]
    assert preset.config.preset == name
    config = replace(preset_config(name, canvas), data=replace(MNIST_FACTS, image_size=image_size, classes=classes))
    labelled = generator_classes(config)
    assert labelled == (classes if name in ("pocket", "nano") else ())
    condition = (torch.tensor([0, len(labelled) - 1]),) if labelled else ()
    gan = build_gan(config, torch.device("cpu"))
    assert (type(gan.generator), type(gan.discriminator)) == (
        (CanvasGenerator, PocketDiscriminator) if canvas else NETWORKS[name]
    )
    if isinstance(gan.generator, ConditionalGenerator):
        assert gan.generator.scale == StyleScale(config.style_scale, traits=3 if canvas else 0)
    latent = torch.randn(2, latent_size(config))
    trained_on = gan.generator(latent, *condition)
    assert gan.generator.eval()(latent, *condition).shape == (2, 1, image_size, image_size)
    judged = gan.discriminator(gan.view(trained_on), *condition)
    if preset.step is paired_step:
        judged, class_logits, traits = judged
        assert class_logits is None if not classes else class_logits.shape == (2, len(classes))
        assert traits.shape == (2, 3) if canvas else traits is None
    assert judged.shape == (2, 1)


@pytest.mark.parametrize("name", ["dcgan", "mlp"])
def test_a_preset_without_a_canvas_is_refused_one(name: str) -> None:
    with pytest.raises(TrainingError, match=f"^preset {name} cannot draw on a canvas: expected canvas false$"):
        build_generator(replace(PRESETS[name].config, canvas=True))


@pytest.mark.parametrize("canvas", [False, True])
@pytest.mark.parametrize(
    ("name", "most_weights", "most_multiply_adds"), [("pocket", 240_000, 5_000_000), ("nano", 64 * 1024, 1_200_000)]
)
def test_our_own_generators_keep_within_their_budget(
    name: str, canvas: bool, most_weights: int, most_multiply_adds: int, digits: Digits
) -> None:
    size = estimate(replace(preset_config(name, canvas), batch_size=4, bfloat16=False), digits, torch.device("cpu")).generator
    assert size.weights <= most_weights
    assert size.multiply_adds <= most_multiply_adds


def test_pocket_is_the_default() -> None:
    assert DEFAULT_PRESET == "pocket"
