"""The commands one after the other, as a user types them: train, export, draw, and a page that shows the run."""

import base64
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pocketgan import Generator
from pocketgan.model.card import TrainingFacts
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


def check_export_and_drawing(folder: Path) -> TrainingFacts:
    """Export the run of one epoch in a folder, draw ten images, compare them with both, and show the run; return its facts."""
    run(folder, "gan-export model.onnx")
    done = run(folder, "gan-gen --count 10 --out d/")
    assert "model.onnx (found in this folder): mlp, int8" in done.stderr
    assert sorted(file.name for file in (folder / "d").glob("*.png")) == [f"{index:08d}.png" for index in range(10)]
    images = np.stack([np.asarray(Image.open(folder / "d" / f"{index:08d}.png")) for index in range(10)])
    model = Generator.load(folder / "model.onnx")
    assert np.array_equal(images, model.generate(10))
    # The sheets of a run show each pixel as 2x2, with a gap of 2 around each image.
    (sheet,) = (folder / "runs").glob("0001-*/fakes_epoch_0001.png")
    run(folder, f"gan-page --run {sheet.parent} --out page.html")
    page = (folder / "page.html").read_text()
    assert all(base64.b64encode((sheet.parent / name).read_bytes()).decode() in page for name in (sheet.name, "curves.png"))
    first = np.asarray(Image.open(sheet))[2 : 2 + 56 : 2, 2 : 2 + 56 : 2].astype(int)
    assert np.abs(first - images[0]).mean() < 3
    assert (model.card.architecture, model.card.precision, model.card.classes) == ("mlp", "int8", ())
    return model.card.training


def test_a_model_is_trained_on_own_images_exported_and_drawn_from(tmp_path: Path) -> None:
    mnist = load_mnist()
    np.savez(tmp_path / "digits.npz", images=mnist.images[:300], labels=mnist.labels[:300])
    run(tmp_path, "gan-train --data digits.npz --epochs 1 --preset mlp --threads 1")
    training = check_export_and_drawing(tmp_path)
    assert (training.data_set, training.epochs) == ("digits", 1)


@pytest.mark.slow
def test_a_model_is_trained_on_mnist_exported_and_drawn_from(tmp_path: Path) -> None:
    run(tmp_path, "gan-train --epochs 1 --preset mlp --threads 1")
    training = check_export_and_drawing(tmp_path)
    assert (training.data_set, training.epochs, training.images_seen) == ("mnist", 1, 55_000 // 64 * 64)
