"""The table of complete GAN systems that `gan-train --preset` chooses from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

from torch import nn

from pocketgan_trainer.networks import dcgan, mlp, pocket
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.steps import Step, alternating_step, paired_step, simultaneous_step


@dataclass(frozen=True)
class Preset:
    """One complete system: its two networks, its training step, and its own hyper-parameters."""

    build_generator: Callable[[], nn.Module]
    """Makes a generator with fresh weights: float [N, latent_size] to float [N, 1, 28, 28] in [-1, 1].

    If the preset has classes, it takes labels int64 [N] as well, and so does the discriminator.
    """
    build_discriminator: Callable[[], nn.Module]
    """Makes a discriminator with fresh weights: float [N, 1, 28, 28] to what `step` expects of one."""
    latent_size: int
    classes: tuple[str, ...]
    """Names of the classes that can be asked for, by label; empty if the generator takes latents alone, without labels."""
    step: Step
    least_psnr_db: float
    """What an int8 file's pixels must reach beside torch's. The smaller a network, the less do its errors level out."""
    config: TrainingConfig


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

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "pocket": Preset(
            build_generator=partial(pocket.PocketGenerator, latent_size=64, channels=(48, 24, 12), detail_channels=8),
            build_discriminator=partial(pocket.PocketDiscriminator, channels=(48, 96, 192), features=128),
            latent_size=64,
            classes=pocket.CLASSES,
            step=paired_step,
            least_psnr_db=40,
            config=_POCKET_CONFIG,
        ),
        "nano": Preset(
            build_generator=partial(pocket.PocketGenerator, latent_size=24, channels=(20, 12, 6), detail_channels=4),
            build_discriminator=partial(pocket.PocketDiscriminator, channels=(48, 96, 192), features=128),
            latent_size=24,
            classes=pocket.CLASSES,
            step=paired_step,
            least_psnr_db=38,
            config=replace(_POCKET_CONFIG, preset="nano"),
        ),
        "dcgan": Preset(
            build_generator=dcgan.DcganGenerator,
            build_discriminator=dcgan.DcganDiscriminator,
            latent_size=dcgan.LATENT_SIZE,
            classes=(),
            step=simultaneous_step,
            least_psnr_db=40,
            config=TrainingConfig(preset="dcgan", epochs=50, batch_size=256, learning_rate=1e-4, bfloat16=True),
        ),
        "mlp": Preset(
            build_generator=mlp.MlpGenerator,
            build_discriminator=mlp.MlpDiscriminator,
            latent_size=mlp.LATENT_SIZE,
            classes=(),
            step=alternating_step,
            least_psnr_db=36,
            config=TrainingConfig(preset="mlp", epochs=50, batch_size=64, learning_rate=1e-3, bfloat16=False),
        ),
    }
)

DEFAULT_PRESET = "pocket"
