"""What the tests of the runtime share: the committed tiny models, opened."""

from pathlib import Path

import pytest

import pocketgan_models
from pocketgan.generator import Generator
from pocketgan.model.checked import DEFAULT_MODEL

MODELS = Path(__file__).parent / "models"


@pytest.fixture
def models() -> Path:
    """The folder that scripts/make_test_models.py filled: good models and broken ones."""
    return MODELS


@pytest.fixture(scope="session")
def tiny() -> Generator:
    """A model without classes: 8x8 pixels, 16 latents, int8."""
    return Generator.load(MODELS / "tiny.onnx")


@pytest.fixture(scope="session")
def conditional() -> Generator:
    """The same with ten classes, named 0 to 9."""
    return Generator.load(MODELS / "tiny_conditional.onnx")


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the working folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def bundled_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of the one that the bundled models lie in, with a tiny model as the default one."""
    folder = tmp_path / "bundled"
    folder.mkdir()
    (folder / f"{DEFAULT_MODEL}.onnx").write_bytes((MODELS / "tiny.onnx").read_bytes())
    monkeypatch.setattr(pocketgan_models, "_FOLDER", folder)
    return folder
