"""Images on standard output, for the program at the other end of a pipe."""

import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial

from pocketgan.drawing import Drawing
from pocketgan.errors import OutputError
from pocketgan.generator import Batch
from pocketgan.output.formats import Format
from pocketgan.threads import ordered_map

_STDOUT, _STDERR = 1, 2


def write_to_stdout(batches: Iterable[Batch], drawing: Drawing, file_format: Format) -> Generator[Batch, None, None]:
    """Write the images of batches to standard output, in a format of STREAMED, and yield each batch.

    Images are encoded in as many threads as draw them. Nothing else in this process can write there meanwhile. Raises OutputError
    if standard output is a terminal or cannot be written.
    """
    to_bytes = file_format.row.to_bytes
    assert to_bytes is not None, f"{file_format} cannot be written to standard output"

    def encode(batch: Batch) -> tuple[Batch, bytes]:
        return batch, to_bytes(drawing, batch)

    with _only_for_images() as write, closing(ordered_map(encode, batches, drawing.threads)) as encoded:
        for batch, data in encoded:
            write(data)
            yield batch


@contextmanager
def _only_for_images() -> Iterator[Callable[[bytes], None]]:
    """Yield a function that writes to standard output, while anything else that this process prints goes to standard error."""
    if sys.stdout is None:
        raise OutputError("cannot write to standard output: it is closed")
    try:
        if os.isatty(_STDOUT):
            raise OutputError("standard output is a terminal: send it to a file or a program, as in gan-gen --out - > digits.png")
        sys.stdout.flush()
        duplicate = os.dup(_STDOUT)
    except OSError as error:
        raise OutputError(f"cannot write to standard output: {error.strerror}") from error
    try:
        # If standard error is closed too, other output is lost, but never mixed with the images.
        try:
            os.dup2(_STDERR, _STDOUT)
        except OSError:
            with open(os.devnull, "wb") as null:
                os.dup2(null.fileno(), _STDOUT)
        yield partial(_write_all, duplicate)
    finally:
        with suppress(OSError):  # losing other output is no reason to fail
            sys.stdout.flush()
        os.dup2(duplicate, _STDOUT)
        os.close(duplicate)


def _write_all(descriptor: int, data: bytes) -> None:
    """Write all data to a descriptor; a pipe may take only part of it at a time. Raises OutputError if that fails."""
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError as error:
        raise OutputError(f"cannot write to standard output: {error.strerror}") from error
