"""What changes during a run: values as functions of the images seen, and their use in optimizers and networks."""

import math

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from pocketgan_trainer.training.config import TrainingConfig


def learning_rate(config: TrainingConfig, images_seen: int, images_total: int) -> float:
    """Return Adam's step size after `images_seen` of a run's `images_total`."""
    return config.learning_rate * math.pow(config.final_rate_share, images_seen / images_total)


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Set the learning rate of all parameters of `optimizer`."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def penalty_weight(config: TrainingConfig, images_seen: int, images_total: int) -> float:
    """Return gamma, the weight of the gradient penalty, after `images_seen` of a run's `images_total`."""
    progress = min(1.0, images_seen / images_total / config.penalty_fall_share)
    return config.gradient_penalty * math.pow(config.final_penalty_share, progress)


def is_refining(config: TrainingConfig, images_seen: int, images_total: int) -> bool:
    """Return whether the last part of the run has begun, with classification and shifted images, and without traits shown.

    By then the discriminator has memorized details of the training images, so shifting them helps. With classification from the
    start, the discriminator would become so strong that the generator falls behind. A discriminator that is shown the traits of
    an image learns faster at first; later it finds generated images by whether they are exactly as slanted, thick and wide as
    they should be, and sees little else.
    """
    return images_seen >= (1 - config.refinement_share) * images_total


GUIDED_SHARE = 0.08
"""Share of a run's images, at its end, for which `guidance_weight` applies: four of 50 epochs, see docs/canvas-experiments.md."""


def is_guided(images_seen: int, images_total: int) -> bool:
    """Return whether the part of the run has begun in which a classifier guides the generator."""
    return images_seen >= (1 - GUIDED_SHARE) * images_total


LEAST_IMAGES_OF_BATCH_STATISTICS = 400_000
"""Normalization uses the statistics of each batch for at least this number of images, even in a short run.

Statistics that are frozen while the weights still change fast soon no longer fit them: a run of 6 epochs of 10,000 digits that
froze them after 18,000 images got worse from then on, see docs/experiments.md.
"""


def uses_batch_statistics(config: TrainingConfig, images_seen: int, images_total: int) -> bool:
    """Return whether the generator's normalization still uses the statistics of each batch, not yet its running statistics."""
    return images_seen < max(config.batch_statistics_share * images_total, LEAST_IMAGES_OF_BATCH_STATISTICS)


def freeze_statistics(network: nn.Module) -> None:
    """Make batch normalization use its running statistics and leave them unchanged; the rest of `network` trains on."""
    for layer in network.modules():
        if isinstance(layer, _BatchNorm):
            layer.eval()


RAMP_SHARE = 0.5
"""The half-life is at most this share of the images seen so far, so that the first weights are soon forgotten.

After T. Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020. Their code uses a share of 0.05, which
averages too little in runs of a few million images.
"""


def ema_decay(halflife_images: int, images_seen: int, batch_size: int) -> float:
    """Return the weight of the old average in a step of `batch_size` images, after `images_seen` images."""
    halflife = min(float(halflife_images), images_seen * RAMP_SHARE)
    return 0.5 ** (batch_size / halflife) if halflife else 0.0


@torch.no_grad()
def update_ema(ema: nn.Module, network: nn.Module, decay: float) -> None:
    """Move every floating-point tensor of `ema` by 1 - decay towards that of `network`, running statistics included."""
    for mean, value in zip(ema.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)
