"""`gan-info`: the table that a bug report pastes, the JSON, and exit code 1 with one line where something is broken."""

import io
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
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

PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Answer:
    """What gan-info printed."""

    code: int
    out: str
    said: str

    def value(self, label: str) -> str:
        """Return the value of the only row with this label."""
        (value,) = self.values(label)
        return value

    def values(self, label: str) -> list[str]:
        """Return the value of each row with this label."""
        return [line[18:] for line in self.out.splitlines() if line[:18].strip() == label]

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout, as strict readers read it."""

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is not JSON")

        facts: dict[str, Any] = json.loads(self.out, parse_constant=refuse)
        return facts


def gan_info(*arguments: str | Path, code: int = 0) -> Answer:
    """Run gan-info, and check that it says nothing on stderr if all is well, else one line."""
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == code, result.stderr
    assert re.fullmatch(r"error: [^\n]+\n" if code else "", result.stderr)
    return Answer(result.exit_code, result.stdout, result.stderr)


def run(folder: Path, *arguments: str | Path, script: str | None = None) -> Answer:
    """Run gan-info in a folder as a process of its own, or a script."""
    command = [sys.executable, *(["-m", "pocketgan.info_cli"] if script is None else ["-c", script]), *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    return Answer(done.returncode, done.stdout, done.stderr)


def with_card(path: Path, card: ModelCard, **changes: object) -> Path:
    """Write the tiny model with another card into the working folder: with values that `ModelCard` may refuse."""
    changed = Path("changed.onnx")
    values = json.loads(card.to_json()) | changes
    changed.write_bytes(path.read_bytes() + metadata_entry(CARD_KEY, json.dumps(values)))
    return changed


@pytest.fixture(autouse=True)
def somewhere(empty_folder: Path) -> Path:
    """A working folder without a model.onnx."""
    return empty_folder


def test_the_table_shows_what_is_installed_and_that_the_bundled_model_draws_as_released() -> None:
    answer = gan_info()
    assert answer.value("pocketgan") == VERSION
    assert answer.value("numpy") == np.__version__
    assert answer.value("onnxruntime").startswith(f"{onnxruntime.__version__}; distributions: onnxruntime")
    assert "CPUExecutionProvider: live" in answer.values("provider")
    assert re.fullmatch(r"\d+ to use; .*\d+ in the machine", answer.value("cpus"))
    assert answer.value("model") == f"{pocketgan_models.path(DEFAULT_MODEL)} (bundled)"
    assert answer.value("bundled") == DEFAULT_MODEL
    assert answer.value("drawn on") == "cpu (an int8 model)"
    assert answer.value("golden pixels") == "images 0 to 99 of seed 0 are as released"
    for size in (1, 64):
        pattern = r"[\d.e+]+ microseconds an image, one thread, median of \d+; the first [\d.e+]+"
        assert re.fullmatch(pattern, answer.value(f"in batches of {size}"))
    assert answer.values("problem") == []


def test_the_table_is_plain_lines_with_their_values_below_each_other() -> None:
    for line in gan_info().out.splitlines():
        assert line == line.rstrip()
        assert line.isprintable()
        assert not line or re.match(r"[a-z][a-z0-9 ]{0,16} +(?<=^.{18})\S", line)


def test_the_card_of_any_file_is_shown(models: Path, conditional: Generator) -> None:
    answer = gan_info("--model", models / "tiny_conditional.onnx")
    assert answer.value("model") == f"{models / 'tiny_conditional.onnx'} (as named)"
    assert answer.value("sha256") == conditional.sha256
    assert answer.value("bundled") == "no"
    assert answer.value("name") == "tiny_conditional"
    assert answer.value("latents") == "16 in steps of 0.03125"
    assert answer.value("classes") == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    assert answer.value("image") == "8 x 8 pixels"
    assert answer.value("kernels") == "not known"
    assert answer.value("quality") == "frechet 1.5"
    assert answer.values("golden pixels") == []


def test_json_is_one_object_with_the_card_as_the_file_has_it() -> None:
    facts = gan_info("--json").json
    card = Generator.load(DEFAULT_MODEL).card
    assert facts["model"]["card"] == json.loads(card.to_json())
    assert ModelCard.from_json(json.dumps(facts["model"]["card"])) == card
    assert facts["problems"] == []
    assert facts["installation"]["pocketgan"] == VERSION
    assert facts["installation"]["onnxruntime"]["version"] == onnxruntime.__version__
    assert {"name": "CPUExecutionProvider", "is_live": True, "reason": None} in facts["installation"]["onnxruntime"]["providers"]
    assert facts["model"]["path"] == str(pocketgan_models.path(DEFAULT_MODEL))
    assert facts["drawing"]["provider"] == "cpu"
    assert facts["drawing"]["golden"]["holds"] is True
    assert [timing["batch_size"] for timing in facts["drawing"]["timings"]] == [1, 64]


def test_a_number_that_json_does_not_have_is_null(models: Path, tiny: Generator) -> None:
    changed = with_card(models / "tiny.onnx", tiny.card, quality={"frechet": float("nan"), "worst": float("inf")})
    assert gan_info("--json", "--model", changed).json["model"]["card"]["quality"] == {"frechet": None, "worst": None}
    assert gan_info("--model", changed).value("quality") == "frechet nan, worst inf"


def test_features_of_the_cpu_are_shown_with_those_that_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    features = {"asimddp": True, "i8mm": False}
    monkeypatch.setattr("pocketgan.installation.read_cpu", lambda: Cpu("aarch64", "Raspberry Pi 5", features))
    answer = gan_info("--model", "nano")
    assert answer.value("cpu") == "Raspberry Pi 5 (aarch64)"
    assert answer.value("cpu features") == "asimddp (dot product); not i8mm (matrix product)"
    assert gan_info("--model", "nano", "--json").json["installation"]["cpu"]["features"] == features


def test_a_cpu_of_which_nothing_is_known_is_shown_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketgan.installation.read_cpu", lambda: Cpu("riscv64", None, None))
    answer = gan_info("--model", "nano")
    assert answer.value("cpu") == "not known (riscv64)"
    assert answer.value("cpu features") == "not known"


@pytest.mark.parametrize("as_json", [False, True], ids=["table", "json"])
def test_without_onnxruntime_all_else_is_shown_and_the_exit_code_is_1(monkeypatch: pytest.MonkeyPatch, as_json: bool) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    answer = gan_info(*(["--json"] if as_json else []), code=1)
    assert answer.said.startswith("error: onnxruntime cannot be imported (")
    assert "pip install '.[cpu]'" in answer.said
    if as_json:
        assert answer.json["problems"] == [answer.said.removeprefix("error: ").rstrip()]
        assert answer.json["installation"]["numpy"]["version"] == np.__version__
        assert answer.json["model"]["card"]["architecture"] == DEFAULT_MODEL
        assert answer.json["drawing"] is None
    else:
        assert answer.value("onnxruntime").startswith("not usable; distributions: ")
        assert answer.value("problem") == answer.said.removeprefix("error: ").rstrip()
        assert answer.value("architecture") == DEFAULT_MODEL
        assert answer.values("drawn on") == []


def test_with_onnxruntime_twice_both_are_shown_and_the_exit_code_is_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("onnxruntime", "onnxruntime_gpu"):
        info = tmp_path / f"{name}-9.9.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 9.9\n")
    monkeypatch.syspath_prepend(tmp_path)
    answer = gan_info(code=1)
    assert answer.value("onnxruntime") == "not usable; distributions: onnxruntime 9.9, onnxruntime-gpu 9.9"
    assert answer.said.startswith("error: onnxruntime and onnxruntime-gpu are both installed and overwrite each other; run in")


def test_without_numpy_it_says_so_as_a_process_of_its_own(somewhere: Path) -> None:
    answer = run(somewhere, script="import sys; sys.modules['numpy'] = None; from pocketgan.info_cli import main; main()")
    assert answer.code == 1
    assert answer.value("numpy") == "cannot be imported"
    assert answer.value("architecture") == DEFAULT_MODEL
    assert re.fullmatch(r"error: numpy cannot be imported \([^\n]+\); run: pip install --force-reinstall numpy\n", answer.said)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("absent", "no model {path}: expected a file, or the name of a bundled model ("),
        ("no_card", "model {path}: it has no pocketgan model card: expected a file made by gan-export"),
        ("card_of_schema_2", "model {path}: the model card has schema 2, this version reads up to 1: upgrade pocketgan"),
        ("external_initializer", "model {path}: it keeps weights in another file (external data)"),
        ("float_output", "model {path}"),
        ("fails_when_drawing", "model {path}"),
    ],
)
def test_a_model_that_cannot_be_used_is_said_and_the_installation_is_shown(models: Path, name: str, said: str) -> None:
    path = models / f"{name}.onnx"
    answer = gan_info("--model", path, code=1)
    assert answer.said.startswith(f"error: {said.format(path=path)}")
    assert "CPUExecutionProvider: live" in answer.values("provider")
    assert answer.said.startswith(f"error: {answer.value('problem')[:100]}")
    assert gan_info("--model", path, "--json", code=1).json["problems"] == [answer.said.removeprefix("error: ").rstrip()]


def test_golden_pixels_that_differ_are_exit_code_1(bundled_folder: Path) -> None:
    listed = {"seed": 0, "count": 5, "pixels_sha256": {DEFAULT_MODEL: "0" * 64}}
    (bundled_folder / "golden.json").write_text(json.dumps(listed))
    answer = gan_info(code=1)
    assert answer.value("golden pixels") == "images 0 to 4 of seed 0 are NOT as released"
    assert f" draws other pixels than {DEFAULT_MODEL} did when it was released " in answer.said
    assert len(answer.values("in batches of 1")) == 1


def test_a_provider_that_is_not_live_is_exit_code_1(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    answer = gan_info("--model", models / "tiny_float.onnx", "--provider", "cuda", code=1)
    assert answer.said.startswith(
        "error: --provider cuda: CUDA is not live: this onnxruntime has no CUDA provider; use --provider"
    )
    assert gan_info("--model", models / "tiny_float.onnx", "--provider", "cpu").value("drawn on") == "cpu (asked for)"
    assert gan_info("--model", models / "tiny_float.onnx").value("drawn on").startswith("cpu (CUDA is not live: ")


HOSTILE = "\x1b[2J\x1b]0;mine\x07\u202e\r\n\x9b31m\ud800"


@pytest.mark.parametrize("as_json", [False, True], ids=["table", "json"])
def test_what_a_card_says_cannot_command_the_terminal(models: Path, tiny: Generator, as_json: bool) -> None:
    changes = {
        "training": json.loads(tiny.card.to_json())["training"] | {"data_set": HOSTILE, "checkpoint_sha256": HOSTILE},
        "quality": {HOSTILE: 1.0},
        "licence": HOSTILE,
        "package_version": HOSTILE,
        "kernels": {"integer": 1, "floating_point": [HOSTILE]},
    }
    changed = with_card(models / "tiny.onnx", tiny.card, **changes)
    answer = gan_info("--model", changed, *(["--json"] if as_json else []))
    assert all(character.isprintable() or character == "\n" for character in answer.out)
    if as_json:
        assert answer.json["model"]["card"]["licence"] == HOSTILE
    else:
        assert answer.value("licence") == "?[2J?]0;mine?????31m?"


@pytest.mark.parametrize("as_json", [False, True], ids=["table", "json"])
def test_a_hostile_name_of_a_model_is_refused_and_cannot_command_the_terminal_either(
    models: Path, tiny: Generator, as_json: bool
) -> None:
    changed = with_card(models / "tiny.onnx", tiny.card, name=HOSTILE)
    answer = gan_info("--model", changed, *(["--json"] if as_json else []), code=1)
    assert "the model card's name is " in answer.said
    assert "\x1b" not in answer.out + answer.said


def test_a_hostile_path_cannot_command_the_terminal(models: Path) -> None:
    path = Path("\x1b[2J.onnx")
    path.write_bytes((models / "tiny.onnx").read_bytes())
    assert gan_info("--model", path).value("model") == "?[2J.onnx (as named)"


def test_a_very_long_text_of_a_card_is_cut(models: Path, tiny: Generator) -> None:
    changed = with_card(models / "tiny.onnx", tiny.card, licence="x" * 100_000)
    assert gan_info("--model", changed).value("licence") == "x" * 500 + "... (100,000 characters)"


def test_characters_that_stdout_has_not_are_replaced(models: Path, tiny: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = with_card(models / "tiny.onnx", replace(tiny.card, name="grüße"))
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    info_cli.info(model=str(changed))
    assert b"\nname              gr??e\n" in raw.getvalue()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no full device")
@pytest.mark.parametrize("option", ["--model=nano", "--json"])
def test_a_stdout_that_cannot_be_written_is_exit_code_1_and_one_line(somewhere: Path, option: str) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "pocketgan.info_cli", option]
        done = subprocess.run(command, cwd=somewhere, stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 1
    assert re.fullmatch(r"error: cannot write to standard output: [^\n]+\n", done.stderr)


@pytest.mark.parametrize("arguments", [("--provider", "tpu"), ("--colour",), ("pocket",)])
def test_wrong_usage_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert arguments[0] in result.stderr


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_names_every_option(option: str) -> None:
    result = CliRunner().invoke(app, [option], env={"COLUMNS": "200"})
    assert (result.exit_code, result.stderr) == (0, "")
    for name in ("model", "provider", "json", "version", "help"):
        assert f"--{name} " in result.stdout


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_nothing_heavy(somewhere: Path, option: str) -> None:
    # Python prints on stderr what it imports, in lines that end with "| module".
    command = [sys.executable, "-X", "importtime", "-m", "pocketgan.info_cli", option]
    done = subprocess.run(command, cwd=somewhere, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert (done.returncode, bool(done.stdout)) == (0, True)
    assert "pocketgan" in imported
    assert imported & {"numpy", "onnxruntime", "PIL", "rich", "pocketgan_models"} == set()


def test_it_runs_as_a_process_of_its_own_without_rich_or_pictures(somewhere: Path) -> None:
    script = """if True:
        import sys
        from pocketgan.info_cli import app
        try:
            app()
        finally:
            print([name for name in ("PIL", "rich") if name in sys.modules], file=sys.stderr)
    """
    answer = run(somewhere, "--model", "nano", script=script)
    assert (answer.code, answer.said) == (0, "[]\n")
    assert run(somewhere, "--model", "nano").value("golden pixels") == "images 0 to 99 of seed 0 are as released"
