"""Records one run: writes checkpoints, statistics, sheets and curves into its folder, and passes warnings and more to reports."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, astuple, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pocketgan.errors import PocketganError, first_line
from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.errors import TrainingError
from pocketgan_trainer.training.checkpoint import save_checkpoint
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.drawing import discriminator_logits, draw
from pocketgan_trainer.training.presets import PRESETS, generator_classes, latent_size, presets_that_use
from pocketgan_trainer.training.progress import Means, Progress, Stopwatch, means
from pocketgan_trainer.training.run_folder import RunFolder
from pocketgan_trainer.training.shared_networks import own_network
from pocketgan_trainer.training.steps import Gan
from pocketgan_trainer.watch.curves import write_curves
from pocketgan_trainer.watch.observation import Observation
from pocketgan_trainer.watch.signs import FEW_STEPS, Remedies, Sign, signs_of, standing_signs
from pocketgan_trainer.watch.validation_watch import DiscriminatorLogits

SHEET_IMAGES = 100
WATCHED_SEED = 2**32
"""The seed of the images that are evaluated. They are not on the sample sheets, and small seeds of users do not draw them."""
_CURVES_SECONDS = 30
"""The shortest time between two drawings of the curves: each takes about as long as a short epoch."""


class Watch(Protocol):
    """Evaluates the images of an epoch, of classes that it chooses."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """The class of each image to draw, int64 [N]; a generator without classes draws N images."""

    def observe(self, images: NDArray[np.uint8], discriminator_logits: DiscriminatorLogits) -> Observation:
        """Evaluate images uint8 [N, S, S], and the discriminator's logits of pairs."""


class Report(Protocol):
    """Shows the progress of a run, on the console or elsewhere."""

    def step(self, progress: Progress, sums: Tensor) -> None:
        """Show a step. `sums` are those of the epoch so far, for `means`: reading them waits for the device."""

    def skipped(self, step: int) -> None:
        """Show that a step, counted from 1 over the whole run, was skipped because a gradient was not finite."""

    def trouble(self, message: str) -> None:
        """Show one line about a failure that does not end the run."""

    def epoch(
        self, progress: Progress, measured: Means, seen: Observation, warnings: list[Sign], images: NDArray[np.uint8]
    ) -> None:
        """Show a finished epoch, new warnings, and the images of its sheet, uint8 [N, S, S]."""


class Recorder:
    """Writes the records of one run into its folder, and passes everything on to `reports`."""

    def __init__(self, config: TrainingConfig, watch: Watch, run: RunFolder, *reports: Report) -> None:
        self._config = config
        self._watch = watch
        self._run = run
        self._reports = reports
        self._lines: list[dict[str, object]] = []
        """The lines of `stats.jsonl`."""
        self._remedies = Remedies(
            is_conditional=bool(generator_classes(config)),
            has_penalty=config.gradient_penalty > 0,
            conditional_presets=tuple(name for name, preset in PRESETS.items() if preset.is_conditional),
            penalized_presets=tuple(name for name, preset in PRESETS.items() if preset.config.gradient_penalty > 0),
            shifting_presets=() if config.canvas else presets_that_use("shifted_share"),
        )
        self._curves_drawn_at = -math.inf

    def begin(self, digits: Digits, gan: Gan, progress: Progress, sums: Tensor) -> None:
        """Write the config and some real images, and drop the statistics of epochs after `progress`.

        A new run also gets its first checkpoint, so that it can always be resumed after a kill.
        """
        self._lines = self._run.drop_statistics_after(progress.epoch)
        self._run.write_config(self._config)
        has_few_steps = self._config.epochs * len(digits) // self._config.batch_size < FEW_STEPS
        self._remedies = replace(self._remedies, has_few_steps=has_few_steps)
        # From the whole set: files often come class by class.
        reals = digits.images[np.linspace(0, len(digits) - 1, SHEET_IMAGES).astype(int)]
        self._write_picture(self._run.reals, lambda path: self._run.write_sheet(path, reals))
        if progress == Progress():
            self._save(gan, progress, sums)

    def step(self, progress: Progress, sums: Tensor) -> None:
        """Report a step."""
        for report in self._reports:
            report.step(progress, sums)

    def skipped(self, step: int) -> None:
        """Report that a step, counted from 1 over the whole run, was skipped because a gradient was not finite."""
        for report in self._reports:
            report.skipped(step)

    def stop(self, gan: Gan, progress: Progress, sums: Tensor) -> None:
        """Write the last checkpoint of a run that is stopped within an epoch, and its pictures so far."""
        self._save(gan, progress, sums)
        self._draw_pictures(at_once=True)

    def end_epoch(self, gan: Gan, progress: Progress, sums: Tensor, stopwatch: Stopwatch) -> Progress:
        """Evaluate, record and report an epoch whose steps are done; return the position after it.

        Raises TrainingError if what was measured is not finite.
        """
        measured, skipped = means(sums), progress.step - int(sums[-1])
        if skipped == progress.step:
            raise TrainingError(
                f"diverged: all {skipped} steps of epoch {progress.epoch + 1} were skipped; start again with a lower --lr"
            )
        if not all(math.isfinite(value) for value in astuple(measured)):
            raise TrainingError(f"diverged in epoch {progress.epoch + 1}: a loss is not finite; start again with a lower --lr")
        seen = self._observe(gan)
        progress = progress.after_epoch(seen.score, stopwatch.seconds())
        sheet = self._draw(gan, 0, np.arange(SHEET_IMAGES) % max(1, len(generator_classes(self._config))))
        self._write_picture(self._run.sheet_of_epoch(progress.epoch), lambda path: self._run.write_sheet(path, sheet))

        signs = signs_of(seen, self._lines, self._remedies)
        before = standing_signs(self._lines)
        line = {
            "epoch": progress.epoch,
            "images_seen": progress.images_seen,
            "seconds": round(progress.seconds, 2),
            "planned_epochs": self._config.epochs,
            **asdict(measured),
            **seen.to_statistics(),
            "skipped_steps": skipped,
            "signs": {sign.key: sign.message for sign in signs},
        }
        self._lines.append(line)
        self._run.append_statistics(line)
        no_sums = torch.zeros_like(sums)  # those of the next epoch
        if progress.is_best(seen.score):
            save_checkpoint(self._run.best, self._config, gan, progress, no_sums)
        self._save(gan, progress, no_sums)
        self._draw_pictures(at_once=progress.epoch == self._config.epochs)
        standing = standing_signs(self._lines)
        warnings = [sign for sign in signs if sign.key in standing and sign.key not in before]
        for report in self._reports:
            report.epoch(progress, measured, seen, warnings, sheet)
        return progress

    def _save(self, gan: Gan, progress: Progress, sums: Tensor) -> None:
        save_checkpoint(self._run.last, self._config, gan, progress, sums, self._run.previous)

    def _observe(self, gan: Gan) -> Observation:
        is_conditional = bool(generator_classes(self._config))

        def logits(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> NDArray[np.float32]:
            return discriminator_logits(own_network(gan.discriminator), images, labels if is_conditional else None, gan.view)

        return self._watch.observe(self._draw(gan, WATCHED_SEED, self._watch.labels), logits)

    def _draw(self, gan: Gan, seed: int, labels: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the first images of `seed`, uint8 [N, S, S], of these classes if the generator takes labels."""
        condition = labels if generator_classes(self._config) else None
        return draw(gan.sampling_generator, latent_size(self._config), seed, 0, len(labels), condition)

    def _draw_pictures(self, at_once: bool) -> None:
        if at_once or time.monotonic() - self._curves_drawn_at > _CURVES_SECONDS:
            self._write_picture(self._run.curves, lambda path: write_curves(path, self._lines))
            self._curves_drawn_at = time.monotonic()
        if at_once:
            self._write_picture(self._run.progress, self._run.write_progress)

    def _write_picture(self, path: Path, write: Callable[[Path], None]) -> None:
        """Write a picture; if that fails, only report it. A full disk still ends the run, at its next checkpoint."""
        try:
            write(path)
        except PocketganError as error:
            self._trouble(f"{error}; training continues without it")
        except Exception as error:  # whatever the drawing library raises
            self._trouble(f"{path} was not drawn ({type(error).__name__}: {first_line(error)}); training continues without it")

    def _trouble(self, message: str) -> None:
        for report in self._reports:
            report.trouble(message)
