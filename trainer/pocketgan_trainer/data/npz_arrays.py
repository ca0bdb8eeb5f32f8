"""Training images in an NPZ file: arrays `images` and `labels`, or `x_train` and `y_train`, as Keras publishes MNIST."""

import math
import zipfile
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.data.class_names import class_names, data_set_name, in_order, number_labels, renaming_notes
from pocketgan_trainer.data.idx import LARGEST_CONTENTS
from pocketgan_trainer.data.image_source import ImageSource, array_kinds
from pocketgan_trainer.errors import DataError

_PAIRS = (("images", "labels"), ("x_train", "y_train"))


def read_npz_source(path: Path) -> ImageSource:
    """Return the images uint8 [N, H, W] or [N, H, W, 1] of an NPZ file and, if they are there, their labels [N] or [N, 1].

    Labels are whole numbers from 0 on, or names of classes. Raises DataError if the file cannot be read, holds Python objects
    under these names, or anything else that does not fit, or more than 1 GiB.
    """
    arrays = _read(path)
    images, labels = arrays[0], arrays[1]
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if images.dtype != np.uint8 or images.ndim != 3 or 0 in images.shape:
        message = (
            f"{path} holds images {images.dtype} {list(images.shape)}: expected grey uint8 [N, H, W] or [N, H, W, 1], 0 to 255; "
            "convert them"
        )
        raise DataError(message)
    pixels = np.ascontiguousarray(images, dtype=np.uint8)
    name = data_set_name(path.stem)
    if labels is None:
        return ImageSource(name=name, classes=(), labels=None, kinds=array_kinds(pixels), pictures=pixels)
    names = _names(labels, len(pixels), path)
    ordered = in_order(sorted(set(names)))
    classes = class_names(ordered, path)
    return ImageSource(
        name=name,
        classes=classes,
        labels=number_labels(names, ordered),
        kinds=array_kinds(pixels),
        pictures=pixels,
        notes=renaming_notes(ordered, classes),
    )


def _read(path: Path) -> tuple[NDArray[np.generic], NDArray[np.generic] | None]:
    """Return the arrays of images and labels, whatever they hold but objects."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name.removesuffix(".npy") for name in archive.namelist()}
            pair = next((pair for pair in _PAIRS if pair[0] in members), None)
            if pair is None:
                return _refuse_names(members, path)
            images = _read_array(archive, pair[0], path)
            return images, _read_array(archive, pair[1], path) if pair[1] in members else None
    except DataError:
        raise
    except Exception as error:  # zipfile and its decompressors raise errors of any kind for damaged files
        reason = f"{error or type(error).__name__}"
        message = (
            f"{path} cannot be read as an NPZ file ({reason}): expected arrays `images` and, if known, `labels`; save it again"
        )
        raise DataError(message) from error


def _refuse_names(members: set[str], path: Path) -> tuple[NDArray[np.generic], None]:
    """Raise DataError, which tells names that are there."""
    found = ", ".join(sorted(members)[:5]) or "nothing"
    message = f"{path} holds {found}: expected arrays `images` and, if known, `labels`, or `x_train` and `y_train`; rename them"
    raise DataError(message)


def _read_array(archive: zipfile.ZipFile, name: str, path: Path) -> NDArray[np.generic]:
    """Return one array, after a look at its header: no more is allocated than is allowed, and objects are never unpickled."""
    with archive.open(f"{name}.npy") as member:
        shape, dtype = _read_header(member)
    if dtype.hasobject:
        message = (
            f"{path} holds Python objects in `{name}`: expected plain numbers or text, since objects can run code; convert them"
        )
        raise DataError(message)
    size = math.prod(shape) * dtype.itemsize
    if size > LARGEST_CONTENTS:
        message = (
            f"{path} claims {size:,} bytes for `{name}`: expected at most {LARGEST_CONTENTS:,}; take fewer or smaller images"
        )
        raise DataError(message)
    with archive.open(f"{name}.npy") as member:
        array: NDArray[np.generic] = np.lib.format.read_array(member, allow_pickle=False)
        return array


def _read_header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    """Return shape and type of the array that follows; raise ValueError for a version that plain arrays never have."""
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(member)
    else:
        message = f"version {version[0]}.{version[1]} of the array format"
        raise ValueError(message)
    return shape, dtype


def _names(labels: NDArray[np.generic], count: int, path: Path) -> list[str]:
    """Return the name of each image's class; raise DataError unless these are as many whole numbers or names."""
    flat = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    is_whole, is_text = np.issubdtype(flat.dtype, np.integer), flat.dtype.kind in "SU"
    if flat.shape != (count,) or not (is_whole or is_text):
        found = f"{labels.dtype} {list(labels.shape)}"
        message = f"{path} has labels {found}: expected one whole number or name for each of {count:,} images; leave them out"
        raise DataError(message)
    if is_whole and int(flat.min()) < 0:
        message = f"{path} has labels from {flat.min()} on: expected whole numbers from 0 on; leave those images out"
        raise DataError(message)
    if flat.dtype.kind == "S":
        return [bytes(value).decode("utf-8", "replace") for value in flat]
    return [str(value) for value in flat]
