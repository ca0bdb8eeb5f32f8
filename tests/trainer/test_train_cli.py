"""`gan-train` as a user meets it: what it says, what it leaves, how it ends, and that Ctrl-C loses nothing."""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_files import rewrite_json
from mean_image_watch import mean_image_watch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from typer.testing import CliRunner, Result

from pocketgan.errors import OutputError
from pocketgan_trainer.data.images import MNIST_FACTS, TrainingImages
from pocketgan_trainer.data.published import BUNDLED_FOLDER, Digits
from pocketgan_trainer.evaluate.judge import load_judge
from pocketgan_trainer.train_cli import app
from pocketgan_trainer.train_run import StopFlag
from pocketgan_trainer.training import recorder
from pocketgan_trainer.training.checkpoint import Checkpoint, load_checkpoint
from pocketgan_trainer.training.presets import PRESETS
from pocketgan_trainer.training.progress import Means, Progress
from pocketgan_trainer.training.reports import ConsoleReport
from pocketgan_trainer.training.run_folder import RunFolder

PATIENCE_SECONDS = 300

Command = Callable[..., Result]


@pytest.fixture(autouse=True)
def restored_process() -> Iterator[None]:
    """Take back what the command does to a process of its own: its signal handlers and torch's threads."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in handlers:
        signal.signal(number, signal.default_int_handler)  # a signal that the command misses shall not end the tests
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def gan_train(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs the command in this process, in an empty folder, on one CPU."""
    monkeypatch.setattr("pocketgan_trainer.train_run.usable_cpus", lambda: 1)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def few_digits(monkeypatch: pytest.MonkeyPatch, digits: Digits) -> None:
    """Let the command find 320 digits instead of 55,000 and 60 instead of 5,000, and score its epochs without a judge."""
    labels = digits.labels[:380].astype(np.int64)
    few = TrainingImages("mnist", MNIST_FACTS.classes, digits.images[:380], labels, notes=())
    monkeypatch.setattr("pocketgan_trainer.train_run.load_training_images", lambda *asked: few)
    monkeypatch.setattr("pocketgan_trainer.data.split.VALIDATION_DIGITS", 60)
    monkeypatch.setattr("pocketgan_trainer.train_run.load_judge", lambda which: which)
    monkeypatch.setattr(
        "pocketgan_trainer.train_run.watch_validation", lambda judge, split, classes: mean_image_watch(split.validation)
    )


def assert_fails(result: Result, code: int, told: str, lines: int = 1) -> None:
    """Check that a command failed as it should: what it said, in how many lines, and no traceback."""
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit)
    assert re.search(told, result.stderr), result.stderr
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == lines, result.stderr


def assert_same_state(found: Checkpoint, expected: Checkpoint) -> None:
    """Compare two checkpoints bit for bit, but for the planned epochs and the time that they took."""
    assert replace(found.config, epochs=1) == replace(expected.config, epochs=1)
    assert replace(found.progress, seconds=0) == replace(expected.progress, seconds=0)
    assert found.tensors.keys() == expected.tensors.keys()
    for name, tensor in expected.tensors.items():
        assert torch.equal(tensor, found.tensors[name]), name


@pytest.mark.usefixtures("few_digits")
def test_a_dry_run_says_what_it_would_do_and_writes_nothing(gan_train: Command, folder: Path) -> None:
    result = gan_train(
        "--dry-run", "--preset", "mlp", "--epochs", 7, "--lr", 0.002, "--seed", 5, "--batch-size", 32, "--threads", 1
    )
    assert result.exit_code == 0
    assert result.stdout == ""
    assert result.stderr.startswith("mnist: 380 images of 28x28 in 10 classes: ")
    assert "\nmlp on 320 images: 7 epochs, batch 32, learning rate 0.002, seed 5, float32 on cpu" in result.stderr
    assert "60 more images are kept back, to choose the best epoch by" in result.stderr
    assert "other than the preset's" not in result.stderr
    assert "dry run: nothing was trained and no run folder made" in result.stderr
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("few_digits")
def test_settings_that_are_not_the_presets_are_told(gan_train: Command) -> None:
    result = gan_train(
        "--dry-run", "--set", "gradient_penalty=2", "--set", "ema_halflife_images=77", "--set", "shifted_share=0.7"
    )
    assert "other than the preset's: gradient_penalty=2.0, ema_halflife_images=77\n" in result.stderr


@pytest.mark.usefixtures("few_digits")
def test_a_setting_without_effect_ends_with_1(gan_train: Command) -> None:
    told = "error: class_weight has no effect on preset mlp: leave it out, or choose pocket or nano"
    assert_fails(gan_train("--preset", "mlp", "--set", "class_weight=0.5"), 1, told)


@pytest.mark.usefixtures("few_digits")
@pytest.mark.parametrize("preset", list(PRESETS))
def test_without_options_the_presets_own_numbers_hold(gan_train: Command, preset: str) -> None:
    result, config = gan_train("--dry-run", "--preset", preset), PRESETS[preset].config
    told = f"{config.epochs} epochs, batch {config.batch_size}, learning rate {config.learning_rate:g}, seed 0"
    assert f"{preset} on 320 images: {told}" in result.stderr


@pytest.mark.usefixtures("few_digits")
def test_our_own_preset_is_the_default(gan_train: Command) -> None:
    assert "\npocket on" in gan_train("--dry-run").stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--epochs", "0"], "--epochs"),
        (["--epochs", "many"], "--epochs"),
        (["--batch-size", "1"], "--batch-size"),
        (["--seed", "-1"], "--seed"),
        (["--threads", "0"], "--threads"),
        (["--lr", "fast"], "--lr"),
        (["--device", "tpu"], "--device"),
        (["--preset", "biggan"], "'biggan' is not a preset: expected one of pocket, nano, dcgan, mlp"),
        (["--momentum", "0.9"], "--momentum"),
        (["mnist"], "mnist"),
    ],
)
def test_wrong_usage_ends_with_2_and_names_the_option(gan_train: Command, folder: Path, arguments: list[str], told: str) -> None:
    result = gan_train(*arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert "Traceback" not in result.output
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("few_digits")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--lr", "0"], "error: learning rate 0.0 is out of range: expected between 0 and 1"),
        (["--lr", "-0.1"], "error: learning rate -0.1 is out of range"),
        (["--lr", "nan"], "error: learning rate nan is out of range"),
        (["--seed", str(2**64)], "error: seed 18446744073709551616 is out of range: expected at most 18446744073709551615"),
        (["--batch-size", "321"], "error: batch size 321 exceeds the 320 training images"),
        (["--batch-size", "321", "--dry-run"], "error: batch size 321 exceeds the 320 training images"),
        (["--resume"], "error: no training run .*runs.*train first"),
        (["--resume", "--out", "elsewhere"], "error: no training run .*elsewhere"),
    ],
)
def test_values_that_cannot_be_used_end_with_1_and_leave_no_run_folder(
    gan_train: Command, folder: Path, arguments: list[str], told: str
) -> None:
    assert_fails(gan_train("--preset", "mlp", *arguments), 1, told)
    assert list(folder.iterdir()) == []


def test_cuda_that_is_not_there_ends_with_1(gan_train: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert_fails(gan_train("--device", "cuda"), 1, "error: --device cuda: torch finds no CUDA device here; use --device cpu")
    assert list(folder.iterdir()) == []


@pytest.fixture
def original_files() -> list[Path]:
    """The two files to train with, as they lie in the checkout."""
    return [BUNDLED_FOLDER / f"train-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1")]


def test_a_missing_data_folder_ends_with_1(gan_train: Command, folder: Path) -> None:
    assert_fails(gan_train("--data", "nowhere"), 1, "error: nowhere does not exist: expected mnist, fashion-mnist, kmnist, or a")
    assert list(folder.iterdir()) == []


def test_images_without_labels_are_told_of(gan_train: Command, folder: Path, tmp_path: Path, original_files: list[Path]) -> None:
    shutil.copy(original_files[0], tmp_path)
    result = gan_train("--data", tmp_path, "--dry-run")
    assert result.exit_code == 0, result.output
    assert re.search(r"\nnote: .*no labels", result.stderr)
    assert list(folder.iterdir()) == []


def test_a_corrupt_archive_ends_with_1(gan_train: Command, folder: Path, tmp_path: Path, original_files: list[Path]) -> None:
    for path in original_files:
        shutil.copy(path, tmp_path)
    contents = bytearray((tmp_path / original_files[1].name).read_bytes())
    contents[1000] ^= 0xFF
    (tmp_path / original_files[1].name).write_bytes(contents)
    assert_fails(gan_train("--data", tmp_path), 1, "error: .*train-labels-idx1-ubyte.gz is corrupt")
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("few_digits")
def test_a_judge_that_is_missing_ends_with_1(
    gan_train: Command, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pocketgan_trainer.train_run.load_judge", load_judge)
    monkeypatch.setattr("pocketgan_trainer.evaluate.judge.FOLDER", tmp_path)
    assert_fails(gan_train("--preset", "mlp"), 1, r"error: cannot read the first judge .*first.safetensors: No such file")
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("few_digits")
def test_a_parent_that_is_a_file_ends_with_1(gan_train: Command, folder: Path) -> None:
    (folder / "runs").write_text("")
    result = gan_train("--preset", "mlp")
    assert_fails(result, 1, "error: cannot make a run folder in runs: File exists", lines=3)


def epoch_score(lines: list[str], epoch: int) -> str:
    """Return the Frechet ratio that was told at the end of an epoch."""
    (line,) = (line for line in lines if line.startswith(f"epoch {epoch}/"))
    return line.split("Frechet ratio ")[1].split()[0]


@pytest.mark.usefixtures("few_digits")
def test_a_run_tells_two_lines_an_epoch_and_where_it_lies(gan_train: Command, folder: Path) -> None:
    result = gan_train("--preset", "mlp", "--epochs", 2, "--threads", 1)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[1] == ("mlp on 320 images: 2 epochs, batch 64, learning rate 0.001, seed 0, float32 on cpu, CPU threads: 1")
    assert lines[2] == "run folder runs/0001-mlp-mnist"
    assert [line.split("  ")[0] for line in lines[3:7]] == ["epoch 1/2", "", "epoch 2/2", ""]
    best = load_checkpoint(Path("runs/0001-mlp-mnist/best.safetensors")).progress.epoch
    assert lines[7] == f"done: the best epoch is {best} of 2, its checkpoint runs/0001-mlp-mnist/best.safetensors"
    assert lines[8].startswith(f"its scores: Frechet ratio {epoch_score(lines, best)} (real images: 1)  coverage 0.50  variety")
    assert lines[9:] == [
        f"look at: runs/0001-mlp-mnist/curves.png, runs/0001-mlp-mnist/fakes_epoch_{best:04d}.png",
        "next: gan-export model.onnx",
    ]
    assert "\x1b" not in result.stderr
    assert load_checkpoint(Path("runs/0001-mlp-mnist/last.safetensors")).progress.epoch == 2


@pytest.mark.usefixtures("few_digits")
def test_options_reach_the_run(gan_train: Command) -> None:
    arguments = ("--preset", "mlp", "--epochs", 1, "--batch-size", 32, "--lr", 0.01, "--seed", 3, "--out", "elsewhere")
    assert gan_train(*arguments).exit_code == 0
    config = load_checkpoint(Path("elsewhere/0001-mlp-mnist/last.safetensors")).config
    assert (config.epochs, config.batch_size, config.learning_rate, config.seed) == (1, 32, 0.01, 3)


@pytest.mark.usefixtures("few_digits")
def test_what_to_do_next_works_for_a_run_elsewhere_too(gan_train: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    result = gan_train("--preset", "mlp", "--epochs", 1, "--out", "my runs")
    assert result.stderr.endswith("next: gan-export model.onnx --checkpoint 'my runs/0001-mlp-mnist'\n")
    monkeypatch.setattr(StopFlag, "__call__", lambda flag: True)
    result = gan_train("--preset", "mlp", "--epochs", 1, "--out", "my runs")
    assert result.stderr.endswith("gan-train --resume --out 'my runs' goes on from there\n")


@pytest.mark.usefixtures("few_digits")
def test_a_training_that_diverges_ends_with_1(gan_train: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "means", lambda sums: Means(0.5, float("nan"), 0.5, 0.5))
    result = gan_train("--preset", "mlp")
    assert_fails(result, 1, "error: diverged in epoch 1: a loss is not finite; start again with a lower --lr", lines=4)


@pytest.mark.usefixtures("few_digits")
def test_a_conditional_preset_trains_too(gan_train: Command) -> None:
    result = gan_train("--preset", "nano", "--epochs", 1, "--threads", 1)
    assert result.exit_code == 0, result.output
    checkpoint = load_checkpoint(Path("runs/0001-nano-mnist/best.safetensors"))
    assert checkpoint.progress.images_seen == 320 // checkpoint.config.batch_size * checkpoint.config.batch_size


@pytest.mark.usefixtures("few_digits")
def test_more_epochs_go_on_as_if_they_had_been_planned_from_the_start(gan_train: Command) -> None:
    assert gan_train("--preset", "mlp", "--epochs", 2, "--out", "whole").exit_code == 0
    assert gan_train("--preset", "mlp", "--epochs", 1).exit_code == 0
    result = gan_train("--resume", "--epochs", 2)
    assert result.exit_code == 0, result.output
    assert "going on in runs/0001-mlp-mnist after 320 images" in result.stderr
    assert "epoch 2/2" in result.stderr
    assert [path.name for path in Path("runs").iterdir()] == ["0001-mlp-mnist"]
    pieces, whole = (Path(parent) / "0001-mlp-mnist" / "last.safetensors" for parent in ("runs", "whole"))
    assert_same_state(load_checkpoint(pieces), load_checkpoint(whole))


@pytest.fixture
def finished_run(folder: Path, trained_run: RunFolder) -> RunFolder:
    """A copy of a finished run in ./runs: mlp, 1 epoch, batch 64, learning rate 0.001, seed 0."""
    shutil.copytree(trained_run.path, folder / "runs" / "0001-mlp-mnist")
    return RunFolder(Path("runs/0001-mlp-mnist"))


def contents(run: RunFolder) -> dict[str, bytes]:
    """Return all that lies in a run folder."""
    return {path.name: path.read_bytes() for path in run.path.iterdir()}


@pytest.mark.usefixtures("few_digits")
def test_resuming_with_other_options_lists_the_differences_and_changes_nothing(
    gan_train: Command, finished_run: RunFolder
) -> None:
    before = contents(finished_run)
    result = gan_train("--resume", "--preset", "dcgan", "--batch-size", 32, "--lr", 0.5, "--seed", 9, "--epochs", 3)
    for told in (
        "error: cannot resume runs/0001-mlp-mnist with",
        r"--preset dcgan \(the run has mlp\)",
        r"--batch-size 32 \(the run has 64\)",
        r"--lr 0.5 \(the run has 0.001\)",
        r"--seed 9 \(the run has 0\)",
    ):
        assert_fails(result, 1, told)
    assert contents(finished_run) == before


@pytest.mark.usefixtures("few_digits")
@pytest.mark.parametrize(
    "arguments", [["--out", "runs"], ["--out", "runs/0001-mlp-mnist"], ["--batch-size", "64", "--seed", "0"]]
)
def test_resuming_a_finished_run_is_done_at_once(gan_train: Command, finished_run: RunFolder, arguments: list[str]) -> None:
    before = contents(finished_run)
    result = gan_train("--resume", *arguments)
    assert result.exit_code == 0, result.output
    assert "done: the best epoch is 1 of 1, its checkpoint runs/0001-mlp-mnist/best.safetensors" in result.stderr
    assert contents(finished_run) == before


@pytest.mark.usefixtures("few_digits")
def test_a_dry_run_of_resuming_changes_nothing(gan_train: Command, finished_run: RunFolder) -> None:
    before = contents(finished_run)
    result = gan_train("--resume", "--epochs", 9, "--dry-run")
    assert result.exit_code == 0
    assert "going on in runs/0001-mlp-mnist after 320 images" in result.stderr
    assert contents(finished_run) == before


@pytest.mark.usefixtures("few_digits")
@pytest.mark.parametrize("options", [["--dry-run"], []], ids=["dry run", "in earnest"])
def test_resuming_with_other_networks_ends_with_1_before_anything_is_announced(
    gan_train: Command, finished_run: RunFolder, options: list[str]
) -> None:
    finished_run.previous.unlink()
    rewrite_json(finished_run.last, "config", {"preset": "dcgan"})
    told = "error: runs/0001-mlp-mnist/last.safetensors is no sound checkpoint of preset 'dcgan': 'discriminator.*expected"
    assert_fails(gan_train("--resume", "--epochs", 9, *options), 1, told)


@pytest.mark.usefixtures("few_digits")
def test_a_run_that_another_process_trains_is_left_to_it(gan_train: Command, finished_run: RunFolder) -> None:
    with finished_run.held():
        before = contents(finished_run)
        told = r"error: runs/0001-mlp-mnist is being trained by another gan-train: wait for it, or stop it first"
        assert_fails(gan_train("--resume", "--epochs", 9), 1, told, lines=4)
        assert contents(finished_run) == before
    assert gan_train("--resume", "--epochs", 2).exit_code == 0


@pytest.mark.usefixtures("few_digits")
def test_a_run_goes_on_with_as_many_threads_as_it_had(gan_train: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketgan_trainer.train_run.usable_cpus", lambda: 4)
    assert "CPU threads: 2" in gan_train("--preset", "mlp", "--epochs", 1, "--threads", 2).stderr
    went_on = gan_train("--resume", "--epochs", 2)
    assert "CPU threads: 2" in went_on.stderr
    assert "note" not in went_on.stderr
    assert load_checkpoint(Path("runs/0001-mlp-mnist/last.safetensors")).threads == 2
    told = "note: CPU threads were 2 before: the run will end a little different from one never stopped"
    assert told in gan_train("--resume", "--epochs", 3, "--threads", 1).stderr


@pytest.mark.parametrize(("arguments", "threads"), [((), 1), (("--threads", 3), 3)])
def test_one_thread_is_taken_where_all_are_hardly_faster(
    gan_train: Command, monkeypatch: pytest.MonkeyPatch, arguments: tuple[object, ...], threads: int
) -> None:
    monkeypatch.setattr("pocketgan_trainer.train_run.usable_cpus", lambda: 4)
    monkeypatch.setattr("pocketgan_trainer.train_run.fastest_threads", lambda config, training, most: 1)
    said = gan_train("--dry-run", "--preset", "mlp", *arguments).stderr
    assert f"CPU threads: {threads}\n" in said
    is_chosen = "note: 4 CPU threads were hardly faster than 1 just now; --threads 4 takes them all the same\n" in said
    assert is_chosen is (not arguments)


@pytest.mark.usefixtures("few_digits")
def test_a_newer_run_without_a_checkpoint_is_passed_over_and_named(gan_train: Command, finished_run: RunFolder) -> None:
    Path("runs/0002-nano-mnist").mkdir()
    told = (
        "note: runs/0002-nano-mnist is newer, but has no checkpoint, as after a kill before the first step; taking "
        "runs/0001-mlp-mnist; to train the newer one, start it again without --resume"
    )
    assert told in gan_train("--resume").stderr.splitlines()
    assert_fails(gan_train("--resume", "--preset", "nano"), 1, f"cannot resume .*{told.removeprefix('note: ')}")


@pytest.mark.usefixtures("few_digits")
def test_what_a_killed_process_left_of_a_run_is_removed_when_it_goes_on(gan_train: Command, finished_run: RunFolder) -> None:
    gone = "99999999999999999999"
    names = [f".{name}.{gone}.tmp" for name in ("last.safetensors", "stats.jsonl", "fakes_epoch_0001.png", "config.json")]
    for name in (*names, f".notes.{gone}.tmp", f".last.safetensors.{os.getppid()}.tmp"):
        (finished_run.path / name).write_text("")
    before = set(contents(finished_run))
    assert gan_train("--resume").exit_code == 0
    assert before - set(contents(finished_run)) == set(names)


def test_notes_of_data_take_a_line_each_and_command_no_terminal(
    gan_train: Command, monkeypatch: pytest.MonkeyPatch, digits: Digits
) -> None:
    notes = ("a\x1b[31m\nerror: forged\r\x9b\u202e\udcff became a.", ":smile: [bold]b[/bold].")
    labels = digits.labels[:380].astype(np.int64)
    images = TrainingImages("mnist", MNIST_FACTS.classes, digits.images[:380], labels, notes)
    monkeypatch.setattr("pocketgan_trainer.train_run.load_training_images", lambda *asked: images)
    monkeypatch.setattr("pocketgan_trainer.data.split.VALIDATION_DIGITS", 60)
    lines = gan_train("--preset", "mlp", "--dry-run").stderr.splitlines()
    assert lines[1:3] == ["note: a?[31m?error: forged???? became a.", "note: :smile: [bold]b[/bold]."]


@pytest.mark.usefixtures("few_digits")
def test_pictures_that_cannot_be_drawn_are_told_and_the_run_goes_on(gan_train: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*asked: object) -> None:
        raise FileNotFoundError("no font\nat all")

    monkeypatch.setattr(recorder, "write_curves", fail)
    monkeypatch.setattr("pocketgan_trainer.training.run_folder.contact_sheet", fail)
    result = gan_train("--preset", "mlp", "--epochs", 1, "--tensorboard")
    assert result.exit_code == 0, result.output
    run = "runs/0001-mlp-mnist"
    for picture in ("reals", "fakes_epoch_0001", "curves"):
        told = f"warning: {run}/{picture}.png was not drawn (FileNotFoundError: no font); training goes on without it"
        assert told in result.stderr.splitlines()
    assert not [line for line in result.stderr.splitlines() if line.startswith("look at")]
    assert load_checkpoint(Path(f"{run}/best.safetensors")).progress.epoch == 1


@pytest.mark.usefixtures("few_digits")
def test_a_folder_whose_name_is_no_utf8_holds_a_run_like_any_other(gan_train: Command) -> None:
    parent = os.fsdecode(b"runs\xff")
    assert gan_train("--preset", "mlp", "--epochs", 1, "--out", parent).exit_code == 0
    result = gan_train("--resume", "--out", parent, "--epochs", 2)
    assert result.exit_code == 0, result.output
    assert "going on in runs?/0001-mlp-mnist" in result.stderr
    assert_fails(gan_train("--out", parent, "--tensorboard"), 1, r"runs\? has a name that is not UTF-8")


@pytest.mark.usefixtures("few_digits")
def test_a_full_disk_ends_with_1_and_says_that_the_run_can_go_on(gan_train: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert gan_train("--preset", "mlp", "--epochs", 1).exit_code == 0

    def fill(*asked: object) -> None:
        raise OutputError("cannot write x: No space left on device")

    monkeypatch.setattr(recorder, "save_checkpoint", fill)
    told = "No space left on device; what was saved before is whole: gan-train --resume goes on from there"
    assert_fails(gan_train("--resume", "--epochs", 2), 1, told, lines=5)


@pytest.mark.usefixtures("few_digits")
def test_event_files_go_on_without_being_asked_for_again(gan_train: Command) -> None:
    events = Path("runs/0001-mlp-mnist/tensorboard")
    assert gan_train("--preset", "mlp", "--epochs", 1, "--tensorboard").exit_code == 0
    assert gan_train("--resume", "--epochs", 3).exit_code == 0
    read = EventAccumulator(str(events))
    read.Reload()
    assert [event.step for event in read.Scalars("frechet_ratio")] == [1, 2, 3]


@pytest.mark.usefixtures("few_digits")
def test_resuming_from_a_damaged_checkpoint_ends_with_1(gan_train: Command, finished_run: RunFolder) -> None:
    finished_run.previous.unlink()
    finished_run.last.write_bytes(finished_run.last.read_bytes()[:-100])
    assert_fails(gan_train("--resume", "--epochs", 2), 1, r"error: runs/0001-mlp-mnist/last.safetensors is damaged")


@pytest.mark.usefixtures("few_digits")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_after_the_step_and_saves(
    gan_train: Command, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    step = ConsoleReport.step

    def step_and_signal(report: ConsoleReport, progress: Progress, sums: torch.Tensor) -> None:
        step(report, progress, sums)
        if (progress.epoch, progress.step) == (1, 3):
            signal.raise_signal(number)

    monkeypatch.setattr(ConsoleReport, "step", step_and_signal)
    result = gan_train("--preset", "mlp", "--epochs", 3)
    assert result.exit_code == code
    assert "stopping after this step; once more to stop without saving" in result.stderr
    assert result.stderr.endswith("saved runs/0001-mlp-mnist/last.safetensors; gan-train --resume goes on from there\n")
    progress = load_checkpoint(Path("runs/0001-mlp-mnist/last.safetensors")).progress
    assert (progress.epoch, progress.step) == (1, 3)


def test_ctrl_c_before_the_training_ends_with_130_and_leaves_nothing(
    gan_train: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*asked: object) -> TrainingImages:
        raise KeyboardInterrupt

    monkeypatch.setattr("pocketgan_trainer.train_run.load_training_images", interrupt)
    result = gan_train("--preset", "mlp")
    assert result.exit_code == 130
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_stop_flag_takes_one_signal_and_leaves_the_second_to_the_system(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    flag = StopFlag()
    flag.install()
    assert (flag(), flag.signal) == (False, None)
    signal.raise_signal(number)
    assert (flag(), flag.signal) == (True, number)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert "stopping after this step" in capfd.readouterr().err


VALIDATION_DIGITS = 500
"""Kept back in the processes below instead of 5,000, at which the judge would look for most of their time."""


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the command as a process of its own in a folder."""
    code = (
        f"from pocketgan_trainer.data import validation; validation.VALIDATION_DIGITS = {VALIDATION_DIGITS}\n"
        "from pocketgan_trainer.train_cli import main; main()"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, *arguments, "--threads", "1"]
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the end of a command; return its exit code and what it said after what was read of it."""
    _, told = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, told


def interrupt_in_training(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    """Send a signal as soon as the command says where it trains; return its exit code and what it said from then on."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("run folder"):
            break
    else:
        pytest.fail(f"gan-train ended with {process.wait()} before it trained")
    # The first step comes half a second later, the last one after seconds.
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.2)
    process.send_signal(number)
    return finish(process)


def test_a_real_process_that_is_stopped_twice_ends_where_an_undisturbed_one_does(
    gan_train: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pocketgan_trainer.data.split.VALIDATION_DIGITS", VALIDATION_DIGITS)
    plan = ("--preset", "mlp", "--epochs", "1", "--batch-size", "250")
    assert gan_train(*plan, "--out", "whole", "--threads", 1).exit_code == 0
    whole, last = (folder / parent / "0001-mlp-mnist" / "last.safetensors" for parent in ("whole", "runs"))

    for arguments, number, code in ((plan, signal.SIGINT, 130), (("--resume",), signal.SIGTERM, 143)):
        found, told = interrupt_in_training(start(folder, *arguments), number)
        assert found == code, told
        assert "gan-train --resume goes on from there" in told
        assert load_checkpoint(last).progress.epoch == 0
        assert 1 <= load_checkpoint(last).progress.step < (60_000 - VALIDATION_DIGITS) // 250
    code, told = finish(start(folder, "--resume"))
    assert code == 0, told
    assert_same_state(load_checkpoint(last), load_checkpoint(whole))


@pytest.mark.parametrize(("preset", "epochs"), [("mlp", 40), ("nano", 4)])
def test_a_process_that_is_killed_at_random_moments_ends_where_an_undisturbed_one_does(
    folder: Path, digits: Digits, preset: str, epochs: int
) -> None:
    np.savez("digits.npz", images=digits.images)
    plan = ("--data", "digits.npz", "--preset", preset, "--epochs", str(epochs), "--batch-size", "50")
    began = time.monotonic()
    assert finish(start(folder, *plan, "--out", "whole"))[0] == 0
    seconds = time.monotonic() - began
    whole, runs = folder / "whole" / f"0001-{preset}-digits", folder / "runs" / f"0001-{preset}-digits"

    process = start(folder, *plan)
    while process.poll() is None and not (runs / "last.safetensors").exists():
        time.sleep(0.01)
    process.kill()  # in its first epoch
    assert finish(process)[0] == -signal.SIGKILL

    moments, kills = random.Random(5), 0
    for _ in range(3):
        process = start(folder, "--resume")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds * moments.uniform(0.3, 0.6))
        process.kill()
        kills += finish(process)[0] == -signal.SIGKILL
    assert kills >= 2
    code, told = finish(start(folder, "--resume"))
    assert code == 0, told
    assert_same_state(load_checkpoint(runs / "last.safetensors"), load_checkpoint(whole / "last.safetensors"))

    def lines(run: Path) -> list[dict[str, object]]:
        read = [json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines()]
        return [{name: value for name, value in line.items() if name != "seconds"} for line in read]

    assert lines(runs) == lines(whole)


def test_version_is_that_of_the_package(gan_train: Command) -> None:
    result = gan_train("--version")
    assert result.exit_code == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", result.stdout)


def test_a_signal_is_noted_even_if_nobody_reads_the_messages_any_more() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    code = (
        "import os, signal; from pocketgan_trainer.train_run import StopFlag; "
        "flag = StopFlag(); flag.install(); signal.raise_signal(signal.SIGINT); os._exit(7 if flag() else 8)"
    )
    done = subprocess.run([sys.executable, "-c", code], stderr=writer, timeout=60, check=False)
    os.close(writer)
    assert done.returncode == 7


@pytest.mark.usefixtures("few_digits")
def test_any_hyper_parameter_can_be_set(gan_train: Command) -> None:
    assert "float32 on cpu" in gan_train("--dry-run", "--set", "bfloat16=false", "--device", "cpu").stderr
    assert "float32" not in gan_train("--dry-run", "--set", "bfloat16=true", "--device", "cpu").stderr
    assert_fails(gan_train("--set", "gradient_penalty=-1"), 1, "gradient_penalty -1.0 is out of range")


def test_a_setting_twice_is_wrong_usage(gan_train: Command) -> None:
    assert_fails(gan_train("--set", "bfloat16=true", "--set", "bfloat16=false"), 2, "the same name is set twice", lines=4)


def test_a_setting_that_is_none_is_wrong_usage(gan_train: Command) -> None:
    result = gan_train("--set", "gamma=1")
    assert result.exit_code == 2
    assert "gradient_penalty" in result.stderr
