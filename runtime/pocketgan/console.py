"""What all commands share: their set-up, exit codes and error messages, printing, and `--version`."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import BinaryIO, NoReturn, TypeVar

import typer

from pocketgan.address import RANDOM, parse_seed
from pocketgan.errors import PocketganError, RequestError
from pocketgan.version import VERSION

Parsed = TypeVar("Parsed")


def command_line() -> typer.Typer:
    """Return a new typer application, with `--install-completion` for shells.

    It has no rich help pages or tracebacks, because they would import rich at every start.
    """
    return typer.Typer(
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def limit_numpy_threads() -> None:
    """Let each of numpy's matrix products take one thread, unless the user asks for more: drawing has threads of its own.

    To be called before numpy is imported, which reads these variables then: OpenBLAS, OpenMP, MKL and Accelerate.
    """
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
        os.environ.setdefault(name, "1")


class StandardOutputError(OSError):
    """Standard output cannot be written."""


class _StandardOutput(TextIOWrapper):
    """Standard output that raises StandardOutputError, so that its errors are not mistaken for those of files."""

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

    Python's own way to exit unloads the modules of numpy and onnxruntime first, which takes twenty milliseconds.
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
        except KeyboardInterrupt:  # before typer handles it
            code = 130
        if sys.stdout is not None:
            sys.stdout.flush()
    except StandardOutputError as error:  # typer prints help without a check
        print_message(f"error: cannot write to standard output: {error.strerror}")
        code = 1
    except OSError as error:  # an unexpected one: expected ones are PocketganErrors by now
        print_message(f"error: {'' if error.filename is None else f'{error.filename}: '}{error.strerror or error}")
        code = 1
    if isinstance(code, str):
        print_message(code)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError):  # nobody can read a message any more
                stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


@contextmanager
def cli_errors() -> Iterator[None]:
    """Turn an expected error into one line on stderr and exit code 1."""
    try:
        yield
    except PocketganError as error:
        print_message(f"error: {' '.join(str(error).split())}")
        raise typer.Exit(1) from error


def chosen_seed(text: str, others: Mapping[str, bool]) -> int:
    """Return the seed that `--seed` asks for; one that is chosen at random is printed.

    Other options that are given and need the same seed again, in another call, make a random one a usage error.
    """
    with usage_errors("--seed"):
        seed = parse_seed(text)
    if text == RANDOM:
        for option, is_given in others.items():
            if is_given:
                raise typer.BadParameter(f"random is another seed each time, {option} needs the same one", param_hint="--seed")
        print_message(f"seed {seed}")
    return seed


@contextmanager
def usage_errors(option: str | None = None) -> Iterator[None]:
    """Turn an error about an option's value into a usage error of that option, which has exit code 2.

    Without an `option`, it is that of the argument which a RequestError names.
    """
    try:
        yield
    except RequestError as error:
        argument = None if error.argument is None else f"--{error.argument}"
        raise typer.BadParameter(str(error), param_hint=option or argument) from error
    except PocketganError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def parsed(option: str, parse: Callable[[str], Parsed], value: str | None) -> Parsed | None:
    """Return what `parse` makes of an option's value, None without one. Its errors are usage errors of the option."""
    if value is None:
        return None
    with usage_errors(option):
        return parse(value)


def standard_input() -> BinaryIO:
    """Return standard input. Raises RequestError if it is closed."""
    if sys.stdin is None:
        raise RequestError("cannot read standard input: it is closed")
    return sys.stdin.buffer


def print_output(text: str) -> None:
    """Print to stdout and flush; if that fails, end the command with one line on stderr and exit code 1."""
    if sys.stdout is None:
        print_message("error: cannot write to standard output: it is closed")
        raise typer.Exit(1)
    try:
        print(text, flush=True)
    except OSError as error:
        print_message(f"error: cannot write to standard output: {error.strerror}")
        raise typer.Exit(1) from error


def print_message(message: str) -> None:
    """Print a line to stderr, unless that is closed.

    It may quote a model file, whose escape sequences must not reach the terminal.
    """
    if sys.stderr is not None:
        with suppress(OSError):  # the terminal may be gone, which must not stop the work
            print(printable(message), file=sys.stderr)


def printable(text: str) -> str:
    """Return a text with a question mark for each character that is not printable, such as those of escape sequences."""
    return "".join(character if character.isprintable() else "?" for character in text)


def complete_model(incomplete: str) -> list[str]:
    """Return the names of bundled models that begin with `incomplete`, for completion in a shell."""
    import pocketgan_models

    return [name for name in pocketgan_models.names() if name.startswith(incomplete)]


def show_version(is_requested: bool) -> None:
    """Print the package's version and end the command if `is_requested`: the callback of `--version`."""
    if is_requested:
        print_output(VERSION)
        raise typer.Exit
