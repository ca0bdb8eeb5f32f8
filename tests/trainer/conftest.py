"""What all tests of the trainer share: one thread for torch, real digits, and one short run."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

# Before numpy is imported. More threads than idle processors block one another badly, and nothing here is large.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pytest
import torch
from mean_image_watch import mean_image_watch
from numpy.typing import NDArray
from silent_report import SilentReport

from pocketgan_trainer.data.published import Digits, load_mnist
from pocketgan_trainer.training.loop import train
from pocketgan_trainer.training.presets import PRESETS
from pocketgan_trainer.training.recorder import Recorder
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
    config = replace(PRESETS["mlp"].config, epochs=1)
    few = Digits(digits.images[:320], digits.labels[:320])
    recorder = Recorder(config, mean_image_watch(few), run, SilentReport())
    assert train(config, few, torch.device("cpu"), recorder, lambda: False)
    return run
