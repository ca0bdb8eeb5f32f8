"""The table of complete GAN systems that `gan-train --preset` chooses from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import nn

from pocketgan_trainer.networks import dcgan, mlp
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.steps import Step, alternating_step, simultaneous_step


@dataclass(frozen=True)
class Preset:
    """One complete system: its two networks, its training step, and its own hyper-parameters."""

    build_generator: Callable[[], nn.Module]
    """Makes a generator with fresh weights: float [N, latent_size] to float [N, 1, 28, 28] in [-1, 1]."""
    build_discriminator: Callable[[], nn.Module]
    """Makes a discriminator with fresh weights: float [N, 1, 28, 28] to logits float [N, 1]."""
    latent_size: int
    step: Step
    config: TrainingConfig


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "dcgan": Preset(
            build_generator=dcgan.DcganGenerator,
            build_discriminator=dcgan.DcganDiscriminator,
            latent_size=dcgan.LATENT_SIZE,
            step=simultaneous_step,
            config=TrainingConfig(preset="dcgan", epochs=50, batch_size=256, learning_rate=1e-4, bfloat16=True),
        ),
        "mlp": Preset(
            build_generator=mlp.MlpGenerator,
            build_discriminator=mlp.MlpDiscriminator,
            latent_size=mlp.LATENT_SIZE,
            step=alternating_step,
            config=TrainingConfig(preset="mlp", epochs=50, batch_size=64, learning_rate=1e-3, bfloat16=False),
        ),
    }
)

DEFAULT_PRESET = "dcgan"
