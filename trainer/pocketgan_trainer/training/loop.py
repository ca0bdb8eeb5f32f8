"""The training loop, from the first step to the last."""

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, astuple, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Adam

from pocketgan_trainer.data.mnist import Digits
from pocketgan_trainer.errors import TrainingError
from pocketgan_trainer.training.average import decay_of, update_average
from pocketgan_trainer.training.checkpoint import Checkpoint, restore_run, save_checkpoint
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.presets import PRESETS, asked_classes, build_discriminator, build_generator
from pocketgan_trainer.training.progress import Lap, Means, Progress, add_statistics, means
from pocketgan_trainer.training.run_folder import RunFolder
from pocketgan_trainer.training.sampling import draw, random_latents
from pocketgan_trainer.training.schedule import (
    freeze_statistics,
    gradient_penalty,
    learning_rate,
    refines,
    set_learning_rate,
    uses_batch_statistics,
)
from pocketgan_trainer.training.steps import Batch, Players, Step, StepStatistics

SHEET_IMAGES = 100
SCORED_SEED = 2**32
"""Scores use latents that no sample sheet and no user's small seed shows."""


class Report(Protocol):
    """Whoever is told how the run goes."""

    def step(self, progress: Progress, sums: Tensor) -> None:
        """Take note of a step. `sums` are those of the epoch so far, for `means`: reading them waits for the device."""

    def epoch(self, progress: Progress, measured: Means, score: float) -> None:
        """Take note of a finished epoch."""


class Score(Protocol):
    """Whoever judges an epoch, by images of classes that it names."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """The classes to draw, one for each image, int64 [N]; a generator without classes draws N images."""

    def of(self, images: NDArray[np.uint8]) -> float:
        """Return the score of images uint8 [N, S, S], lower is better."""


def train(
    config: TrainingConfig,
    digits: Digits,
    score: Score,
    run: RunFolder,
    device: torch.device,
    report: Report,
    stop_requested: Callable[[], bool],
    resume_from: Checkpoint | None = None,
) -> bool:
    """Train on images uint8 [N, S, S] and their labels, and leave checkpoints, statistics and sample sheets in `run`.

    Every epoch shows the images in a new order; a last batch that would be smaller than the others is left out. The last epoch
    whose `score` is the lowest, but for its noise, becomes the best checkpoint. Return True when all epochs are done, False if
    `stop_requested` said so between two steps; the state is saved then too, and resuming from it equals never having stopped.

    Raises TrainingError if there are fewer images than a batch, a loss is not finite or memory runs out, OutputError if the run
    folder cannot be written, CheckpointError if `resume_from` does not fit.
    """
    preset = PRESETS[config.preset]
    steps_per_epoch = count_steps(config, len(digits))
    images_total = config.epochs * steps_per_epoch * config.batch_size

    torch.manual_seed(config.seed)
    players = build_players(config, device)
    progress, sums = Progress(), _no_sums(device)
    if resume_from is not None:
        restore_run(resume_from, players, sums)
        progress = resume_from.progress
        run.drop_statistics_after(progress.epoch)
    run.write_config(config)
    # From the whole set: files often come class by class.
    run.write_sheet("reals.png", digits.images[np.linspace(0, len(digits) - 1, SHEET_IMAGES).astype(int)])

    pixels = torch.from_numpy(digits.images).to(device)
    labels = torch.from_numpy(digits.labels.astype(np.int64)).to(device)
    lap = Lap()
    while progress.epoch < config.epochs:
        order = torch.from_numpy(image_order(config.seed, progress.epoch, len(digits))).to(device)
        while progress.step < steps_per_epoch:
            chosen = order[progress.step * config.batch_size :][: config.batch_size]
            refining = refines(config, progress.images_seen, images_total)
            batch = Batch(
                real=pixels[chosen, None].float() / 127.5 - 1,
                latent=random_latents(config.batch_size, preset.latent_size, device),
                condition=(labels[chosen],) if asked_classes(config) else (),
                step=progress.epoch * steps_per_epoch + progress.step,
                gradient_penalty=gradient_penalty(config, progress.images_seen, images_total),
                class_weight=config.class_weight if refining else 0.0,
                shifted_share=config.shifted_share if refining else 0.0,
            )
            for optimizer in (players.generator_optimizer, players.discriminator_optimizer):
                set_learning_rate(optimizer, learning_rate(config, progress.images_seen, images_total))
            if progress.statistics_frozen or not uses_batch_statistics(config, progress.images_seen, images_total):
                # At every step, because one that was restored is not frozen yet.
                freeze_statistics(players.generator)
                progress = replace(progress, statistics_frozen=True)
            # Without its cache: a step may move a network's weights between two uses of them.
            with torch.autocast(device.type, torch.bfloat16, enabled=config.bfloat16, cache_enabled=False):
                statistics = _step_within_memory(preset.step, players, batch)
            if players.average is not None:
                decay = decay_of(config.ema_halflife_images, progress.images_seen, config.batch_size)
                update_average(players.average, players.generator, decay)
            add_statistics(sums, statistics)
            progress = progress.after_step(config.batch_size, lap.seconds())
            report.step(progress, sums)
            if stop_requested() and progress.step < steps_per_epoch:
                save_checkpoint(run.last, config, players, progress, sums, run.previous)
                return False

        measured = means(sums, steps_per_epoch)
        if not all(math.isfinite(value) for value in astuple(measured)):
            raise TrainingError(f"diverged in epoch {progress.epoch + 1}: a loss is not finite; start again with a lower --lr")
        sums.zero_()
        scored = score.of(_draw(config, players, SCORED_SEED, score.labels))
        progress = progress.after_epoch(scored, lap.seconds())
        sheet = _draw(config, players, 0, np.arange(SHEET_IMAGES) % max(1, len(asked_classes(config))))
        run.write_sheet(f"fakes_epoch_{progress.epoch:04d}.png", sheet)
        planned = {"planned_epochs": config.epochs}
        run.append_statistics({**_position(progress), **planned, **asdict(measured), "frechet_ratio": scored})
        if progress.is_best(scored):
            save_checkpoint(run.best, config, players, progress, sums)
        save_checkpoint(run.last, config, players, progress, sums, run.previous)
        report.epoch(progress, measured, scored)
        if stop_requested() and progress.epoch < config.epochs:
            return False
    return True


def _draw(config: TrainingConfig, players: Players, seed: int, labels: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the first images of `seed`, uint8 [N, S, S], of these classes if the generator can be asked for classes."""
    latent_size = PRESETS[config.preset].latent_size
    return draw(players.drawn_from, latent_size, seed, 0, len(labels), labels if asked_classes(config) else None)


def _step_within_memory(step: Step, players: Players, batch: Batch) -> StepStatistics:
    """Take a step; raise TrainingError if the device's memory does not suffice, which torch tells in several ways."""
    try:
        return step(players, batch)
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        raise TrainingError(f"not enough memory for --batch-size {len(batch.real)}: choose a smaller one") from error


def check_resumable(checkpoint: Checkpoint, device: torch.device) -> None:
    """Raise CheckpointError if a run cannot go on from `checkpoint` on `device`; torch's random state is then another."""
    restore_run(checkpoint, build_players(checkpoint.config, device), _no_sums(device))


def count_steps(config: TrainingConfig, images: int) -> int:
    """Return the steps in an epoch of `images` images. Raises TrainingError if they do not fill one batch."""
    if images < config.batch_size:
        raise TrainingError(f"batch size {config.batch_size} exceeds the {images} training images")
    return images // config.batch_size


def build_players(config: TrainingConfig, device: torch.device) -> Players:
    """Return fresh networks of the config's preset on `device`, and their optimizers, from torch's current random state."""
    generator, discriminator = build_generator(config).to(device), build_discriminator(config).to(device)
    average = deepcopy(generator).requires_grad_(False) if config.ema_halflife_images else None
    return Players(generator, discriminator, _adam(generator, config), _adam(discriminator, config), average)


def image_order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """Return the order in which an epoch shows its images: a permutation of `count` that depends on the arguments only."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64))).permutation(count)


def _no_sums(device: torch.device) -> Tensor:
    return torch.zeros(4, dtype=torch.float64, device=device)


def _adam(network: nn.Module, config: TrainingConfig) -> Adam:
    return Adam(network.parameters(), lr=config.learning_rate, betas=(config.adam_beta1, config.adam_beta2))


def _position(progress: Progress) -> dict[str, float]:
    return {"epoch": progress.epoch, "images_seen": progress.images_seen, "seconds": round(progress.seconds, 2)}
