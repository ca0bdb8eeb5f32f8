"""`gan-train --resume`: which run, threads, options and data it continues with, and what it refuses."""

import os
import shutil
from pathlib import Path

import pytest
from checkpoint_files import rewrite_json, rewrite_text
from short_runs import assert_same_state
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from train_command import Command, assert_fails

from pocketgan.errors import OutputError
from pocketgan_trainer import train_run
from pocketgan_trainer.training import recorder
from pocketgan_trainer.training.checkpoint import load_checkpoint
from pocketgan_trainer.training.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("few_digits")


@pytest.fixture
def finished_run(folder: Path, trained_run: RunFolder) -> RunFolder:
    """A copy of a finished run in ./runs: mlp, 1 epoch, batch 64, learning rate 0.001, seed 0."""
    shutil.copytree(trained_run.path, folder / "runs" / "0001-mlp-mnist")
    return RunFolder(Path("runs/0001-mlp-mnist"))


def contents(run: RunFolder) -> dict[str, bytes]:
    """Return the contents of all files in a run folder."""
    return {path.name: path.read_bytes() for path in run.path.iterdir()}


def test_a_longer_run_is_the_same_as_if_it_had_been_planned_from_the_start(gan_train: Command) -> None:
    assert gan_train("--preset", "mlp", "--epochs", 2, "--out", "whole").exit_code == 0
    assert gan_train("--preset", "mlp", "--epochs", 1).exit_code == 0
    result = gan_train("--resume", "--epochs", 2)
    assert result.exit_code == 0, result.output
    assert "resuming runs/0001-mlp-mnist after 320 images" in result.stderr
    assert "epoch 2/2" in result.stderr
    assert [path.name for path in Path("runs").iterdir()] == ["0001-mlp-mnist"]
    pieces, whole = (Path(parent) / "0001-mlp-mnist" / "last.safetensors" for parent in ("runs", "whole"))
    assert_same_state(load_checkpoint(pieces), load_checkpoint(whole))


def test_a_guide_is_trained_once_and_kept(gan_train: Command) -> None:
    options = ("--preset", "nano", "--batch-size", 64, "--set", "guidance_weight=0.3")
    first = gan_train(*options, "--epochs", 1)
    assert first.exit_code == 0, first.output
    assert "training a classifier of these images, which guides the generator in the end" in first.stderr
    guide = Path("runs/0001-nano-mnist/guide.safetensors").read_bytes()
    resumed = gan_train("--resume", "--epochs", 2)
    assert "training a classifier" not in resumed.stderr
    assert Path("runs/0001-nano-mnist/guide.safetensors").read_bytes() == guide
    assert load_checkpoint(Path("runs/0001-nano-mnist/last.safetensors")).config.guidance_weight == 0.3
    assert "takes up to a minute" in gan_train(*options, "--dry-run").stderr
    assert "training a classifier" not in gan_train("--preset", "mlp", "--epochs", 1).stderr


def test_resuming_with_other_options_is_refused_and_changes_nothing(gan_train: Command, finished_run: RunFolder) -> None:
    before = contents(finished_run)
    result = gan_train("--resume", "--preset", "dcgan", "--lr", 0.5, "--epochs", 3)
    message = r"cannot resume runs/0001-mlp-mnist with --preset dcgan \(the run has mlp\), --lr 0.5 \(the run has 0.001\)"
    assert_fails(result, 1, f"error: {message}: leave")
    assert contents(finished_run) == before


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["--out", "runs"], "done: the best epoch is 1 of 1"),
        (["--out", "runs/0001-mlp-mnist"], "done: the best epoch is 1 of 1"),
        (["--batch-size", "64", "--seed", "0"], "done: the best epoch is 1 of 1"),
        (["--epochs", "9", "--dry-run"], "resuming runs/0001-mlp-mnist after 320 images"),
    ],
)
def test_resuming_a_finished_run_or_without_training_changes_nothing(
    gan_train: Command, finished_run: RunFolder, arguments: list[str], printed: str
) -> None:
    before = contents(finished_run)
    result = gan_train("--resume", *arguments)
    assert result.exit_code == 0, result.output
    assert printed in result.stderr
    assert contents(finished_run) == before


@pytest.mark.parametrize("options", [["--dry-run"], []], ids=["dry run", "training"])
def test_resuming_from_an_unsound_checkpoint_ends_with_1_before_anything_is_printed(
    gan_train: Command, finished_run: RunFolder, options: list[str]
) -> None:
    finished_run.previous.unlink()
    rewrite_json(finished_run.last, "config", {"preset": "dcgan"})
    message = "error: runs/0001-mlp-mnist/last.safetensors is not a sound checkpoint of preset 'dcgan': 'discriminator.*expected"
    assert_fails(gan_train("--resume", "--epochs", 9, *options), 1, message)


def test_a_run_that_another_process_trains_is_refused(gan_train: Command, finished_run: RunFolder) -> None:
    with finished_run.locked():
        before = contents(finished_run)
        message = r"error: runs/0001-mlp-mnist is being trained by another gan-train: wait for it, or stop it first"
        assert_fails(gan_train("--resume", "--epochs", 9), 1, message, lines=4)
        assert contents(finished_run) == before
    assert gan_train("--resume", "--epochs", 2).exit_code == 0


def test_an_unusable_last_checkpoint_is_put_aside(gan_train: Command, finished_run: RunFolder) -> None:
    shutil.copy(finished_run.last, finished_run.previous)
    finished_run.last.write_bytes(b"damaged")
    result = gan_train("--resume", "--epochs", 2)
    assert result.exit_code == 0, result.output
    assert (finished_run.path / "unusable.safetensors").read_bytes() == b"damaged"
    assert load_checkpoint(finished_run.last).progress.epoch == 2


def test_a_run_without_its_config_file_is_resumed_by_its_checkpoint(gan_train: Command, finished_run: RunFolder) -> None:
    (finished_run.path / "config.json").unlink()
    result = gan_train("--resume", "--epochs", 2)
    assert result.exit_code == 0, result.output
    assert load_checkpoint(finished_run.last).progress.epoch == 2


def test_a_run_that_was_trained_further_in_the_meantime_is_refused(
    gan_train: Command, finished_run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def count_steps_later(*arguments: object) -> int:
        rewrite_text(finished_run.last, threads="7")  # by another process, after this one read it
        return 5

    monkeypatch.setattr(train_run, "count_steps", count_steps_later)
    statistics = finished_run.path / "stats.jsonl"
    before = statistics.read_text()
    assert_fails(
        gan_train("--resume", "--epochs", 9), 1, "error: runs/0001-mlp-mnist was trained further in the meantime", lines=4
    )
    assert statistics.read_text() == before


def test_a_resumed_run_uses_as_many_threads_as_before(
    gan_train: Command, finished_run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_run, "usable_cpus", lambda: 4)
    rewrite_text(finished_run.last, threads="2")
    printed = gan_train("--resume", "--epochs", 2, "--dry-run").stderr
    assert "CPU threads: 2" in printed
    assert "note" not in printed
    note = "note: CPU threads were 2 before: the run will differ slightly from an uninterrupted one"
    assert note in gan_train("--resume", "--epochs", 2, "--dry-run", "--threads", 1).stderr
    monkeypatch.setattr(train_run, "usable_cpus", lambda: 1)  # no more than there are CPUs
    assert "CPU threads: 1" in gan_train("--resume", "--epochs", 2, "--dry-run").stderr


def test_a_newer_run_without_a_checkpoint_is_skipped_with_a_note(gan_train: Command, finished_run: RunFolder) -> None:
    Path("runs/0002-nano-mnist").mkdir()
    note = (
        "note: runs/0002-nano-mnist is newer, but has no checkpoint, as after a kill before the first step; taking "
        "runs/0001-mlp-mnist; to train the newer one, start it again without --resume"
    )
    assert note in gan_train("--resume").stderr.splitlines()
    assert_fails(gan_train("--resume", "--preset", "nano"), 1, f"cannot resume .*{note.removeprefix('note: ')}")


def test_temporary_files_of_killed_processes_are_removed_on_resuming(gan_train: Command, finished_run: RunFolder) -> None:
    gone = "99999999999999999999"
    names = [f".{name}.{gone}.tmp" for name in ("last.safetensors", "stats.jsonl", "fakes_epoch_0001.png", "config.json")]
    for name in (*names, f".notes.{gone}.tmp", f".last.safetensors.{os.getppid()}.tmp"):
        (finished_run.path / name).write_text("")
    before = set(contents(finished_run))
    assert gan_train("--resume").exit_code == 0
    assert before - set(contents(finished_run)) == set(names)


def test_a_run_can_be_in_a_folder_whose_name_is_not_utf8(gan_train: Command) -> None:
    parent = os.fsdecode(b"runs\xff")
    assert gan_train("--preset", "mlp", "--epochs", 1, "--out", parent).exit_code == 0
    result = gan_train("--resume", "--out", parent, "--epochs", 2)
    assert result.exit_code == 0, result.output
    assert "resuming runs?/0001-mlp-mnist" in result.stderr
    assert_fails(gan_train("--out", parent, "--tensorboard"), 1, r"runs\? has a name that is not UTF-8")


def test_a_full_disk_ends_with_1_and_says_how_to_resume(gan_train: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert gan_train("--preset", "mlp", "--epochs", 1).exit_code == 0

    def fill(*arguments: object) -> None:
        raise OutputError("cannot write x: No space left on device")

    monkeypatch.setattr(recorder, "save_checkpoint", fill)
    message = "No space left on device; what was saved before is whole: gan-train --resume continues from there"
    assert_fails(gan_train("--resume", "--epochs", 2), 1, message, lines=5)


def test_event_files_are_continued_without_tensorboard_being_given_again(gan_train: Command) -> None:
    events = Path("runs/0001-mlp-mnist/tensorboard")
    assert gan_train("--preset", "mlp", "--epochs", 1, "--tensorboard").exit_code == 0
    assert gan_train("--resume", "--epochs", 3).exit_code == 0
    read = EventAccumulator(str(events))
    read.Reload()
    assert [event.step for event in read.Scalars("frechet_ratio")] == [1, 2, 3]
