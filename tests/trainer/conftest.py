"""What all tests of the trainer share: one thread for torch, real digits, one short run, and gan-train in this process."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

# Before numpy is imported. More threads than idle processors block one another badly, and nothing here is large.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pytest
import short_runs
import torch
from numpy.typing import NDArray
from short_runs import mean_image_watch
from train_command import Command
from typer.testing import CliRunner

from pocketgan_trainer import train_cli, train_run
from pocketgan_trainer.data.images import MNIST_FACTS, TrainingImages
from pocketgan_trainer.data.published import Digits, load_mnist
from pocketgan_trainer.training import recorder
from pocketgan_trainer.training.estimate import Estimate, NetworkSize
from pocketgan_trainer.training.presets import PRESETS
from pocketgan_trainer.training.run_folder import RunFolder, create_run_folder

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def untouched_random_state() -> Iterator[None]:
    """Start each test from the same random state, whatever ran before, and leave torch's as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="session")
def digits() -> Digits:
    """The first 2,000 training digits of MNIST."""
    mnist = load_mnist()
    return Digits(mnist.images[:2000].copy(), mnist.labels[:2000].copy())


@pytest.fixture(scope="session")
def images(digits: Digits) -> NDArray[np.uint8]:
    """The same digits as images alone, uint8 [2000, 28, 28]."""
    return digits.images


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    working = tmp_path / "working"
    working.mkdir()
    monkeypatch.chdir(working)
    return working


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory, digits: Digits) -> RunFolder:
    """A finished run of the mlp preset, one epoch of 320 digits. Shared by all tests: copy it before you change it."""
    run = create_run_folder(tmp_path_factory.mktemp("trained") / "runs", "mlp", "mnist")
    few = Digits(digits.images[:320], digits.labels[:320])
    assert short_runs.train(replace(PRESETS["mlp"].config, epochs=1), run, watch=mean_image_watch(few), digits=few)
    return run


@pytest.fixture
def restored_process() -> Iterator[None]:
    """Take back what gan-train does to its process: its signal handlers and torch's threads."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in handlers:
        signal.signal(number, signal.default_int_handler)  # a signal that the command misses must not end the tests
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def gan_train(folder: Path, monkeypatch: pytest.MonkeyPatch, restored_process: None) -> Command:
    """Runs gan-train in this process, in an empty folder, on one CPU."""
    monkeypatch.setattr(train_run, "usable_cpus", lambda: 1)
    return lambda *arguments: CliRunner().invoke(train_cli.app, [str(argument) for argument in arguments])


@pytest.fixture
def few_digits(monkeypatch: pytest.MonkeyPatch, digits: Digits) -> None:
    """Make gan-train find 320 digits instead of 55,000 and 60 instead of 5,000, and need no judge, curves or time estimate."""
    labels = digits.labels[:380].astype(np.int64)
    few = TrainingImages("mnist", MNIST_FACTS.classes, digits.images[:380], labels, notes=())
    size = NetworkSize(weights=1_000, multiply_adds=2_000)
    monkeypatch.setattr(train_run, "load_training_images", lambda *arguments: few)
    monkeypatch.setattr("pocketgan_trainer.data.split.VALIDATION_DIGITS", 60)
    monkeypatch.setattr(train_run, "load_judge", lambda which: which)
    monkeypatch.setattr(
        train_run, "watch_validation", lambda judge, split, classes, is_conditional: mean_image_watch(split.validation)
    )
    monkeypatch.setattr(
        train_run, "estimate", lambda config, digits, device, seen: Estimate(size, size, images=3_000, seconds=60.0)
    )
    monkeypatch.setattr(recorder, "write_curves", short_runs.quick_curves)
    monkeypatch.setattr(recorder, "SHEET_IMAGES", short_runs.SHEET_IMAGES)
