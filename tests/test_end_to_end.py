"""The three commands one after the other, as a user types them: train on real digits, export, draw."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pocketgan import Generator

_BIN = Path(sys.executable).parent


def run(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the environment in a folder; it must succeed."""
    program, *arguments = command.split()
    # One OpenMP thread: two processes with two threads each block one another.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [_BIN / program, *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the whole story was played once, with the small preset for one epoch."""
    folder = tmp_path_factory.mktemp("story")
    run(folder, "gan-train --epochs 1 --preset mlp --threads 1")
    run(folder, "gan-export model.onnx")
    return folder


def test_digits_come_from_the_model_just_made(workplace: Path) -> None:
    done = run(workplace, "gan-gen --count 10 --out d/")
    assert "model.onnx (found in this folder): mlp, int8" in done.stderr
    assert sorted(file.name for file in (workplace / "d").glob("*.png")) == [f"{index:08d}.png" for index in range(10)]
    images = np.stack([np.asarray(Image.open(workplace / "d" / f"{index:08d}.png")) for index in range(10)])
    assert np.array_equal(images, Generator.load(workplace / "model.onnx").generate(10))


def test_drawn_digits_are_the_ones_on_the_sheet_of_the_run(workplace: Path) -> None:
    sheet = np.asarray(Image.open(workplace / "runs" / "0001-mlp-mnist" / "fakes_epoch_0001.png"))
    # Sheets show each pixel as 2x2, with a gap of 2 around each image.
    first = sheet[2 : 2 + 56 : 2, 2 : 2 + 56 : 2].astype(int)
    drawn = Generator.load(workplace / "model.onnx").generate(1)[0].astype(int)
    assert np.abs(first - drawn).mean() < 3


def test_card_tells_how_the_model_was_trained(workplace: Path) -> None:
    card = Generator.load(workplace / "model.onnx").card
    assert (card.architecture, card.precision, card.classes) == ("mlp", "int8", ())
    assert (card.training.epochs, card.training.images_seen) == (1, 55_000 // 64 * 64)


@pytest.mark.parametrize(("epochs", "code"), [("0", 2), ("many", 2)])
def test_training_refuses_nonsense_before_it_writes(tmp_path: Path, epochs: str, code: int) -> None:
    done = subprocess.run([_BIN / "gan-train", "--epochs", epochs], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == code
    assert "--epochs" in done.stderr
    assert list(tmp_path.iterdir()) == []
