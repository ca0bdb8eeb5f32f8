"""What the tests of training share: run folders, empty and of a finished run."""

from itertools import count
from pathlib import Path

import pytest
from short_runs import MLP, NewRun, train

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
