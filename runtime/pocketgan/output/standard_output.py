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
    """Write the images of batches to standard output, in a format of STREAMED, and pass the batches on.

    Images are encoded by as many threads as draw. Until the end nothing else in this process can write there. Raises OutputError
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
    """Yield a function that writes to standard output, while everything else that this process prints goes to standard error."""
    if sys.stdout is None:
        raise OutputError("cannot write to standard output: it is closed")
    try:
        if os.isatty(_STDOUT):
            raise OutputError("standard output is a terminal: send it to a file or a program, as in gan-gen --out - > digits.png")
        sys.stdout.flush()
        kept = os.dup(_STDOUT)
    except OSError as error:
        raise OutputError(f"cannot write to standard output: {error.strerror}") from error
    try:
        # If standard error is closed, what others print is lost, but it never gets among the images.
        try:
            os.dup2(_STDERR, _STDOUT)
        except OSError:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), _STDOUT)
        yield partial(_write_all, kept)
    finally:
        with suppress(OSError):  # what others printed, which is not worth an error
            sys.stdout.flush()
        os.dup2(kept, _STDOUT)
        os.close(kept)


def _write_all(descriptor: int, data: bytes) -> None:
    """Write all data to a descriptor, of which a pipe may take only a part at a time. Raises OutputError if that fails."""
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError as error:
        raise OutputError(f"cannot write to standard output: {error.strerror}") from error
