"""The training loop, from the first step to the last."""

import math
from collections.abc import Callable
from dataclasses import asdict, astuple
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Adam

from pocketgan_trainer.errors import TrainingError
from pocketgan_trainer.evaluate.pixel_frechet import fit_pixel_space, pixel_frechet
from pocketgan_trainer.training.checkpoint import Checkpoint, restore_run, save_checkpoint
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.presets import PRESETS
from pocketgan_trainer.training.progress import Lap, Means, Progress, add_statistics, means
from pocketgan_trainer.training.run_folder import RunFolder
from pocketgan_trainer.training.sampling import draw
from pocketgan_trainer.training.steps import Players, Step, StepStatistics

SHEET_IMAGES = 100
SCORED_IMAGES = 5_000
SCORED_SEED = 2**32
"""Scores use latents that no sample sheet and no user's small seed shows."""


class Report(Protocol):
    """Whoever is told how the run goes."""

    def step(self, progress: Progress, sums: Tensor) -> None:
        """Take note of a step. `sums` are those of the epoch so far, for `means`: reading them waits for the device."""

    def epoch(self, progress: Progress, measured: Means, score: float) -> None:
        """Take note of a finished epoch."""


def train(
    config: TrainingConfig,
    images: NDArray[np.uint8],
    run: RunFolder,
    device: torch.device,
    report: Report,
    stop_requested: Callable[[], bool],
    resume_from: Checkpoint | None = None,
) -> bool:
    """Train on images uint8 [N, 28, 28] and leave checkpoints, statistics and sample sheets in `run`.

    Every epoch shows the images in a new order; a last batch that would be smaller than the others is left out. The epoch with
    the lowest `pixel_frechet` of SCORED_IMAGES generated images against `images` becomes the best checkpoint. Return True when
    all epochs are done, False if `stop_requested` said so between two steps; the state is saved then too, and resuming from it
    equals never having stopped.

    Raises TrainingError if there are fewer images than a batch, a loss is not finite or memory runs out, OutputError if the run
    folder cannot be written, CheckpointError if `resume_from` does not fit.
    """
    preset = PRESETS[config.preset]
    steps_per_epoch = count_steps(config, len(images))

    torch.manual_seed(config.seed)
    players = build_players(config, device)
    progress, sums = Progress(), torch.zeros(4, dtype=torch.float64, device=device)
    if resume_from is not None:
        restore_run(resume_from, players, sums)
        progress = resume_from.progress
        run.drop_statistics_after(progress.epoch)
    run.write_config(config)
    run.write_sheet("reals.png", images[:SHEET_IMAGES])

    pixels = torch.from_numpy(images).to(device)
    pixel_space = fit_pixel_space(images)
    lap = Lap()
    while progress.epoch < config.epochs:
        order = torch.from_numpy(image_order(config.seed, progress.epoch, len(images))).to(device)
        while progress.step < steps_per_epoch:
            chosen = order[progress.step * config.batch_size :][: config.batch_size]
            real = pixels[chosen, None].float() / 127.5 - 1
            latent = torch.randn(config.batch_size, preset.latent_size, device=device)
            # Without its cache: a step may move a network's weights between two uses of them.
            with torch.autocast(device.type, torch.bfloat16, enabled=config.bfloat16, cache_enabled=False):
                statistics = _step_within_memory(preset.step, players, real, latent)
            add_statistics(sums, statistics)
            progress = progress.after_step(config.batch_size, lap.seconds())
            report.step(progress, sums)
            if stop_requested() and progress.step < steps_per_epoch:
                save_checkpoint(run.last, config, players, progress, sums)
                return False

        measured = means(sums, steps_per_epoch)
        if not all(math.isfinite(value) for value in astuple(measured)):
            raise TrainingError(f"diverged in epoch {progress.epoch + 1}: a loss is not finite; start again with a lower --lr")
        sums.zero_()
        score = pixel_frechet(pixel_space, draw(players.generator, preset.latent_size, SCORED_SEED, 0, SCORED_IMAGES))
        is_best = progress.best_score is None or score < progress.best_score
        progress = progress.after_epoch(score, lap.seconds())
        sheet = draw(players.generator, preset.latent_size, 0, 0, SHEET_IMAGES)
        run.write_sheet(f"fakes_epoch_{progress.epoch:04d}.png", sheet)
        run.append_statistics({**_position(progress), **asdict(measured), "pixel_frechet": score})
        if is_best:
            save_checkpoint(run.best, config, players, progress, sums)
        save_checkpoint(run.last, config, players, progress, sums)
        report.epoch(progress, measured, score)
        if stop_requested() and progress.epoch < config.epochs:
            return False
    return True


def _step_within_memory(step: Step, players: Players, real: Tensor, latent: Tensor) -> StepStatistics:
    """Take a step; raise TrainingError if the device's memory does not suffice, which torch tells in several ways."""
    try:
        return step(players, real, latent)
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        raise TrainingError(f"not enough memory for --batch-size {len(real)}: choose a smaller one") from error


def count_steps(config: TrainingConfig, images: int) -> int:
    """Return the steps in an epoch of `images` images. Raises TrainingError if they do not fill one batch."""
    if images < config.batch_size:
        raise TrainingError(f"batch size {config.batch_size} exceeds the {images} training images")
    return images // config.batch_size


def build_players(config: TrainingConfig, device: torch.device) -> Players:
    """Return fresh networks of the config's preset on `device`, and their optimizers, from torch's current random state."""
    preset = PRESETS[config.preset]
    generator, discriminator = preset.build_generator().to(device), preset.build_discriminator().to(device)
    return Players(generator, discriminator, _adam(generator, config), _adam(discriminator, config))


def image_order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """Return the order in which an epoch shows its images: a permutation of `count` that depends on the arguments only."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64))).permutation(count)


def _adam(network: nn.Module, config: TrainingConfig) -> Adam:
    return Adam(network.parameters(), lr=config.learning_rate)


def _position(progress: Progress) -> dict[str, float]:
    return {"epoch": progress.epoch, "images_seen": progress.images_seen, "seconds": round(progress.seconds, 2)}
