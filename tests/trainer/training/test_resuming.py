"""Stopping, killing and resuming: whatever stopped a run, it ends as if it had never stopped."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from full_disk import small_files_only
from numpy.typing import NDArray
from short_runs import (
    CANVAS,
    DCGAN,
    MLP,
    MLP_STEPS,
    NANO,
    NewRun,
    SilentReport,
    after,
    assert_same_run,
    statistics,
    train,
    train_in_pieces,
)
from torch import Tensor

from pocketgan.errors import OutputError
from pocketgan_trainer.training import recorder
from pocketgan_trainer.training.checkpoint import load_checkpoint, save_checkpoint
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.progress import Means, Progress
from pocketgan_trainer.training.run_folder import RunFolder
from pocketgan_trainer.training.steps import Gan
from pocketgan_trainer.watch.observation import Observation
from pocketgan_trainer.watch.signs import Sign


# An epoch has 5 steps, and a stop is checked after each step and once more at the end of an epoch: call 6 is that check.
@pytest.mark.parametrize(
    ("pieces", "resumed"),
    [([3], 1), ([8], 1), ([2, 2, 4], 3), ([5], 1), ([6], 1), ([1] * 99, 9)],
    ids=["first epoch", "second epoch", "both", "last step of an epoch", "between epochs", "every step"],
)
def test_stopping_and_resuming_equals_never_having_stopped(
    uninterrupted: RunFolder, new_run: NewRun, pieces: Sequence[int], resumed: int
) -> None:
    run = new_run()
    assert train_in_pieces(MLP, run, pieces) == resumed
    assert_same_run(run, uninterrupted)


# Dropout and batch normalization; classes, the average, a falling rate and refinement in the last three of 8 steps.
@pytest.mark.parametrize(
    ("config", "pieces"), [(DCGAN, [2, 4]), (NANO, [2, 4, 1]), (CANVAS, [1])], ids=["dcgan", "nano", "canvas"]
)
def test_the_same_is_true_of_everything_that_other_presets_save(
    new_run: NewRun, config: TrainingConfig, pieces: Sequence[int]
) -> None:
    whole, run = new_run(), new_run()
    train(config, whole)
    assert train_in_pieces(config, run, pieces) == len(pieces)
    assert_same_run(run, whole)


def test_a_stop_within_an_epoch_keeps_its_sums(new_run: NewRun) -> None:
    run, report = new_run(), SilentReport()
    assert not train(MLP, run, report, stop=after(3))
    checkpoint = load_checkpoint(run.last)
    assert (checkpoint.progress.epoch, checkpoint.progress.step, checkpoint.progress.images_seen) == (0, 3, 192)
    assert checkpoint.tensors["sums"].abs().min() > 0
    assert report.epochs == []
    assert not run.best.exists()
    assert not (run.path / "stats.jsonl").exists()


def test_a_stop_at_the_very_end_is_a_finished_run(new_run: NewRun) -> None:
    assert train(MLP, new_run(), stop=after(2 * MLP_STEPS + 1))


def test_a_finished_run_can_be_made_longer(new_run: NewRun, uninterrupted: RunFolder) -> None:
    run = new_run()
    train(replace(MLP, epochs=1), run)
    assert train(MLP, run, resume_from=load_checkpoint(run.last))
    assert_same_run(run, uninterrupted)
    planned = [json.loads(line)["planned_epochs"] for line in (run.path / "stats.jsonl").read_text().splitlines()]
    assert planned == [1, 2]
    assert TrainingConfig.from_json((run.path / "config.json").read_text()) == MLP


@pytest.mark.parametrize("saves_before", [3, 4], ids=["before the best checkpoint", "before the last checkpoint"])
def test_a_kill_between_statistics_and_checkpoint_repeats_no_line(
    monkeypatch: pytest.MonkeyPatch, new_run: NewRun, uninterrupted: RunFolder, saves_before: int
) -> None:
    run, saves = new_run(), count()

    def save_until_killed(
        path: Path, config: TrainingConfig, gan: Gan, progress: Progress, sums: Tensor, previous: Path | None = None
    ) -> None:
        if next(saves) >= saves_before:
            raise KeyboardInterrupt
        save_checkpoint(path, config, gan, progress, sums, previous)

    scores = [line["frechet_ratio"] for line in statistics(uninterrupted)]
    assert scores[1] < scores[0]  # the second epoch saves twice as well
    with monkeypatch.context() as patch:
        patch.setattr(recorder, "save_checkpoint", save_until_killed)
        with pytest.raises(KeyboardInterrupt):
            train(MLP, run)
    assert [line["epoch"] for line in statistics(run)] == [1, 2]
    assert load_checkpoint(run.last).progress.epoch == 1
    assert train(MLP, run, resume_from=load_checkpoint(run.last))
    assert_same_run(run, uninterrupted)


class DiskThatFills(SilentReport):
    """A report after whose first epoch no file can grow large."""

    def __init__(self, largest_bytes: int) -> None:
        super().__init__()
        self._largest_bytes = largest_bytes
        self.disk = ExitStack()

    def epoch(
        self, progress: Progress, measured: Means, seen: Observation, warnings: list[Sign], images: NDArray[np.uint8]
    ) -> None:
        """Fill the disk."""
        self.disk.enter_context(small_files_only(self._largest_bytes))


@pytest.mark.parametrize(
    "largest_bytes", [100, 50_000, 1_000_000], ids=["no room at all", "room for a sheet", "no room for a checkpoint"]
)
def test_a_disk_that_fills_ends_the_run_and_the_old_checkpoint_survives(
    uninterrupted: RunFolder, new_run: NewRun, largest_bytes: int
) -> None:
    run, report = new_run(), DiskThatFills(largest_bytes)
    with report.disk, pytest.raises(OutputError, match=r"cannot write .*: File too large"):
        train(MLP, run, report)
    checkpoint = load_checkpoint(run.last)
    assert checkpoint.progress.epoch == 1
    # With room again, it ends as if nothing had happened.
    assert train(MLP, run, resume_from=checkpoint)
    assert_same_run(run, uninterrupted)
