"""How the trainer's commands start: help at once, and one line where a package is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = {"gan-train": "train_cli", "gan-export": "export_cli", "gan-eval": "eval_cli"}


def start(command: str, preparation: str, arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a new process, in `folder`, after a line of Python; what it imported goes to imported.txt there."""
    code = (
        f"import os, sys; sys.argv = {[command, *arguments]!r}; {preparation}\n"
        "os._exit = sys.exit  # or what follows would not be done\n"
        f"from pocketgan_trainer.{COMMANDS[command]} import main\n"
        "try: main()\n"
        "finally: open('imported.txt', 'w').write(' '.join(sys.modules))"
    )
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("gan-train", ["--epochs", "--preset", "--resume", "--dry-run"]),
        ("gan-export", ["--precision"]),
        ("gan-eval", ["--told-apart", "--cas", "--report"]),
    ],
)
def test_help_does_not_wait_for_torch(tmp_path: Path, command: str, options: list[str]) -> None:
    done = start(command, "", ["--help"], tmp_path)
    assert done.returncode == 0
    assert all(option in done.stdout for option in options)
    assert done.stderr == ""
    imported = (tmp_path / "imported.txt").read_text().split()
    assert "typer" in imported
    assert {"torch", "onnx", "onnxruntime", "numpy", "rich"}.isdisjoint(imported)


@pytest.mark.parametrize(
    ("command", "arguments", "package"),
    [
        *(("gan-train", ["--dry-run"], package) for package in ("torch", "onnx", "safetensors", "platformdirs", "matplotlib")),
        ("gan-train", ["--dry-run"], "scipy"),
        ("gan-export", ["model.onnx"], "torch"),
        ("gan-eval", ["pocket"], "torch"),
    ],
)
def test_without_the_training_extra_it_says_what_to_install(
    tmp_path: Path, command: str, arguments: list[str], package: str
) -> None:
    # None in sys.modules is how Python marks a module that cannot be imported.
    done = start(command, f"sys.modules[{package!r}] = None", arguments, tmp_path)
    assert done.returncode == 1
    need = "training and export need the packages of the extra 'train'"
    assert done.stderr == f"error: {package} not installed: {need}; run: pip install {package}\n"
    assert done.stdout == ""


def test_onnxruntimes_telemetry_is_off_before_any_module_of_the_trainer_is_imported() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    script = "import pocketgan_trainer, os, sys; print(os.environ['ORT_DISABLE_TELEMETRY'], 'onnxruntime' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("module", COMMANDS.values())
def test_help_to_a_full_disk_is_1_with_one_line(module: str) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", f"pocketgan_trainer.{module}", "--help"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (1, "error: cannot write to standard output: No space left on device\n")


@pytest.mark.skipif(sys.platform == "win32", reason="a folder that is used cannot be removed there")
@pytest.mark.parametrize("module", COMMANDS.values())
def test_a_working_folder_that_is_gone_is_1_with_one_line(module: str, tmp_path: Path) -> None:
    arguments = {"export_cli": ["/nowhere/m.onnx"]}.get(module, [])
    script = f"import os, sys; os.rmdir(os.getcwd()); from pocketgan_trainer.{module} import main; main()"
    (tmp_path / "gone").mkdir()
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, cwd=tmp_path / "gone", capture_output=True, text=True, timeout=300, check=False)
    expected = "error: cannot work in the current folder (No such file or directory): change to another one\n"
    assert (done.returncode, done.stderr) == (1, expected)
