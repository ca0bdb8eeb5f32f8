"""Ctrl-C, SIGTERM and kills: a run is saved, prints how to resume it, and continues as if it had never stopped."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from short_runs import assert_same_state
from train_command import Command

from pocketgan_trainer import train_run
from pocketgan_trainer.data.images import TrainingImages
from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.train_run import StopFlag
from pocketgan_trainer.training.checkpoint import load_checkpoint
from pocketgan_trainer.training.progress import Progress
from pocketgan_trainer.training.reports import ConsoleReport

PATIENCE_SECONDS = 300
PLAN = ("--data", "digits.npz", "--batch-size", "50")


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
    assert "stopping after this step; press Ctrl-C again to stop without saving" in result.stderr
    assert result.stderr.endswith("saved runs/0001-mlp-mnist/last.safetensors; gan-train --resume continues from there\n")
    progress = load_checkpoint(Path("runs/0001-mlp-mnist/last.safetensors")).progress
    assert (progress.epoch, progress.step) == (1, 3)


def test_ctrl_c_before_the_training_ends_with_130_and_leaves_nothing(
    gan_train: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object) -> TrainingImages:
        raise KeyboardInterrupt

    monkeypatch.setattr(train_run, "load_training_images", interrupt)
    result = gan_train("--preset", "mlp")
    assert result.exit_code == 130
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("restored_process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_stop_flag_handles_one_signal_and_the_next_ends_the_process(
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


@pytest.mark.usefixtures("restored_process")
def test_a_signal_is_noticed_even_if_stderr_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    flag = StopFlag()
    flag.install()
    with contextlib.suppress(BrokenPipeError), open(writer, "w", buffering=1) as nobody, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", nobody)
        with pytest.raises(BrokenPipeError):
            print("a line", file=sys.stderr)
        signal.raise_signal(signal.SIGINT)
    assert flag()


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the command as a new process in a folder."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pocketgan_trainer.train_cli", *arguments, "--threads", "1"]
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the end of a command; return its exit code and what it printed after what was read of it."""
    _, printed = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, printed


def interrupt_after_an_epoch(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    """Send a signal when the command has printed an epoch; return its exit code and what it printed from then on."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch"):
            break
    else:
        pytest.fail(f"gan-train ended with {process.wait()} before it trained")
    process.send_signal(number)
    return finish(process)


def test_a_real_process_that_is_stopped_saves_and_prints_how_to_resume(folder: Path, digits: Digits) -> None:
    np.savez("digits.npz", images=digits.images[:500])
    process = start(folder, *PLAN, "--preset", "mlp", "--epochs", "100000")
    code, printed = interrupt_after_an_epoch(process, signal.SIGINT)
    assert code == 130, printed
    assert "gan-train --resume continues from there" in printed
    progress = load_checkpoint(folder / "runs/0001-mlp-digits/last.safetensors").progress
    assert progress.images_seen == 450 * progress.epoch + 50 * progress.step >= 450


def epochs_trained(run: Path) -> int:
    """Return how many epochs of a run are written down."""
    stats = run / "stats.jsonl"
    return len(stats.read_text().splitlines()) if stats.exists() else 0


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "epochs"), [("mlp", 12), ("nano", 4)])
def test_a_process_that_is_killed_at_random_moments_ends_where_an_undisturbed_one_does(
    folder: Path, digits: Digits, preset: str, epochs: int
) -> None:
    np.savez("digits.npz", images=digits.images[:500])
    plan = (*PLAN, "--preset", preset, "--epochs", str(epochs))
    began = time.monotonic()
    assert finish(start(folder, *plan, "--out", "whole"))[0] == 0
    seconds_of_an_epoch = (time.monotonic() - began) / epochs
    whole, runs = folder / "whole" / f"0001-{preset}-digits", folder / "runs" / f"0001-{preset}-digits"

    process = start(folder, *plan)
    while process.poll() is None and not (runs / "last.safetensors").exists():
        time.sleep(0.01)
    process.kill()  # in its first epoch
    assert finish(process)[0] == -signal.SIGKILL

    moments = random.Random(5)
    for _ in range(2):  # after some epochs and a part of the next one; others may slow this machine down or leave it
        epochs_before_the_kill = epochs_trained(runs) + moments.randint(1, epochs // 4)
        process = start(folder, "--resume")
        while process.poll() is None and epochs_trained(runs) < epochs_before_the_kill:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, seconds_of_an_epoch / 2))
        process.kill()
        assert finish(process)[0] == -signal.SIGKILL
    code, printed = finish(start(folder, "--resume"))
    assert code == 0, printed
    assert_same_state(load_checkpoint(runs / "last.safetensors"), load_checkpoint(whole / "last.safetensors"))

    def lines(run: Path) -> list[dict[str, object]]:
        read = [json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines()]
        return [{name: value for name, value in line.items() if name != "seconds"} for line in read]

    assert lines(runs) == lines(whole)
