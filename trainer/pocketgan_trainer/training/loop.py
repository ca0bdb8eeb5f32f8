"""The training loop, from the first step to the last."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.errors import TrainingError
from pocketgan_trainer.processes import ALONE, Processes
from pocketgan_trainer.training.checkpoint import Checkpoint, restore_run
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.drawing import random_latents
from pocketgan_trainer.training.presets import PRESETS, build_gan, generator_classes, latent_size
from pocketgan_trainer.training.progress import Progress, Stopwatch, add_statistics, zero_sums
from pocketgan_trainer.training.recorder import Recorder
from pocketgan_trainer.training.schedule import (
    ema_decay,
    freeze_statistics,
    is_guided,
    is_refining,
    learning_rate,
    penalty_weight,
    set_learning_rate,
    update_ema,
    uses_batch_statistics,
)
from pocketgan_trainer.training.shared_networks import own_network
from pocketgan_trainer.training.steps import Batch, Gan, Step, StepStatistics
from pocketgan_trainer.training.trait_latents import trait_latents

MOST_SKIPPED_STEPS = 20
"""After this number of steps in a row without finite gradients, the run ends: the networks will not recover."""


def train(
    config: TrainingConfig,
    digits: Digits,
    device: torch.device,
    recorder: Recorder | None,
    stop_requested: Callable[[], bool],
    resume_from: Checkpoint | None = None,
    processes: Processes = ALONE,
    traits: Tensor | None = None,
    guide: Callable[[Tensor], Tensor] | None = None,
) -> bool:
    """Train on images uint8 [N, S, S] and their labels; `recorder` writes checkpoints, statistics and pictures.

    With a `trait_weight` in the config, `traits` are the `trait_latents` of these images, float32 [N, 3]; None if these are not
    measured yet. With a `guidance_weight` and classes, `guide` is what `train_guide` returned.

    Every epoch shows the images in a new order; a last, smaller batch is left out. The last epoch whose Frechet ratio is the
    lowest, within its noise, becomes the best checkpoint. A network whose gradients are not finite is not updated in that step.

    Returns True when all epochs are done, False if `stop_requested` returned True between two steps; the state is then
    saved, and a run that is resumed from it ends as if it had never stopped. Several `processes` must all call this with the same
    arguments; only the first has a recorder.

    Raises TrainingError if there are fewer images than a batch, the processes cannot divide it, gradients are not finite for
    too long or memory runs out; OutputError if the run folder cannot be written; CheckpointError if `resume_from` does not fit.
    """
    preset = PRESETS[config.preset]
    steps_per_epoch = count_steps(config, len(digits), processes)
    images_total = config.epochs * steps_per_epoch * config.batch_size

    torch.manual_seed(config.seed)
    gan = replace(build_gan(config, device, processes), guide=guide)
    progress, sums = Progress(), zero_sums(device)
    if resume_from is not None:
        restore_run(resume_from, gan, sums)
        progress = resume_from.progress
    if recorder:
        recorder.begin(digits, gan, progress, sums)

    pixels = torch.from_numpy(digits.images).to(device)
    labels = torch.from_numpy(digits.labels.astype(np.int64)).to(device)
    if config.trait_weight:
        traits = (trait_latents(digits) if traits is None else traits).to(device)
    stopwatch, skipped = Stopwatch(), 0
    while progress.epoch < config.epochs:
        order = torch.from_numpy(image_order(config.seed, progress.epoch, len(digits))).to(device)
        while progress.step < steps_per_epoch:
            chosen = processes.own(order[progress.step * config.batch_size :][: config.batch_size])
            refining = is_refining(config, progress.images_seen, images_total)
            latent = processes.own(random_latents(config.batch_size, latent_size(config), device))
            if traits is not None:
                latent[:, : traits.shape[1]] = traits[chosen]
            batch = Batch(
                real=pixels[chosen, None].float() / 127.5 - 1,
                latent=latent,
                condition=(labels[chosen],) if generator_classes(config) else (),
                step=progress.epoch * steps_per_epoch + progress.step,
                penalty_weight=penalty_weight(config, progress.images_seen, images_total),
                class_weight=config.class_weight if refining else 0.0,
                guidance_weight=config.guidance_weight if guide and is_guided(progress.images_seen, images_total) else 0.0,
                trait_weight=config.trait_weight,
                hidden_traits_share=config.hidden_traits_share if refining else 0.0,
                shifted_share=config.shifted_share if refining else 0.0,
                processes=processes,
            )
            for optimizer in (gan.generator_optimizer, gan.discriminator_optimizer):
                set_learning_rate(optimizer, learning_rate(config, progress.images_seen, images_total))
            if progress.statistics_frozen or not uses_batch_statistics(config, progress.images_seen, images_total):
                # At every step, because restored networks are not frozen yet.
                freeze_statistics(gan.generator)
                progress = replace(progress, statistics_frozen=True)
            # Without autocast's cache, because a step may change weights between two uses of them.
            with torch.autocast(device.type, torch.bfloat16, enabled=config.bfloat16, cache_enabled=False):
                statistics = _step_within_memory(preset.step, gan, batch)
            if statistics.is_sound:
                skipped = 0
                if gan.ema_generator is not None:
                    decay = ema_decay(config.ema_halflife_images, progress.images_seen, config.batch_size)
                    update_ema(gan.ema_generator, own_network(gan.generator), decay)
                add_statistics(sums, statistics, processes)
            else:
                skipped += 1
                _note_skipped(batch.step + 1, skipped, config, recorder)
            progress = progress.after_step(config.batch_size, stopwatch.seconds())
            if recorder:
                recorder.step(progress, sums)
            if processes.agree(stop_requested()) and progress.step < steps_per_epoch:
                if recorder:
                    recorder.stop(gan, progress, sums)
                return False

        progress = (
            recorder.end_epoch(gan, progress, sums, stopwatch) if recorder else progress.after_epoch(None, stopwatch.seconds())
        )
        sums.zero_()
        if processes.agree(stop_requested()) and progress.epoch < config.epochs:
            return False
    return True


def _step_within_memory(step: Step, gan: Gan, batch: Batch) -> StepStatistics:
    """Take a step; raise TrainingError if memory runs out, which torch reports in several ways.

    If the step is not sound, the generator's running statistics are restored.
    """
    running = [(buffer, buffer.clone()) for buffer in gan.generator.buffers()]
    try:
        statistics = step(gan, batch)
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        batch_size = len(batch.real) * batch.processes.count
        raise TrainingError(f"not enough memory for --batch-size {batch_size}: choose a smaller one") from error
    if not statistics.is_sound:
        for buffer, before in running:
            buffer.copy_(before)
    return statistics


def _note_skipped(step: int, in_a_row: int, config: TrainingConfig, recorder: Recorder | None) -> None:
    """Report a step that was skipped; raise TrainingError after MOST_SKIPPED_STEPS of them in a row."""
    if recorder:
        recorder.skipped(step)
    if in_a_row == MOST_SKIPPED_STEPS:
        narrow = " or with --set bfloat16=false" if config.bfloat16 else ""
        raise TrainingError(
            f"diverged: {in_a_row} steps in a row, up to step {step:,}, had gradients that are not finite; earlier checkpoints "
            f"are kept; start again with a lower --lr{narrow}"
        )


def count_steps(config: TrainingConfig, images: int, processes: Processes = ALONE) -> int:
    """Return the number of steps in an epoch of `images` images.

    Raises TrainingError if they do not fill one batch, or the processes cannot divide one into equal parts.
    """
    if images < config.batch_size:
        raise TrainingError(f"batch size {config.batch_size} exceeds the {images} training images: choose a smaller --batch-size")
    if config.batch_size % processes.count:
        raise TrainingError(
            f"batch size {config.batch_size} cannot be divided among {processes.count} processes: expected a multiple of that"
        )
    return images // config.batch_size


def image_order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """Return the order in which an epoch shows its images: a permutation of 0 to count - 1 that depends only on the arguments."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64))).permutation(count)


def check_resumable(checkpoint: Checkpoint, device: torch.device) -> None:
    """Raise CheckpointError if a run cannot be resumed from `checkpoint` on `device`. Changes torch's random state."""
    restore_run(checkpoint, build_gan(checkpoint.config, device), zero_sums(device))
