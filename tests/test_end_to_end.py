"""The three commands one after the other, as a user types them: train, export, draw."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pocketgan import Generator
from pocketgan_trainer.data.published import load_mnist

_BIN = Path(sys.executable).parent


def run(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the environment in a folder; it must succeed."""
    program, *arguments = command.split()
    # One OpenMP thread: two processes with two threads each block one another.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [_BIN / program, *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True, timeout=300
    )


def check_files_and_model(folder: Path) -> None:
    """Draw ten images with gan-gen in a folder with model.onnx and a run of one epoch, and compare them with both."""
    done = run(folder, "gan-gen --count 10 --out d/")
    assert "model.onnx (found in this folder): mlp, int8" in done.stderr
    assert sorted(file.name for file in (folder / "d").glob("*.png")) == [f"{index:08d}.png" for index in range(10)]
    images = np.stack([np.asarray(Image.open(folder / "d" / f"{index:08d}.png")) for index in range(10)])
    model = Generator.load(folder / "model.onnx")
    assert np.array_equal(images, model.generate(10))
    # The sheets of a run show each pixel as 2x2, with a gap of 2 around each image.
    (sheet,) = (folder / "runs").glob("0001-*/fakes_epoch_0001.png")
    first = np.asarray(Image.open(sheet))[2 : 2 + 56 : 2, 2 : 2 + 56 : 2].astype(int)
    assert np.abs(first - images[0]).mean() < 3
    assert (model.card.architecture, model.card.precision, model.card.classes) == ("mlp", "int8", ())


def test_a_model_is_trained_on_own_images_exported_and_drawn_from(tmp_path: Path) -> None:
    mnist = load_mnist()
    np.savez(tmp_path / "digits.npz", images=mnist.images[:300], labels=mnist.labels[:300])
    run(tmp_path, "gan-train --data digits.npz --epochs 1 --preset mlp --threads 1")
    run(tmp_path, "gan-export model.onnx")
    check_files_and_model(tmp_path)
    training = Generator.load(tmp_path / "model.onnx").card.training
    assert (training.data_set, training.epochs) == ("digits", 1)


@pytest.mark.slow
def test_a_model_is_trained_on_mnist_exported_and_drawn_from(tmp_path: Path) -> None:
    run(tmp_path, "gan-train --epochs 1 --preset mlp --threads 1")
    run(tmp_path, "gan-export model.onnx")
    check_files_and_model(tmp_path)
    training = Generator.load(tmp_path / "model.onnx").card.training
    assert (training.data_set, training.epochs, training.images_seen) == ("mnist", 1, 55_000 // 64 * 64)


@pytest.mark.parametrize("epochs", ["0", "many"])
def test_wrong_usage_of_gan_train_ends_before_it_writes(tmp_path: Path, epochs: str) -> None:
    done = subprocess.run([_BIN / "gan-train", "--epochs", epochs], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "--epochs" in done.stderr
    assert list(tmp_path.iterdir()) == []
