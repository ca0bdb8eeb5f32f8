"""Images on standard output, for the program at the other end of a pipe: pixels alone, or PNG files one after the other."""

import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial

from pocketgan.drawing import Drawing
from pocketgan.errors import OutputError
from pocketgan.generator import Batch
from pocketgan.output.arrays import image_pixels
from pocketgan.output.png import encoded
from pocketgan.request import Format

_STDOUT, _STDERR = 1, 2


def write_to_stdout(batches: Iterable[Batch], drawing: Drawing, file_format: Format) -> Generator[Batch, None, None]:
    """Write the images of batches to standard output and pass the batches on.

    As `raw`, each image is H*W bytes, a byte for each pixel, row by row; as `png`, each is a PNG file. Until the end nothing else
    in this process can write there. Raises OutputError if standard output is a terminal or cannot be written.
    """
    with _only_for_images() as write:
        if file_format is Format.raw:
            for batch in batches:
                write(image_pixels(batch).tobytes())
                yield batch
        else:
            with closing(encoded(drawing, batches)) as files_of_batches:
                for batch, files in files_of_batches:
                    write(b"".join(files))
                    yield batch


@contextmanager
def _only_for_images() -> Iterator[Callable[[bytes], None]]:
    """Yield what writes to standard output, while all else that is printed in this process goes to standard error."""
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
        # A closed standard error takes nothing; then what is printed is lost, but never among the images.
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
    """Write to a descriptor at once, a pipe's share at a time. Raises OutputError if that fails."""
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError as error:
        raise OutputError(f"cannot write to standard output: {error.strerror}") from error
