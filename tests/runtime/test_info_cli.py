"""`gan-info`: the table and the JSON for bug reports, and exit code 1 with a one-line error if something is broken."""

import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import pytest
from chosen_traits import write_with_traits
from fake_onnxruntime import CPU, make_distribution
from protobuf_bytes import metadata_entry
from typer.testing import CliRunner

import pocketgan_models
from pocketgan import info_cli
from pocketgan.cpus import Cpu
from pocketgan.generator import Generator
from pocketgan.info_cli import app
from pocketgan.model.card import CARD_KEY, ModelCard
from pocketgan.model.checked import DEFAULT_MODEL
from pocketgan.version import VERSION

pytestmark = pytest.mark.usefixtures("empty_folder")


class Result(NamedTuple):
    """What gan-info printed."""

    stdout: str
    stderr: str

    def value(self, label: str) -> str:
        """Return the value of the only row with this label."""
        (value,) = self.values(label)
        return value

    def values(self, label: str) -> list[str]:
        """Return the value of each row with this label."""
        return [line[18:] for line in self.stdout.splitlines() if line[:18].strip() == label]

    @property
    def json(self) -> dict[str, Any]:
        """The JSON object on stdout, which must not contain NaN or Infinity."""

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is not JSON")

        facts: dict[str, Any] = json.loads(self.stdout, parse_constant=refuse)
        return facts

    @property
    def error(self) -> str:
        """The error on stderr without its prefix."""
        return self.stderr.removeprefix("error: ").rstrip()


def gan_info(*arguments: str | Path, code: int = 0) -> Result:
    """Run gan-info, and check its exit code, and that it prints one line on stderr if that is not 0."""
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == code, result.stderr
    assert re.fullmatch(r"error: [^\n]+\n" if code else "", result.stderr)
    return Result(result.stdout, result.stderr)


def run(script: str, *arguments: str, code: int = 0) -> Result:
    """Run a script in a separate process."""
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    return Result(done.stdout, done.stderr)


def with_card(path: Path, card: ModelCard, **changes: object) -> Path:
    """Write a model with a changed card, which `ModelCard` may refuse, to the working folder."""
    changed = Path("changed.onnx")
    values = json.loads(card.to_json()) | changes
    changed.write_bytes(path.read_bytes() + metadata_entry(CARD_KEY, json.dumps(values)))
    return changed


def test_the_table_shows_what_is_installed_and_that_the_bundled_model_draws_as_released() -> None:
    result = gan_info()
    assert result.value("pocketgan") == VERSION
    assert result.value("numpy") == np.__version__
    assert result.value("onnxruntime").startswith(f"{onnxruntime.__version__}; distributions: onnxruntime")
    assert f"{CPU}: live" in result.values("provider")
    assert re.fullmatch(r"\d+ usable; .*\d+ in the machine", result.value("cpus"))
    assert result.value("model") == f"{pocketgan_models.path(DEFAULT_MODEL)} (bundled)"
    assert result.value("bundled") == DEFAULT_MODEL
    assert result.value("drawn on") == "cpu (an int8 model)"
    assert result.value("golden pixels") == "images 0 to 99 of seed 0 are as released"
    for size in (1, 64):
        pattern = r"[\d.e+]+ microseconds per image, one thread, median of \d+; the first [\d.e+]+"
        assert re.fullmatch(pattern, result.value(f"in batches of {size}"))
    assert result.values("problem") == []
    for line in result.stdout.splitlines():
        assert line == line.rstrip()
        assert line.isprintable()
        assert not line or re.match(r"[a-z][a-z0-9 ]{0,16} +(?<=^.{18})\S", line)


def test_the_card_of_any_file_is_shown(models: Path, conditional: Generator) -> None:
    result = gan_info("--model", models / "tiny_conditional.onnx", "--provider", "cpu")
    assert result.value("model") == f"{models / 'tiny_conditional.onnx'} (as named)"
    assert result.value("sha256") == conditional.sha256
    assert result.value("bundled") == "no"
    assert result.value("name") == "tiny_conditional"
    assert result.value("latents") == "16 in steps of 0.03125"
    assert result.value("classes") == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    assert result.value("image") == "8 x 8 pixels"
    assert result.value("traits") == "cannot be chosen"
    assert result.value("kernels") == "not known"
    assert result.value("quality") == "frechet 1.5"
    assert result.value("drawn on") == "cpu (requested)"
    assert result.values("golden pixels") == []


def test_traits_that_can_be_chosen_are_shown(conditional: Generator, tmp_path: Path) -> None:
    result = gan_info("--model", write_with_traits(conditional, tmp_path / "chosen.onnx"))
    known = "slant -4.2 to 26 degrees, thickness 2.45 to 3.64 pixels, width by class, none that all classes have"
    assert result.value("traits") == known


def test_json_is_one_object_with_the_card_of_the_file() -> None:
    facts = gan_info("--json").json
    card = Generator.load(DEFAULT_MODEL).card
    assert ModelCard.from_json(json.dumps(facts["model"]["card"])) == card
    assert facts["problems"] == []
    assert facts["installation"]["pocketgan"] == VERSION
    assert facts["installation"]["onnxruntime"]["version"] == onnxruntime.__version__
    assert {"name": CPU, "is_live": True, "reason": None} in facts["installation"]["onnxruntime"]["providers"]
    assert facts["model"]["path"] == str(pocketgan_models.path(DEFAULT_MODEL))
    assert facts["drawing"]["provider"] == "cpu"
    assert facts["drawing"]["golden"]["holds"] is True
    assert [timing["batch_size"] for timing in facts["drawing"]["timings"]] == [1, 64]


@pytest.mark.parametrize(
    ("cpu", "name", "features"),
    [
        (
            Cpu("aarch64", "Raspberry Pi 5", {"asimddp": True, "i8mm": False}),
            "Raspberry Pi 5 (aarch64)",
            "asimddp (dot product); not i8mm (matrix product)",
        ),
        (Cpu("riscv64", None, None), "not known (riscv64)", "not known"),
    ],
)
def test_the_cpu_is_shown_with_the_features_that_it_has_and_lacks(
    cpu: Cpu, name: str, features: str, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pocketgan.installation.read_cpu", lambda: cpu)
    result = gan_info("--model", models / "tiny.onnx")
    assert (result.value("cpu"), result.value("cpu features")) == (name, features)


def test_without_onnxruntime_numpy_draws_the_same_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    result = gan_info()
    assert result.value("onnxruntime") == "not installed: numpy draws int8 models"
    assert result.value("drawn on") == "numpy (onnxruntime is not installed)"
    assert result.value("golden pixels") == "images 0 to 99 of seed 0 are as released"
    facts = gan_info("--json").json
    assert facts["problems"] == []
    assert facts["drawing"]["golden"]["holds"] is True


def test_a_float_model_needs_onnxruntime(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    result = gan_info("--model", models / "tiny_float.onnx", code=1)
    assert result.error.startswith("onnxruntime cannot be imported (")
    assert result.values("drawn on") == []


def test_both_distributions_of_onnxruntime_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("onnxruntime", "onnxruntime-gpu"):
        make_distribution(tmp_path, name)
    monkeypatch.syspath_prepend(tmp_path)
    result = gan_info(code=1)
    assert result.value("onnxruntime") == "not usable; distributions: onnxruntime 9.9, onnxruntime-gpu 9.9"
    assert result.error.startswith("onnxruntime and onnxruntime-gpu are both installed and overwrite each other; run: pip")


def test_it_works_without_numpy() -> None:
    result = run("import sys; sys.modules['numpy'] = None; from pocketgan.info_cli import main; main()", code=1)
    assert result.value("numpy") == "cannot be imported"
    assert result.value("architecture") == DEFAULT_MODEL
    assert re.fullmatch(r"error: numpy cannot be imported \([^\n]+\); run: pip install --force-reinstall numpy\n", result.stderr)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent", "no model {path}: expected a file, or the name of a bundled model ("),
        ("no_card", "model {path}: it has no pocketgan model card: expected a file made by gan-export"),
        ("fails_when_drawing", "model {path} failed to draw: "),
    ],
)
def test_an_unusable_model_is_an_error_and_the_installation_is_shown(models: Path, name: str, message: str) -> None:
    path = models / f"{name}.onnx"
    result = gan_info("--model", path, code=1)
    assert result.error.startswith(message.format(path=path))
    assert f"{CPU}: live" in result.values("provider")
    assert result.error.startswith(result.value("problem")[:100])
    assert gan_info("--model", path, "--json", code=1).json["problems"] == [result.error]


def test_other_pixels_than_the_golden_ones_are_an_error(bundled_folder: Path) -> None:
    listed = {"seed": 0, "count": 5, "pixels_sha256": {DEFAULT_MODEL: "0" * 64}}
    (bundled_folder / "golden.json").write_text(json.dumps(listed))
    result = gan_info(code=1)
    assert result.value("golden pixels") == "images 0 to 4 of seed 0 are NOT as released"
    assert f" draws other pixels than {DEFAULT_MODEL} did when it was released " in result.error
    assert len(result.values("in batches of 1")) == 1


HOSTILE = "\x1b[2J\x1b]0;mine\x07\u202e\r\n\x9b31m\ud800"


@pytest.mark.parametrize("as_json", [False, True], ids=["table", "json"])
def test_a_card_cannot_send_commands_to_the_terminal(models: Path, tiny: Generator, as_json: bool) -> None:
    changes = {
        "training": json.loads(tiny.card.to_json())["training"] | {"data_set": HOSTILE, "checkpoint_sha256": HOSTILE},
        "quality": {HOSTILE: 1.0},
        "licence": HOSTILE,
        "package_version": HOSTILE,
        "kernels": {"integer": 1, "floating_point": [HOSTILE]},
    }
    changed = with_card(models / "tiny.onnx", tiny.card, **changes)
    result = gan_info("--model", changed, *(["--json"] if as_json else []))
    assert all(character.isprintable() or character == "\n" for character in result.stdout)
    if as_json:
        assert result.json["model"]["card"]["licence"] == HOSTILE
    else:
        assert result.value("licence") == "?[2J?]0;mine?????31m?"


def test_a_very_long_text_of_a_card_is_cut(models: Path, tiny: Generator) -> None:
    changed = with_card(models / "tiny.onnx", tiny.card, licence="x" * 100_000)
    assert gan_info("--model", changed).value("licence") == "x" * 500 + "... (100,000 characters)"


def test_characters_that_stdout_cannot_encode_are_replaced(
    models: Path, tiny: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = with_card(models / "tiny.onnx", replace(tiny.card, name="grüße"))
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    info_cli.info(model=str(changed))
    assert b"\nname              gr??e\n" in raw.getvalue()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no full device")
@pytest.mark.parametrize("option", ["--model=nano", "--json"])
def test_a_full_stdout_is_an_error(option: str) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "pocketgan.info_cli", option]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1
    assert re.fullmatch(r"error: cannot write to standard output: [^\n]+\n", done.stderr)


LIST_MODULES = """if True:
    import sys
    from pocketgan.info_cli import app
    try:
        app()
    finally:
        print(*sys.modules, file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (["--help"], {"numpy", "onnxruntime", "PIL", "rich", "pocketgan_models"}),
        (["--version"], {"numpy", "onnxruntime", "PIL", "rich", "pocketgan_models"}),
        (["--model", "nano"], {"PIL", "rich"}),
    ],
)
def test_it_imports_only_what_it_needs(arguments: list[str], unwanted: set[str]) -> None:
    result = run(LIST_MODULES, *arguments)
    assert result.stdout
    assert "pocketgan" in result.stderr.split()
    assert not unwanted & set(result.stderr.split())
