"""What killed processes left: removed if it is ours and they are gone, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pocketgan_trainer.leftovers import remove_leftovers


@pytest.fixture(scope="module")
def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_files_of_processes_that_are_gone_are_removed_if_they_are_ours(tmp_path: Path, gone: int) -> None:
    ours = [f".last.safetensors.{gone}.tmp", ".last.safetensors.99999999999999999999.tmp"]
    others = [f".last.safetensors.{os.getpid()}.tmp", f".notes.{gone}.tmp", f"last.safetensors.{gone}.tmp", "last.safetensors"]
    for name in ours + others:
        (tmp_path / name).write_text(name)
    (tmp_path / f".last.safetensors.0{gone}.tmp").mkdir()
    remove_leftovers(tmp_path, lambda name: name == "last.safetensors")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*others, f".last.safetensors.0{gone}.tmp"])
