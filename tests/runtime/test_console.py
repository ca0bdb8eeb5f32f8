"""How errors end a command: with exit code 1 and one line on stderr that says what failed."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from pocketgan.console import cli_errors
from pocketgan.errors import ModelError


def test_an_expected_error_is_one_line_on_stderr_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught, cli_errors():
        raise ModelError("model x.onnx\n  is  \t wrong:\nexport it again\n")
    assert caught.value.exit_code == 1
    assert capsys.readouterr() == ("", "error: model x.onnx is wrong: export it again\n")


def test_an_error_cannot_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), cli_errors():
        raise ModelError("no kernel for Conv\x1b[2J\x07\u202e, grüße")
    assert capsys.readouterr().err == "error: no kernel for Conv?[2J??, grüße\n"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_other_errors_pass(error: type[BaseException], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(error), cli_errors():
        raise error
    assert capsys.readouterr() == ("", "")


def ended(body: str, stdout: str = "/dev/null") -> tuple[int, str]:
    """Return the exit code of a command that runs the body and prints "done", and what it prints on stderr."""
    script = (
        "import os, sys, typer\nfrom pocketgan.console import command_line, run_and_exit\napp = command_line()\n"
        f"@app.command()\ndef main():\n    {body}\n    print('done', file=sys.stderr)\nrun_and_exit(app)"
    )
    with open(stdout, "w") as file:
        done = subprocess.run(
            [sys.executable, "-c", script], stdout=file, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("open('/absent/notes')", "error: /absent/notes: No such file or directory\n"),
        ("os.write(99, b'lost')", "error: Bad file descriptor\n"),
        ("raise OSError('disk on fire')", "error: disk on fire\n"),
    ],
)
def test_an_unexpected_os_error_is_one_line(body: str, message: str) -> None:
    assert ended(body) == (1, message)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("body", ["print('x', flush=True)", "print('x' * 100_000)", "typer.echo('x')", "sys.stdout.write('x')"])
def test_output_that_cannot_be_printed_is_an_error_of_standard_output(body: str) -> None:
    code, said = ended(body, "/dev/full")
    assert code == 1
    assert said.removeprefix("done\n") == "error: cannot write to standard output: No space left on device\n"


@pytest.mark.parametrize(
    ("body", "code"), [("pass", 0), ("raise typer.Exit(7)", 7), ("sys.exit(3)", 3), ("raise KeyboardInterrupt", 130)]
)
def test_a_command_ends_with_its_own_code(body: str, code: int) -> None:
    assert ended(body)[0] == code
