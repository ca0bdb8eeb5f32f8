"""The table of complete GAN systems that `gan-train --preset` chooses from, and their networks and optimizers.

A new preset is a row of PRESETS, and a file in `networks/` if its networks are new. Its generator can be exported if it is a
chain of layers that `export.fold` knows, or a `ConditionalGenerator` with such a chain as its body.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.optim import Adam

from pocketgan.trait_table import TRAITS
from pocketgan_trainer.data.images import DataFacts
from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.errors import TrainingError
from pocketgan_trainer.evaluate.classifiers import TRAINED_WHITE
from pocketgan_trainer.evaluate.own_judge import OwnJudge, own_judge
from pocketgan_trainer.networks import dcgan, mlp, pocket
from pocketgan_trainer.networks.canvas import Cropping
from pocketgan_trainer.networks.canvas_networks import (
    CanvasGenerator,
    CanvasWidth,
    canvas_discriminator,
)
from pocketgan_trainer.networks.conditional import ConditionalGenerator, StyleScale
from pocketgan_trainer.processes import ALONE, Processes
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.shared_networks import shared
from pocketgan_trainer.training.steps import Gan, Step, alternating_step, paired_step, simultaneous_step


@dataclass(frozen=True)
class CanvasSystem:
    """What a preset is for images that are laid out like MNIST's: its generator ends in a scan of its canvas."""

    width: CanvasWidth
    """The sizes of its generator."""
    config: TrainingConfig
    """Its own hyper-parameters."""


@dataclass(frozen=True)
class Preset:
    """One complete system: its two networks, its training step, and its own hyper-parameters."""

    description: str
    """A few words, which `gan-train --preset list` prints."""
    build_generator: Callable[[int, int], nn.Module]
    """Makes a generator with initial weights for a number of classes and an image size S: float [N, latent_size] to float
    [N, 1, S, S] in [-1, 1].

    If there are classes and the preset is conditional, both networks also take labels int64 [N].
    """
    build_discriminator: Callable[[int, int], nn.Module]
    """Makes a discriminator in the same way: float [N, 1, S, S] to the output that `step` expects."""
    latent_size: int
    """Latents of an image, without those for noise."""
    is_conditional: bool
    """Whether the networks also take the classes of the images, if these have classes."""
    step: Step
    ignores: frozenset[str]
    """Fields of TrainingConfig that have no effect on its networks and its step."""
    least_psnr_db: float
    """The least PSNR of an int8 file's pixels against torch's. In a smaller network, rounding errors average out less."""
    config: TrainingConfig
    canvas: CanvasSystem | None = None
    """What it is for images that are laid out like MNIST's, None if it is the same for all images."""


_PAIRED_STEP_ONLY = frozenset(
    {
        "gradient_penalty",
        "final_penalty_share",
        "penalty_fall_share",
        "refinement_share",
        "class_weight",
        "guidance_weight",
        "shifted_share",
    }
)
_POCKET_NETWORKS_ONLY = frozenset({"canvas", "trait_weight", "hidden_traits_share", "style_scale"})
_NORMALIZATION_ONLY = frozenset({"batch_statistics_share"})

_POCKET_CONFIG = TrainingConfig(
    preset="pocket",
    epochs=50,
    batch_size=128,
    learning_rate=1e-3,
    bfloat16=True,
    adam_beta1=0.0,
    adam_beta2=0.99,
    final_rate_share=0.1,
    gradient_penalty=0.5,
    final_penalty_share=0.2,
    refinement_share=0.4,
    class_weight=0.2,
    shifted_share=0.7,
    batch_statistics_share=0.3,
    ema_halflife_images=180_000,
)

_CANVAS_CONFIG = replace(
    _POCKET_CONFIG,
    canvas=True,
    trait_weight=0.02,
    gradient_penalty=0.1,
    shifted_share=0.0,
    hidden_traits_share=0.5,
)

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "pocket": Preset(
            description="the project's own: draws any class on request",
            build_generator=partial(pocket.PocketGenerator, latent_size=64, channels=(48, 24, 12), detail_channels=8),
            build_discriminator=partial(pocket.strided_discriminator, channels=(48, 96, 192), features=128),
            latent_size=64,
            is_conditional=True,
            step=paired_step,
            ignores=frozenset(),
            least_psnr_db=40,
            config=_POCKET_CONFIG,
            canvas=CanvasSystem(
                width=CanvasWidth(coarse=56, middle=28, fine=64, noise=4),
                config=_CANVAS_CONFIG,
            ),
        ),
        "nano": Preset(
            description="the same with a generator a fraction of its size",
            build_generator=partial(pocket.PocketGenerator, latent_size=24, channels=(20, 12, 6), detail_channels=4),
            build_discriminator=partial(pocket.strided_discriminator, channels=(48, 96, 192), features=128),
            latent_size=24,
            is_conditional=True,
            step=paired_step,
            ignores=frozenset(),
            least_psnr_db=38,
            config=replace(_POCKET_CONFIG, preset="nano"),
            canvas=CanvasSystem(
                width=CanvasWidth(coarse=20, middle=12, fine=16, noise=4),
                config=replace(
                    _CANVAS_CONFIG,
                    preset="nano",
                    gradient_penalty=0.3,
                    final_penalty_share=0.5,
                    penalty_fall_share=0.5,
                    refinement_share=0.5,
                    class_weight=0.4,
                    hidden_traits_share=1.0,
                ),
            ),
        ),
        "dcgan": Preset(
            description="the classic convolutional GAN of the tutorials, without classes",
            build_generator=lambda classes, image_size: dcgan.DcganGenerator(image_size),
            build_discriminator=lambda classes, image_size: dcgan.DcganDiscriminator(image_size),
            latent_size=dcgan.LATENT_SIZE,
            is_conditional=False,
            step=simultaneous_step,
            ignores=_PAIRED_STEP_ONLY | _POCKET_NETWORKS_ONLY,
            least_psnr_db=40,
            config=TrainingConfig(preset="dcgan", epochs=50, batch_size=256, learning_rate=1e-4, bfloat16=True),
        ),
        "mlp": Preset(
            description="the plain GAN of fully connected layers, without classes",
            build_generator=lambda classes, image_size: mlp.MlpGenerator(image_size),
            build_discriminator=lambda classes, image_size: mlp.MlpDiscriminator(image_size),
            latent_size=mlp.LATENT_SIZE,
            is_conditional=False,
            step=alternating_step,
            ignores=_PAIRED_STEP_ONLY | _POCKET_NETWORKS_ONLY | _NORMALIZATION_ONLY,
            least_psnr_db=36,
            config=TrainingConfig(preset="mlp", epochs=50, batch_size=64, learning_rate=1e-3, bfloat16=False),
        ),
    }
)

DEFAULT_PRESET = "pocket"


def preset_config(preset: str, canvas: bool) -> TrainingConfig:
    """Return the config of a preset, with or without a canvas. Raises TrainingError if it has none."""
    return _canvas_of(preset).config if canvas else PRESETS[preset].config


def _canvas_of(preset: str) -> CanvasSystem:
    system = PRESETS[preset].canvas
    if system is None:
        raise TrainingError(f"preset {preset} cannot draw on a canvas: expected canvas false")
    return system


def has_canvas(preset: str, data: DataFacts) -> bool:
    """Return whether a run of a preset on this data has a canvas, unless its user decides otherwise."""
    return data.is_laid_out and PRESETS[preset].canvas is not None


def presets_that_use(*fields: str) -> tuple[str, ...]:
    """Return the names of the presets on which all these fields of TrainingConfig have an effect."""
    return tuple(name for name, preset in PRESETS.items() if not preset.ignores.intersection(fields))


def latent_size(config: TrainingConfig) -> int:
    """Return how many latents a generator of this config takes for an image. Raises TrainingError if it lacks a canvas."""
    size = PRESETS[config.preset].latent_size
    return size + _canvas_of(config.preset).width.noise_size(config.data.image_size) if config.canvas else size


def build_generator(config: TrainingConfig) -> nn.Module:
    """Return a generator of the config's preset for its images, untrained. Raises TrainingError if it lacks a canvas."""
    preset = PRESETS[config.preset]
    classes, image_size = len(config.data.classes), config.data.image_size
    if config.canvas:
        generator: nn.Module = CanvasGenerator(classes, image_size, preset.latent_size, _canvas_of(config.preset).width)
    else:
        generator = preset.build_generator(classes, image_size)
    if isinstance(generator, ConditionalGenerator):
        generator.scale = StyleScale(config.style_scale, len(TRAITS) if config.trait_weight else 0)
    return generator


def build_discriminator(config: TrainingConfig) -> nn.Module:
    """Return a discriminator of the config's preset for its images, untrained. Raises TrainingError if it lacks a canvas."""
    classes, image_size = len(config.data.classes), config.data.image_size
    if config.canvas:
        _canvas_of(config.preset)  # raises if there is none
        return canvas_discriminator(classes, image_size, traits=len(TRAITS) if config.trait_weight else 0)
    return PRESETS[config.preset].build_discriminator(classes, image_size)


def build_view(config: TrainingConfig) -> nn.Module:
    """Return what turns images float [N, 1, S, S] into what the discriminator is shown of them: canvases, or all of them."""
    return Cropping(config.data.image_size) if config.canvas else nn.Identity()


def generator_classes(config: TrainingConfig) -> tuple[str, ...]:
    """Return the names of the classes that a generator of this config can draw on request, by label; none without labels."""
    return config.data.classes if PRESETS[config.preset].is_conditional else ()


def has_guide(config: TrainingConfig) -> bool:
    """Return whether a run has a guide: with guidance, and at least two classes to ask for."""
    return config.guidance_weight > 0 and len(generator_classes(config)) > 1


def train_guide(
    config: TrainingConfig, training: Digits, device: torch.device, path: Path | None
) -> Callable[[Tensor], Tensor] | None:
    """Return the guide of a run, see Gan: read from `path` if it exists; otherwise trained and, with a `path`, saved there.

    It is another network than the one that judges the epochs, and learns from what the discriminator is shown of the training
    images uint8 [N, S, S]. None if the run has none. Training takes up to a minute.
    Raises JudgeError if the file cannot be read, OutputError if it cannot be written.
    """
    if not has_guide(config):
        return None
    view, images = build_view(config), torch.from_numpy(training.images)
    with torch.inference_mode():
        shown = [
            ((view(images[first:, None][:_SHOWN_AT_ONCE].float() / 127.5 - 1) + 1) * 127.5).round().to(torch.uint8)[:, 0]
            for first in range(0, len(images), _SHOWN_AT_ONCE)
        ]
    judge = own_judge(Digits(torch.cat(shown).numpy(), training.labels), len(config.data.classes), path, _GUIDE_SEED)
    assert isinstance(judge, OwnJudge)
    network = judge.network.to(device).requires_grad_(False)
    return lambda images: network((images + 1) * (127.5 / TRAINED_WHITE))


_SHOWN_AT_ONCE = 4_000
_GUIDE_SEED = 4


def build_gan(config: TrainingConfig, device: torch.device, processes: Processes = ALONE) -> Gan:
    """Return new networks of the config's preset on `device`, and their optimizers, from torch's current random state."""
    generator, discriminator = build_generator(config).to(device), build_discriminator(config).to(device)
    ema_generator = deepcopy(generator).requires_grad_(False) if config.ema_halflife_images else None
    generator, discriminator = shared(generator, processes), shared(discriminator, processes)
    optimizers = _adam(generator, config), _adam(discriminator, config)
    return Gan(generator, discriminator, *optimizers, ema_generator, build_view(config))


def _adam(network: nn.Module, config: TrainingConfig) -> Adam:
    # Fused: one pass over all weights. In networks this small, several passes would take longer than the arithmetic.
    return Adam(network.parameters(), lr=config.learning_rate, betas=(config.adam_beta1, config.adam_beta2), fused=True)
