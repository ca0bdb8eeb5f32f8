"""`gan-gen` as a process with little memory, on a model file that means harm: how it ends, and that it leaves nothing behind."""

import os
import subprocess
import sys
from pathlib import Path

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
    """Draw with a model of these contents, and return the exit code and what came on stdout and stderr."""
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
    """Draw with a model of these contents, and return the error that this must end in: one line, exit code 1, no file written."""
    code, out, said = ending(folder, contents, count)
    assert (code, out) == (1, ""), said
    assert said.startswith("error: model model.onnx"), said
    assert said.endswith("\n")
    assert said[:-1].isprintable(), said
    assert len(said) < 2000
    assert [path for path in folder.rglob("*") if path.is_file()] == [folder / "model.onnx"]
    return said
