"""The commands that README.md, docs/files.md and docs/numbers.md show: each is run as it stands there."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pocketgan import Generator
from pocketgan.output.formats import Format

_ROOT = Path(__file__).parents[1]
_PAGES = ("README.md", "docs/files.md", "docs/numbers.md")
PATIENCE = 120


def commands() -> list[str]:
    """Return the lines of the pages' code blocks that begin with the name of a command that draws."""
    found = []
    for page in _PAGES:
        for block in re.findall(r"^```\n(.*?)^```", (_ROOT / page).read_text(), flags=re.DOTALL | re.MULTILINE):
            found += [line for line in block.splitlines() if line.startswith(("gan-gen", "gan-write", "gan-page"))]
    return found


def test_the_pages_show_commands() -> None:
    assert len(commands()) >= 12


def test_the_page_describes_every_format_in_the_order_of_the_help() -> None:
    rows = re.findall(r"^\| `([a-z.]+)` \|", (_ROOT / "docs" / "files.md").read_text(), flags=re.MULTILINE)
    assert rows == list(Format)


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_pages_works(tmp_path: Path, command: str) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    subprocess.run(["sh", "-ec", command], cwd=tmp_path, env=os.environ | {"PATH": path}, check=True, timeout=PATIENCE)


def test_the_training_commands_of_the_readme_are_known(tmp_path: Path) -> None:
    (command,) = (line for line in (_ROOT / "README.md").read_text().splitlines() if line.startswith("gan-train "))
    words = [sys.executable, "-m", "pocketgan_trainer.train_cli", *shlex.split(command, comments=True)[1:], "--dry-run"]
    done = subprocess.run(words, cwd=tmp_path, check=True, timeout=PATIENCE, capture_output=True, text=True)
    assert "50 epochs" in done.stdout + done.stderr


def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", (_ROOT / "README.md").read_text(), flags=re.DOTALL | re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nassert images.shape == (10, 28, 28) and len(sevens) == 10"],
        cwd=tmp_path, check=True, timeout=PATIENCE, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.startswith("0 ")


def test_the_numbers_on_the_page_are_those_that_its_command_draws(tmp_path: Path) -> None:
    (command,) = (command for command in commands() if command.endswith("--out page/"))
    subprocess.run(
        [sys.executable, "-m", "pocketgan.write_cli", *shlex.split(command)[1:]], cwd=tmp_path, check=True, timeout=PATIENCE
    )
    drawn, shown = (np.asarray(Image.open(path)) for path in (tmp_path / "page/00000000.png", _ROOT / "docs/page.png"))
    np.testing.assert_array_equal(drawn, shown)


def test_the_animation_on_the_page_is_the_one_that_is_drawn(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pocketgan.gen_cli", "--model", "pocket", "--gif", "--out", str(tmp_path), "--quiet"]
    subprocess.run(command, check=True, timeout=PATIENCE)
    with Image.open(_ROOT / "docs" / "walk.gif") as shown, Image.open(tmp_path / "walk.gif") as drawn:
        assert shown.n_frames == drawn.n_frames == 160  # type: ignore[attr-defined]
        for frame in range(0, 160, 8):
            shown.seek(frame)
            drawn.seek(frame)
            np.testing.assert_array_equal(np.asarray(shown.convert("L")), np.asarray(drawn.convert("L")))
        drawn.seek(48)
        keyframe = np.asarray(drawn.convert("L"))[::4, ::4]
    np.testing.assert_array_equal(keyframe, Generator.load("pocket").generate(1, start=3)[0])


def test_the_labels_of_parts_are_joined_as_the_page_does_it(tmp_path: Path) -> None:
    write = [sys.executable, "-m", "pocketgan.write_cli", "--count", "6", "--boxes", "coco", "--quiet", "--out"]
    for part in ("0/2", "1/2"):
        subprocess.run([*write, "coco", "--shard", part], cwd=tmp_path, check=True, timeout=PATIENCE)
    subprocess.run([*write, "whole"], cwd=tmp_path, check=True, timeout=PATIENCE)
    (code,) = re.findall(r"^```python\n(.*?)^```", (_ROOT / "docs/numbers.md").read_text(), flags=re.DOTALL | re.MULTILINE)
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=PATIENCE)
    joined, whole = (json.loads((tmp_path / name).read_text()) for name in ("coco/all.json", "whole/annotations.json"))
    assert [one["file_name"] for one in joined["images"]] == [f"{index:08d}.png" for index in range(6)]
    ids = [one["id"] for one in joined["annotations"]]
    assert len(ids) == len(set(ids))
    places = [[(one["image_id"], one["category_id"], one["bbox"]) for one in labels["annotations"]] for labels in (joined, whole)]
    assert places[0] == places[1]
