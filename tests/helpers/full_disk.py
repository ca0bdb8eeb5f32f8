"""A disk that is full, as far as one block of a test can see."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def small_files_only(largest_bytes: int = 1000) -> Iterator[None]:
    """Have the operating system refuse to let any file of this process grow beyond a size, as it does on a full disk.

    It is for the narrowest block that will do: pytest's own output is a file too, when it is redirected.
    """
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
