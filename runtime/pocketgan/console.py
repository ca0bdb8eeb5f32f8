"""What the command lines share: how they are set up, how errors end them, and `--version`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import NoReturn

import typer

from pocketgan.errors import PocketganError
from pocketgan.version import VERSION


def command_line() -> typer.Typer:
    """Return a fresh command line, which completes what is typed in shells that were told so by `--install-completion`.

    It is without rich's help pages and tracebacks, which would be imported at every start.
    """
    return typer.Typer(
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


class StandardOutputError(OSError):
    """Standard output cannot be written."""


class _StandardOutput(TextIOWrapper):
    """Standard output whose errors are known from those of files."""

    def write(self, text: str, /) -> int:
        with _standard_output_errors():
            return super().write(text)

    def flush(self) -> None:
        with _standard_output_errors():
            super().flush()


@contextmanager
def _standard_output_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StandardOutputError(error.errno, error.strerror or str(error)) from error


def run_and_exit(app: typer.Typer) -> NoReturn:
    """Run a command line and end the process with its exit code, at once.

    Taking numpy's and onnxruntime's modules apart first, as Python does, takes twenty milliseconds and changes nothing.
    """
    stdout = sys.stdout
    if isinstance(stdout, TextIOWrapper):
        sys.stdout = _StandardOutput(
            stdout.buffer,
            stdout.encoding,
            stdout.errors,
            line_buffering=stdout.line_buffering,
            write_through=stdout.write_through,
        )
    code: str | int | None = 0
    try:
        try:
            app()
        except SystemExit as ended:
            code = ended.code
        except KeyboardInterrupt:  # before typer took it over
            code = 130
        if sys.stdout is not None:
            sys.stdout.flush()
    except StandardOutputError as error:  # where typer prints help
        tell(f"error: cannot write to standard output: {error.strerror}")
        code = 1
    except OSError as error:  # expected ones are PocketganErrors by now, so all there is to say is what the system says
        tell(f"error: {'' if error.filename is None else f'{error.filename}: '}{error.strerror or error}")
        code = 1
    if isinstance(code, str):
        tell(code)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError):  # there is nowhere left to complain
                stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


@contextmanager
def cli_errors() -> Iterator[None]:
    """Turn an expected error into one line on stderr and exit code 1."""
    try:
        yield
    except PocketganError as error:
        tell(f"error: {' '.join(str(error).split())}")
        raise typer.Exit(1) from error


@contextmanager
def usage_errors(option: str) -> Iterator[None]:
    """Turn an error of whoever reads an option's value into a usage error of that option, and so into exit code 2."""
    try:
        yield
    except PocketganError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def put(text: str) -> None:
    """Print to stdout, at once; where that cannot be written, end the command with one line on stderr and exit code 1."""
    if sys.stdout is None:
        tell("error: cannot write to standard output: it is closed")
        raise typer.Exit(1)
    try:
        print(text, flush=True)
    except OSError as error:
        tell(f"error: cannot write to standard output: {error.strerror}")
        raise typer.Exit(1) from error


def tell(message: str) -> None:
    """Print a line to stderr, unless that is closed.

    It may quote a model file, which must not get to command the terminal with an escape sequence.
    """
    if sys.stderr is not None:
        with suppress(OSError):  # a terminal that has gone: what is being done goes on
            print(printable(message), file=sys.stderr)


def printable(text: str) -> str:
    """Return a text with a question mark for each character that could command a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def complete_model(incomplete: str) -> list[str]:
    """Return the bundled models whose names begin so, for shells that complete what is typed."""
    import pocketgan_models

    return [name for name in pocketgan_models.names() if name.startswith(incomplete)]


def show_version(asked: bool) -> None:
    """Print the package's version and end the command, if `--version` was given."""
    if asked:
        put(VERSION)
        raise typer.Exit
