"""Shell completion: what a shell offers when a user asks it to complete a command."""

import os
import subprocess
import sys

import pytest

PATIENCE = 60


def completions(words: str) -> list[str]:
    """Return what bash would offer after these words of a command line."""
    script = "from pocketgan.gen_cli import app; app(prog_name='gan-gen')"
    environment = {"_GAN_GEN_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | environment, capture_output=True, text=True, timeout=PATIENCE
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("gan-gen --model ", ["dcgan", "mlp", "nano", "pocket"]),
        ("gan-gen --model p", ["pocket"]),
        ("gan-gen --format web", ["webdataset"]),
        ("gan-gen --provider c", ["cpu", "cuda"]),
        ("gan-gen --resu", ["--resume"]),
    ],
)
def test_options_and_their_values_are_completed(words: str, offered: list[str]) -> None:
    assert completions(words) == offered
