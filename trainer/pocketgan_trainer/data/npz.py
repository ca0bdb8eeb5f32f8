"""Images and labels in an NPZ file, under the names that are usual in public data sets, or as gan-gen writes them."""

import io
import os
import textwrap
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from pocketgan.files import open_regular_file
from pocketgan_trainer.data.array_files import (
    LARGEST_LABELS,
    ArrayHeader,
    WantedImages,
    check_size,
    read_contents,
)
from pocketgan_trainer.data.source import ImageSource, array_kinds, data_set_name, name_classes
from pocketgan_trainer.errors import DataError

_PAIRS = (
    ("images", "labels"),
    ("x_train", "y_train"),  # Keras's mnist.npz
    ("X_train", "y_train"),
    ("train_images", "train_labels"),  # MedMNIST
    ("arr_0", "arr_1"),  # numpy's own, where no names were given; KMNIST and Kuzushiji-49 keep labels in a file beside
)
_ALONE = ("arr_0", "labels")
"""Names of labels that have a file of their own."""
_LARGEST_DIRECTORY = 2**20
"""In bytes, of the list of an archive's members: 10,000 of them."""
_LONGEST_HEADER = 10_000
"""In bytes: what numpy itself reads at most."""


def read_npz_source(path: Path, wanted: WantedImages) -> ImageSource:
    """Return the images [N, H, W] or [N, H, W, 1] of an NPZ file and, if they are there, their labels [N] or [N, 1].

    Labels are whole numbers from 0 on, or names of classes. Raises DataError if the file cannot be read, or if what it holds is
    not what is wanted or takes more than 1 GiB; all that is seen from headers, before anything is unpacked.
    """
    with _Archive(path) as archive:
        pair = next((pair for pair in _PAIRS if pair[0] in archive.members), None)
        if pair is None:
            found = ", ".join(sorted(archive.members)[:5]) or "nothing"
            message = (
                f"{path} holds {found}: expected arrays `images` and, if known, `labels`, or `x_train` and `y_train`; rename them"
            )
            raise DataError(message)
        header = archive.header(pair[0])
        wanted.check(header, path)
        count, labels = header.shape[0], None
        labels_header = archive.header(pair[1]) if pair[1] in archive.members else None
        if labels_header is not None:
            _check_labels(labels_header, count, path)
            labels = archive.read(pair[1], labels_header)
        images = archive.read(pair[0], header)
    labels_path = path
    if labels is None and (beside := _labels_beside(path)) is not None:
        labels_path = beside
        with _Archive(beside) as archive:
            name = next((name for name in _ALONE if name in archive.members), _ALONE[0])
            labels_header = archive.header(name)
            _check_labels(labels_header, count, beside)
            labels = archive.read(name, labels_header)
    pixels = np.ascontiguousarray(images.reshape(images.shape[:3]), dtype=np.uint8)
    name = data_set_name(path.stem)
    if labels is None:
        return ImageSource(name=name, classes=(), labels=None, kinds=array_kinds(pixels), pictures=pixels)
    classes = name_classes(labels.reshape(-1), labels_path)
    return ImageSource(
        name=name,
        classes=classes.names,
        labels=classes.labels,
        kinds=array_kinds(pixels),
        pictures=pixels,
        notes=classes.notes,
    )


def _labels_beside(path: Path) -> Path | None:
    """Return the file of labels that belongs to one of images alone, such as kmnist-train-imgs.npz, or None."""
    for word in ("imgs", "images"):
        name = path.name.replace(word, "labels")
        if name != path.name and os.path.exists(path.with_name(name)):
            return path.with_name(name)
    return None


def _check_labels(header: ArrayHeader, count: int, path: Path) -> None:
    """Raise DataError unless there is one whole number or name for each of `count` images."""
    is_whole_or_text = np.issubdtype(header.dtype, np.integer) or (header.dtype.kind in "SU" and header.dtype.itemsize)
    if header.shape not in ((count,), (count, 1)) or not is_whole_or_text:
        message = (
            f"{path} has labels {header}: expected one whole number or name for each of {count:,} images; convert them, or "
            "leave them out"
        )
        raise DataError(message)
    check_size(header, "the labels", path, LARGEST_LABELS)


class _Archive:
    """The arrays of an NPZ file. Whatever is wrong with it is raised as DataError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.members: Mapping[str, zipfile.ZipInfo] = {}
        """By the names of the arrays."""

    def __enter__(self) -> "_Archive":
        try:
            self._file = open_regular_file(self._path)
        except OSError as error:
            raise self._unreadable(error.strerror or str(error)) from error
        try:
            self._zip = zipfile.ZipFile(_ShortReads(self._file))
        except Exception as error:  # zipfile raises errors of any kind for damaged files
            self._file.close()
            raise self._unreadable(str(error) or type(error).__name__) from error
        infos = [info for info in self._zip.infolist() if info.filename.endswith(".npy")]
        self.members = {info.filename.removesuffix(".npy"): info for info in infos}
        return self

    def __exit__(self, *error: object) -> None:
        self._zip.close()
        self._file.close()

    def header(self, name: str) -> ArrayHeader:
        """Return what the file says of an array, which does not hold Python objects."""
        try:
            info = self.members[name]
            if [other.filename for other in self._zip.infolist()].count(info.filename) > 1:
                raise ValueError("is there more than once")
            # Others may take any amount of memory, and numpy writes none of them.
            if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError("is encrypted, or compressed in another way than numpy's")
            with self._zip.open(info) as member, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # numpy's, of headers by Python 2
                header = _parse_header(io.BytesIO(member.read(_LONGEST_HEADER)))
            if min(header.shape, default=0) < 0:
                raise ValueError(f"holds {header}")
        except KeyError:
            raise self._unreadable(f"there is no array `{name}`") from None
        except Exception as error:  # as above, and Python's own parser likewise
            raise self._unreadable(f"`{name}` {error or type(error).__name__}") from error
        if header.dtype.hasobject:
            message = (
                f"{self._path} holds Python objects in `{name}`: expected plain numbers or text, since objects can run code; "
                "convert them"
            )
            raise DataError(message)
        return header

    def read(self, name: str, header: ArrayHeader) -> NDArray[np.generic]:
        """Return the array of a header; its values can be written to."""
        found, expected = self.members[name].file_size, header.offset + header.size
        try:
            if found != expected:
                raise ValueError(f"has {found} bytes, expected {expected} by its header")
            with self._zip.open(self.members[name]) as member:
                member.seek(header.offset)
                values: NDArray[np.generic] = np.frombuffer(read_contents(member, header.size), dtype=header.dtype)
        except Exception as error:  # as above, and the decompressors likewise
            raise self._unreadable(f"`{name}` {error or type(error).__name__}") from error
        return values.reshape(header.shape, order="F" if header.is_fortran else "C")

    def _unreadable(self, reason: str) -> DataError:
        told = textwrap.shorten(reason, 200, placeholder=" ...")
        expected = "expected arrays `images` and, if known, `labels`"
        return DataError(f"{self._path} cannot be read as an NPZ file ({told}): {expected}; save it again")


class _ShortReads(io.BufferedIOBase):
    """A file that reads no more at once than an archive's list of members may have: zipfile reads that in one piece.

    Each member of that list takes a thousand bytes of memory.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int | None = -1) -> bytes:
        """Return that many bytes; raise ValueError if they are too many."""
        if size is not None and size > _LARGEST_DIRECTORY:
            raise ValueError("it lists too many members")
        return self._file.read(-1 if size is None else size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to another place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return where the file is."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Return that it is."""
        return True


def _parse_header(start: io.BytesIO) -> ArrayHeader:
    """Return the header with which an array begins; raise ValueError for a version that plain arrays never have."""
    version = np.lib.format.read_magic(start)
    if version == (1, 0):
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(start)
    elif version == (2, 0):
        shape, is_fortran, dtype = np.lib.format.read_array_header_2_0(start)
    else:
        raise ValueError(f"has version {version[0]}.{version[1]} of the array format")
    return ArrayHeader(tuple(map(int, shape)), dtype, start.tell(), is_fortran)
