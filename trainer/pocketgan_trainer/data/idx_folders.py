"""Training images in IDX files: in the layouts of MNIST and its relatives, or as gan-gen writes them."""

import os
import re
import string
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgan.files import open_regular_file
from pocketgan_trainer.data.array_files import LARGEST_LABELS, WantedImages, check_size
from pocketgan_trainer.data.idx import IdxContents, read_idx, read_idx_header
from pocketgan_trainer.data.published import accepted_names, find_named, published_source, recognise
from pocketgan_trainer.data.source import (
    ImageSource,
    NamedClasses,
    array_kinds,
    check_classes,
    class_names,
    data_set_name,
    name_classes,
    own_labels,
)
from pocketgan_trainer.errors import DataError

_IMAGES_NAMES = ("train-images-idx3-ubyte", "images-idx3-ubyte")
"""In MNIST's layout, and as gan-gen writes them: these go before all others."""
_IMAGES = re.compile(r"(.*)(images|patterns)-idx3-ubyte")
"""Also of EMNIST, QMNIST and Infinite MNIST, which calls them patterns."""
_LABELS = re.compile(r"(.*)labels-idx[12]-[a-z]+")
_LABELS_TYPES = ("idx1-byte", "idx1-short", "idx1-int", "idx2-int")
"""How names of labels end, if not as those of the images; the last is QMNIST's."""
_FOR_TESTING = re.compile(r"(^|[-_.])(t10k|test)")
_QMNIST_COLUMNS = 8
"""The first is the digit, the others say who wrote it where (https://github.com/facebookresearch/qmnist)."""
_FOLDERS_WITHOUT_NAME = ("raw", "gzip")
"""Of torchvision's and EMNIST's files: the folder above has the name of the data set."""
_EMNIST = re.compile(r"emnist-([a-z]+)-(train|test)-images")
_LOWER_OF_47 = "abdefghnqrt"
"""The lower-case letters that EMNIST tells from their capitals in its splits of 47 classes."""
_EMNIST_CLASSES = {
    "balanced": string.digits + string.ascii_uppercase + _LOWER_OF_47,
    "bymerge": string.digits + string.ascii_uppercase + _LOWER_OF_47,
    "byclass": string.digits + string.ascii_uppercase + string.ascii_lowercase,
    "digits": string.digits,
    "mnist": string.digits,
}
_LARGEST_MAPPING = 2**16


def find_idx_images(folder: Path) -> Path | None:
    """Return the file of training images in a folder, or None if it holds no IDX files under the usual names.

    Raises DataError if there are labels but no images, or images of several data sets, none of which goes before the others.
    """
    for name in _IMAGES_NAMES:
        if (found := find_named(folder, name)) is not None:
            return found
    names = _plain_names(folder)
    images = [name for name in names if (match := _IMAGES.fullmatch(name)) and not _FOR_TESTING.search(match[1])]
    paths = [path for name in _those_for_training(images) if (path := find_named(folder, name)) is not None]
    if len(paths) > 1:
        message = (
            f"{folder} holds images of {len(paths)} data sets ({', '.join(path.name for path in paths[:5])}): expected one; give "
            f"the path of one of these files, such as {paths[0]}"
        )
        raise DataError(message)
    if paths:
        return paths[0]
    labels = [name for name in names if (match := _LABELS.fullmatch(name)) and not _FOR_TESTING.search(match[1])]
    if labels:
        lonely = find_named(folder, labels[0]) or folder / labels[0]
        images_name = re.sub("idx[12][-a-z]+", "idx3-ubyte", lonely.name.replace("labels", "images"))
        message = f"{lonely} holds labels, but {images_name} is not beside it: put it there"
        raise DataError(message)
    return None


def find_idx_test_images(folder: Path) -> Path | None:
    """Return the file of test images in a folder, the first if there are several, or None if there is none."""
    names = _plain_names(folder)
    test = (name for name in names if (match := _IMAGES.fullmatch(name)) and _FOR_TESTING.search(match[1]))
    return next((path for name in test if (path := find_named(folder, name)) is not None), None)


def read_idx_source(images_path: Path, wanted: WantedImages) -> ImageSource:
    """Return the images of an IDX file with the labels of the file beside it that is named like MNIST's, if there is one.

    EMNIST's images, known by the file's name, are turned upright: they are stored column by column. Classes are named by their
    numbers, or as EMNIST's mapping says. Files of a known data set, whatever their folder, give that data set. Raises DataError
    as `read_idx` does, and if these are not images as wanted and as many labels.
    """
    header = read_idx_header(images_path)
    wanted.check(header, images_path)
    plain = _plain(images_path.name)
    folder = images_path.parent.parent if images_path.parent.name in accepted_names(plain) else images_path.parent
    labels_path = _find_labels(folder, plain)
    labels = None if labels_path is None else _read_labels(labels_path, header.shape[0], images_path)
    images = read_idx(images_path)
    if labels_path is not None and labels is not None:
        known = recognise(images, images_path, labels, labels_path)
        if known is not None:
            return published_source(known, images.values, labels.values)
    emnist = _EMNIST.match(plain)
    values = images.values.astype(np.uint8, copy=False)
    pixels = np.ascontiguousarray(values.transpose(0, 2, 1)) if emnist else values
    name = _data_set(folder, plain)
    if labels is None:
        return ImageSource(name=name, classes=(), labels=None, kinds=array_kinds(pixels), pictures=pixels)
    numbers = labels.values if labels.values.ndim == 1 else labels.values[:, 0]
    if emnist:
        classes, class_labels = _emnist_classes(images_path, folder / f"emnist-{emnist[1]}-mapping.txt", emnist[1], numbers)
    else:
        classes, class_labels = name_classes(numbers, labels_path or folder), None
    return ImageSource(
        name=name,
        classes=classes.names,
        labels=classes.labels,
        kinds=array_kinds(pixels),
        pictures=pixels,
        class_labels=class_labels,
    )


def _plain(name: str) -> str:
    """Return the name, without `.gz` and with a hyphen before `idx`, that an IDX file was published under."""
    return name.removesuffix(".gz").replace(".idx", "-idx")


def _plain_names(folder: Path) -> list[str]:
    """Return the plain names of all files and folders in a folder but for hidden ones, sorted."""
    return sorted({_plain(name) for name in os.listdir(folder) if not name.startswith(".")})


def _those_for_training(names: list[str]) -> list[str]:
    """Return the names that say so, or all if none does."""
    return [name for name in names if "train" in name] or names


def _find_labels(folder: Path, images: str) -> Path | None:
    """Return the file in a folder of the labels that belong to images of a plain name, or None."""
    stem, _, end = images.replace("images", "labels").replace("patterns", "labels").rpartition("idx3")
    endings = (f"idx1{end}", *_LABELS_TYPES)
    return next((path for ending in endings if (path := find_named(folder, stem + ending)) is not None), None)


def _data_set(folder: Path, images: str) -> str:
    """Return the name of the data set in a folder: that before `-train-images`, or the folder's."""
    if match := re.match("(.+)-(train|test)-(images|patterns)", images):
        return data_set_name(match[1])
    folder = folder.absolute()
    return data_set_name(folder.parent.name if folder.name in _FOLDERS_WITHOUT_NAME else folder.name)


def _read_labels(path: Path, count: int, images_path: Path) -> IdxContents:
    """Return labels; raise DataError unless there is one for each of `count` images."""
    header = read_idx_header(path)
    if len(header.shape) != 1 and header.shape[1:] != (_QMNIST_COLUMNS,):
        message = f"{path} holds values of shape {list(header.shape)}: expected labels [N]; give the file as published"
        raise DataError(message)
    if header.shape[0] != count:
        message = (
            f"{path} holds {header.shape[0]:,} labels for the {count:,} images of {images_path.name}: expected as many; fetch "
            "both again"
        )
        raise DataError(message)
    check_size(header, "the labels", path, LARGEST_LABELS)
    return read_idx(path)


def _emnist_classes(
    images_path: Path, mapping_path: Path, split: str, labels: NDArray[np.integer]
) -> tuple[NamedClasses, tuple[int, ...] | None]:
    """Return the characters of labels [N], by the split's mapping file or, without it, by what is known of the split.

    Beside them what `own_labels` returns.
    """
    values, places = np.unique(labels, return_inverse=True)
    check_classes(len(values), images_path)
    numbers: list[int] = values.tolist()
    is_mapped = os.path.exists(mapping_path)
    if is_mapped:
        mapping = _read_mapping(mapping_path)
    elif split == "letters":
        mapping = dict(enumerate(string.ascii_uppercase, 1))
    else:
        mapping = dict(enumerate(_EMNIST_CLASSES.get(split, ())))
    if mapping and (absent := [number for number in numbers if number not in mapping]):
        where = mapping_path if is_mapped else f"EMNIST's split {split}"
        message = f"{images_path} has images of label {absent[0]}, which {where} does not know: fetch the split again"
        raise DataError(message)
    names = class_names([mapping.get(number, str(number)) for number in numbers], images_path.parent)
    return NamedClasses(names, places.astype(np.int64), ()), own_labels(names, numbers)


def _read_mapping(path: Path) -> dict[int, str]:
    """Return the character of each label: lines of label, ASCII code and, where case is not told apart, the other case's code."""
    try:
        with open_regular_file(path) as file:
            lines = file.read(_LARGEST_MAPPING).decode("ascii").splitlines()
        fields = [[int(field) for field in line.split()] for line in lines if line.strip()]
        return {label: chr(code) for label, code, *_ in fields}
    except (OSError, ValueError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        message = f"{path} cannot be read ({reason}): expected lines such as `1 65 97`; fetch it again, or delete it"
        raise DataError(message) from error
