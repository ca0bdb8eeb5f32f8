"""Every error that pocketgan raises on purpose.

PocketganError
    ModelError          a model file is absent, not ONNX, unsafe or not ours
        CardError       the model card inside it is absent, malformed or of a newer schema
    RuntimeMissingError onnxruntime is not installed, or twice
    ProviderError       the execution provider that was asked for is not live
    RequestError        a count, seed, index, class, text or truncation that cannot be drawn
    OutputError         a file or folder cannot be written

The trainer adds its own below the same root. A library function raises; only a command line prints and exits.
"""

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def first_line(error: BaseException) -> str:
    """Return the first line of a foreign error's message, or the error's name if it has no message."""
    return next(iter(str(error).splitlines()), type(error).__name__)


class PocketganError(Exception):
    """The root of all errors here. A message is one line: what was found, what was expected, what to do."""


class ModelError(PocketganError):
    """A model file cannot be used: absent, not ONNX, too large, with external data, or not a pocketgan generator."""


class CardError(ModelError):
    """The model card in a model file is absent, malformed or of a newer schema."""


class RuntimeMissingError(PocketganError):
    """onnxruntime cannot be imported, or two of its distributions lie on top of each other."""


class ProviderError(PocketganError):
    """The execution provider that was asked for is not available or did not become active."""


class RequestError(PocketganError, ValueError):
    """An argument of a call is out of its range: count, seed, start, digits, text or truncation."""

    argument: str | None = None
    """The name of that argument, where a function takes many."""


@contextmanager
def of_argument(name: str) -> "Iterator[None]":
    """Name the argument in a RequestError that is raised within."""
    try:
        yield
    except RequestError as error:
        error.argument = name
        raise


class OutputError(PocketganError):
    """An output file or folder cannot be written, or would overwrite something."""


def suggestion(name: str, known: "Iterable[str]") -> str:
    """Return "; did you mean ...?" for the known name that is closest to `name`, or nothing if none is close."""
    from difflib import get_close_matches

    return "".join(f"; did you mean {match}?" for match in get_close_matches(name, list(known), n=1))
