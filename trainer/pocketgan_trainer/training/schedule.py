"""What changes while a run goes on, as functions of the images seen."""

from torch.optim import Optimizer

from pocketgan_trainer.training.config import TrainingConfig


def learning_rate(config: TrainingConfig, images_seen: int, images_total: int) -> float:
    """Return Adam's step size after `images_seen` of a run's `images_total`: constant, then falling linearly to zero."""
    return config.learning_rate * _left(config, images_seen, images_total)


def gradient_penalty(config: TrainingConfig, images_seen: int, images_total: int) -> float:
    """Return the weight of the gradient penalty: constant, then falling with the learning rate to the share that is left."""
    left = _left(config, images_seen, images_total)
    return config.gradient_penalty * (left + (1 - left) * config.final_penalty_share)


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Let all following steps of `optimizer` be of this size."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def _left(config: TrainingConfig, images_seen: int, images_total: int) -> float:
    """Return the share of the full learning rate, 1 to 0."""
    left, falling_share = 1 - images_seen / images_total, 1 - config.constant_rate_share
    return left / falling_share if left < falling_share else 1.0
