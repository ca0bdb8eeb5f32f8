"""How errors end a command: one line on stderr and exit code 1, and only for errors that are ours."""

import pytest
import typer

from pocketgan.console import cli_errors
from pocketgan.errors import ModelError, PocketganError


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


def test_errors_of_other_packages_below_our_root_are_expected_too(capsys: pytest.CaptureFixture[str]) -> None:
    class OtherError(PocketganError):
        pass

    with pytest.raises(typer.Exit), cli_errors():
        raise OtherError("of the trainer")
    assert capsys.readouterr().err == "error: of the trainer\n"


def test_where_all_is_well_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with cli_errors():
        pass
    assert capsys.readouterr() == ("", "")
