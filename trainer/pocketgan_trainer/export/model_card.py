"""What an exported file will say of itself."""

from collections.abc import Mapping

from pocketgan.card import KernelFacts, ModelCard, ParityFacts, TrainingFacts
from pocketgan.latents import LATENT_STEP
from pocketgan.version import VERSION
from pocketgan_trainer.training.checkpoint import Checkpoint
from pocketgan_trainer.training.presets import PRESETS, asked_classes


def model_card(
    checkpoint: Checkpoint,
    image_shape: tuple[int, int],
    precision: str,
    parity: ParityFacts,
    kernels: KernelFacts | None,
    licence: str,
    quality: Mapping[str, float],
) -> ModelCard:
    """Return the card of a checkpoint's generator, exported in a precision, with what was measured of the file.

    `image_shape` is height and width; `kernels` are None where they differ from processor to processor. `licence`, an SPDX word,
    and `quality`, figures by their names, come from whoever exports.
    """
    config, progress = checkpoint.config, checkpoint.progress
    classes = asked_classes(config)
    return ModelCard(
        name=f"{config.preset}-{config.data.name}",
        architecture=config.preset,
        latent_size=PRESETS[config.preset].latent_size,
        latent_step=LATENT_STEP,
        classes=classes,
        image_height=image_shape[0],
        image_width=image_shape[1],
        precision=precision,
        training=TrainingFacts(
            data_set=config.data.name,
            images_seen=progress.images_seen,
            epochs=progress.epoch,
            seed=config.seed,
            checkpoint_sha256=checkpoint.sha256,
        ),
        parity=parity,
        kernels=kernels,
        quality=dict(quality),
        package_version=VERSION,
        licence=licence,
        class_labels=config.data.class_labels if classes else None,
    )
