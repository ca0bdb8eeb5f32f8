"""docs/scaling-out.md: what it says is run as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from pocketgan import Generator
from pocketgan.gen_cli import app

PAGE = Path(__file__).parents[1] / "docs" / "scaling-out.md"
PATIENCE = 300


def test_dask_draws_the_parts_on_two_workers(tmp_path: Path) -> None:
    script, _ = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    (tmp_path / "draw.py").write_text(script)
    done = subprocess.run([sys.executable, "draw.py"], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "digits.npy"), Generator.load("pocket").generate(1000, seed=1))


@pytest.mark.parametrize(
    ("kind", "variable"), [("sbatch", "SLURM_ARRAY_TASK_ID"), ("sh -c", "JOB_COMPLETION_INDEX")], ids=["Slurm", "Kubernetes"]
)
def test_a_part_is_drawn_as_a_scheduler_would_start_it(tmp_path: Path, kind: str, variable: str) -> None:
    (line,) = re.findall(rf"^{kind} .*$", PAGE.read_text(), flags=re.MULTILINE)
    (command,) = re.findall(r"'(.*)'", line)
    command = command.replace("1000000", "100").replace("/data/", "").replace("gan-gen", f"{sys.executable} -m pocketgan.gen_cli")
    subprocess.run(["sh", "-c", command], cwd=tmp_path, env={variable: "3"}, check=True, capture_output=True, timeout=PATIENCE)
    # Images 18 to 24 of 100 are part 3 of 16.
    drawn = (tmp_path / "part-3" / "images-idx3-ubyte").read_bytes()[16:]
    assert drawn == Generator.load("pocket").generate(7, start=18).tobytes()


def test_idx_files_of_parts_are_joined_to_those_of_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, script = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    options = ["--model", "pocket", "--count", "100", "--format", "idx", "--quiet"]
    for number in range(16):
        result = CliRunner().invoke(app, [*options, "--shard", f"{number}/16", "--out", f"part-{number}"])
        assert result.exit_code == 0, result.output
    assert CliRunner().invoke(app, [*options, "--out", "whole"]).exit_code == 0
    exec(compile(script, str(PAGE), "exec"), {})
    assert Path("images-idx3-ubyte").read_bytes() == Path("whole/images-idx3-ubyte").read_bytes()
