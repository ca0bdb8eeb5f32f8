"""What the command lines share: how they are set up, how errors end them, and `--version`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from pocketgan.errors import PocketganError


def command_line() -> typer.Typer:
    """Return a fresh command line without rich's help pages and tracebacks, which would be imported at every start."""
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


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


def tell(message: str) -> None:
    """Print a line to stderr, unless that is closed.

    It may quote a model file, which must not get to command the terminal with an escape sequence.
    """
    if sys.stderr is not None:
        print("".join(character if character.isprintable() else "?" for character in message), file=sys.stderr)


def show_version(asked: bool) -> None:
    """Print the package's version and end the command, if `--version` was given."""
    if asked:
        from importlib.metadata import version

        print(version("pocketgan"))
        raise typer.Exit
