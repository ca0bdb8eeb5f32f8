"""Read images and labels from an NPZ file, under the names that public data sets and gan-gen use."""

import io
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from pocketgan.files import open_regular_file
from pocketgan_trainer.data.array_files import ArrayHeader, check_images, check_labels, labels_beside, read_contents, unreadable
from pocketgan_trainer.data.npy import array_of, read_npy_header
from pocketgan_trainer.data.source import ImageSource, NamedClasses, WantedImages, array_source, data_set_name, name_classes
from pocketgan_trainer.errors import DataError

_PAIRS = (
    ("images", "labels"),
    ("x_train", "y_train"),  # Keras's mnist.npz
    ("X_train", "y_train"),
    ("train_images", "train_labels"),  # MedMNIST
    ("arr_0", "arr_1"),  # numpy's default names; KMNIST and Kuzushiji-49 keep labels in a separate file
)
_ALONE = ("arr_0", "labels")
"""The names of labels in a separate file."""
_LARGEST_DIRECTORY = 2**20
"""The most bytes that an archive's list of members may have, enough for 10,000 of them."""


def claims_npz(path: Path) -> bool:
    """Return whether this is an NPZ file, by its name."""
    return path.suffix.lower() == ".npz"


def read_npz_source(path: Path, wanted: WantedImages) -> ImageSource:
    """Return the images [N, H, W] or [N, H, W, 1] of an NPZ file and, if they are there, their labels [N] or [N, 1].

    Labels are whole numbers from 0 on, or names of classes. Raises DataError if the file cannot be read, or if its arrays are not
    as wanted or larger than 1 GiB; this is checked from the headers, before anything is unpacked.
    """
    with _Archive(path) as archive:
        pair = next((pair for pair in _PAIRS if pair[0] in archive.members), None)
        if pair is None:
            found = ", ".join(sorted(archive.members)[:5]) or "nothing"
            message = (
                f"{path} holds {found}: expected arrays `images` and, if known, `labels`, or `x_train` and `y_train`; rename them"
            )
            raise DataError(message)
        images_header = archive.header(pair[0], partial(check_images, path=path, wanted=wanted))
        labels, labels_path = None, path
        if pair[1] in archive.members:
            labels = archive.read(
                pair[1], archive.header(pair[1], partial(check_labels, path=path, count=images_header.shape[0]))
            )
        images = archive.read(pair[0], images_header)
    if labels is None and (beside := labels_beside(path)) is not None:
        labels_path = beside
        with _Archive(beside) as archive:
            name = next((name for name in _ALONE if name in archive.members), _ALONE[0])
            labels = archive.read(name, archive.header(name, partial(check_labels, path=beside, count=len(images))))
    classes = NamedClasses() if labels is None else name_classes(labels.reshape(-1), labels_path)
    return array_source(data_set_name(path.stem), images.astype(np.uint8, copy=False), classes)


class _Archive:
    """The arrays of an NPZ file. Every failure is raised as DataError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.members: Mapping[str, zipfile.ZipInfo] = {}
        """By name of the array."""

    def __enter__(self) -> "_Archive":
        try:
            self._file = open_regular_file(self._path)
        except OSError as error:
            raise self._unreadable(error) from error
        try:
            self._zip = zipfile.ZipFile(_ShortReads(self._file))
        except Exception as error:  # zipfile raises errors of any kind for damaged files
            self._file.close()
            raise self._unreadable(error) from error
        infos = [info for info in self._zip.infolist() if info.filename.endswith(".npy")]
        self.members = {info.filename.removesuffix(".npy"): info for info in infos}
        return self

    def __exit__(self, *error: object) -> None:
        self._zip.close()
        self._file.close()

    def header(self, name: str, check: Callable[[ArrayHeader], None]) -> ArrayHeader:
        """Return the header of an array, after `check` has accepted it."""
        try:
            info = self.members[name]
            if [other.filename for other in self._zip.infolist()].count(info.filename) > 1:
                raise ValueError("is there more than once")
            # Other compressions may take any amount of memory, and numpy never writes them.
            if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError("is encrypted, or compressed in another way than numpy's")
            with self._zip.open(info) as member:
                header = read_npy_header(member)
        except KeyError:
            raise self._unreadable(ValueError(f"there is no array `{name}`")) from None
        except Exception as error:  # of any kind, as above, also from Python's parser
            raise self._unreadable(error, name) from error
        check(header)
        return header

    def read(self, name: str, header: ArrayHeader) -> NDArray[np.generic]:
        """Return the array that a header describes, writable."""
        found, expected = self.members[name].file_size, header.offset + header.size
        try:
            if found != expected:
                raise ValueError(f"has {found} bytes, expected {expected} by its header")
            with self._zip.open(self.members[name]) as member:
                member.seek(header.offset)
                return array_of(header, read_contents(member, header.size))
        except Exception as error:  # of any kind, as above, also from the decompressors
            raise self._unreadable(error, name) from error

    def _unreadable(self, error: Exception, name: str | None = None) -> DataError:
        if name is not None:
            error = ValueError(f"`{name}` {error or type(error).__name__}")
        return unreadable(self._path, "an NPZ file", error, "arrays `images` and, if known, `labels`")


class _ShortReads(io.BufferedIOBase):
    """A file that refuses to read more than _LARGEST_DIRECTORY bytes at once.

    zipfile reads an archive's list of members in one piece, and each member then takes a thousand bytes of memory.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int | None = -1) -> bytes:
        """Return up to `size` bytes. Raises ValueError if that is more than _LARGEST_DIRECTORY."""
        if size is not None and size > _LARGEST_DIRECTORY:
            raise ValueError("it lists too many members")
        return self._file.read(-1 if size is None else size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to another position."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position in the file."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Return True."""
        return True
