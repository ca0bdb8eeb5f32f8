"""`gan-gen` on a model file that means harm: how it ends, and that it leaves nothing behind."""

import os
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from pocketgan.gen_cli import app

ADDRESS_SPACE = 1024 * 2**20
"""Bytes that the process may map: what it maps without using it counts too, so it uses far less."""

PATIENCE = 60
"""Seconds after which a process is taken to hang."""

_SCRIPT = f"""if True:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, ({ADDRESS_SPACE}, {ADDRESS_SPACE}))
    from pocketgan.gen_cli import main
    main()
"""


def ending(folder: Path, contents: bytes, count: int = 2) -> tuple[int, str, str]:
    """Draw in a process with little memory, and return the exit code and what came on stdout and stderr."""
    (folder / "model.onnx").write_bytes(contents)
    command = [sys.executable, "-c", _SCRIPT, "--model", "./model.onnx", "--count", str(count), "--out", "digits", "--quiet"]
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    return done.returncode, done.stdout, done.stderr


def refusal(folder: Path, contents: bytes, count: int = 2) -> str:
    """Draw in a process with little memory; return the error that this must end in: one line, exit code 1, no file written."""
    code, out, said = ending(folder, contents, count)
    assert (code, out) == (1, ""), said
    return _one_line(folder, "model.onnx", said)


def refusal_here(folder: Path, contents: bytes) -> str:
    """Return the same error, but draw within this process: for a file that is refused before it could take memory or crash."""
    path = folder / "model.onnx"
    path.write_bytes(contents)
    arguments = ["--model", str(path), "--count", "2", "--out", str(folder / "digits"), "--quiet"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert (result.exit_code, result.stdout) == (1, ""), result.stderr
    return _one_line(folder, str(path), result.stderr)


def _one_line(folder: Path, model: str, said: str) -> str:
    assert said.startswith(f"error: model {model}"), said
    assert said.endswith("\n")
    assert said[:-1].isprintable(), said
    assert len(said) < 2000
    assert [path for path in folder.rglob("*") if path.is_file()] == [folder / "model.onnx"]
    return said
