"""What the tests of training share: run folders, empty and of a finished run, and a sound checkpoint."""

from itertools import count
from pathlib import Path

import pytest
from checkpoint_files import CONFIG, PROGRESS, SUMS, moved_gan
from short_runs import MLP, NewRun, train

from pocketgan_trainer.training.checkpoint import save_checkpoint
from pocketgan_trainer.training.run_folder import RunFolder


@pytest.fixture
def new_run(tmp_path: Path) -> NewRun:
    """Makes empty run folders."""
    numbers = count()

    def make() -> RunFolder:
        path = tmp_path / f"run{next(numbers)}"
        path.mkdir()
        return RunFolder(path)

    return make


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Two epochs of the mlp preset in one go. Shared by all tests: copy it before you change it."""
    run = RunFolder(tmp_path_factory.mktemp("uninterrupted"))
    assert train(MLP, run)
    return run


@pytest.fixture(scope="session")
def checkpoint_contents(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a sound checkpoint."""
    path = tmp_path_factory.mktemp("sound") / "last.safetensors"
    save_checkpoint(path, CONFIG, moved_gan(CONFIG), PROGRESS, SUMS)
    return path.read_bytes()


@pytest.fixture
def checkpoint_path(tmp_path: Path, checkpoint_contents: bytes) -> Path:
    """A sound checkpoint that a test may damage."""
    path = tmp_path / "last.safetensors"
    path.write_bytes(checkpoint_contents)
    return path
