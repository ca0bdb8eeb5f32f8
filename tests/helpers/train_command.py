"""Commands run in the tests' own process, and how they fail."""

import re
from collections.abc import Callable

from typer.testing import Result

Command = Callable[..., Result]


def assert_fails(result: Result, code: int, message: str, lines: int = 1) -> None:
    """Check that a command failed with this exit code and message, in this number of lines, and without a traceback."""
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit)
    assert re.search(message, result.stderr), result.stderr
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == lines, result.stderr
