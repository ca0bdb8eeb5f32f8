"""Images and labels in NPY files, an array each, as numpy.save and gan-gen write them (numpy.lib.format)."""

import io
import os
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from pocketgan.files import open_regular_file
from pocketgan_trainer.data.array_files import ArrayHeader, check_images, check_labels, labels_beside, read_contents, unreadable
from pocketgan_trainer.data.source import ImageSource, NamedClasses, WantedImages, array_source, data_set_name, name_classes
from pocketgan_trainer.errors import DataError

_IMAGES_NAME = "images.npy"
"""As gan-gen names it; beside it lies `labels.npy`."""
_LONGEST_HEADER = 10_000
"""In bytes: what numpy itself reads at most."""


def claims_npy(path: Path) -> bool:
    """Return whether this is an NPY file, or a folder in which one lies as gan-gen writes it."""
    return os.path.exists(path / _IMAGES_NAME) if os.path.isdir(path) else path.suffix.lower() == ".npy"


def read_npy_source(path: Path, wanted: WantedImages) -> ImageSource:
    """Return the images [N, H, W] or [N, H, W, 1] of an NPY file, with the labels [N] of the file beside it, if there is one.

    That is named likewise, with `labels` in place of `images`. Raises DataError if a file cannot be read, or if what it holds is
    not what is wanted or takes more than 1 GiB; that is seen from its header, before its values are read.
    """
    path = path / _IMAGES_NAME if os.path.isdir(path) else path
    images = _read(path, partial(check_images, path=path, wanted=wanted))
    classes = NamedClasses()
    if (labels_path := labels_beside(path)) is not None:
        labels = _read(labels_path, partial(check_labels, path=labels_path, count=len(images)))
        classes = name_classes(labels.reshape(-1), labels_path)
    name = path.absolute().parent.name if path.name == _IMAGES_NAME else path.stem
    return array_source(data_set_name(name), images.astype(np.uint8, copy=False), classes)


def _read(path: Path, check: Callable[[ArrayHeader], None]) -> NDArray[np.generic]:
    """Return the array of a file, whose header `check` accepts."""
    try:
        with open_regular_file(path) as file:
            header = read_npy_header(file)
            check(header)
            file.seek(header.offset)
            return array_of(header, read_contents(file, header.size))
    except DataError:
        raise
    except Exception as error:  # Python's parser raises errors of any kind for damaged headers
        raise unreadable(path, "an NPY file", error, "one array of images or labels") from error


def read_npy_header(stream: IO[bytes]) -> ArrayHeader:
    """Return the header with which an array begins.

    Raises ValueError for Python objects and for a version that plain arrays never have, and errors of any kind for a damaged one.
    """
    start = io.BytesIO(stream.read(_LONGEST_HEADER))
    version = np.lib.format.read_magic(start)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, of headers by Python 2
        if version == (1, 0):
            shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(start)
        elif version == (2, 0):
            shape, is_fortran, dtype = np.lib.format.read_array_header_2_0(start)
        else:
            raise ValueError(f"has version {version[0]}.{version[1]} of the array format")
    header = ArrayHeader(tuple(map(int, shape)), dtype, start.tell(), is_fortran)
    if min(header.shape, default=0) < 0:
        raise ValueError(f"holds {header}")
    if dtype.hasobject:
        raise ValueError("holds Python objects, which can run code")
    return header


def array_of(header: ArrayHeader, contents: bytearray) -> NDArray[np.generic]:
    """Return the array of a header and its values, which can be written to."""
    values: NDArray[np.generic] = np.frombuffer(contents, dtype=header.dtype)
    return values.reshape(header.shape, order="F" if header.is_fortran else "C")
