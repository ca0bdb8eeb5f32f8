"""Training images in IDX files: in the layouts of MNIST and its relatives, or as gan-gen writes them."""

import os
import re
import string
from functools import partial
from pathlib import Path

from pocketgan.files import open_regular_file
from pocketgan_trainer.data.array_files import LARGEST_LABELS, ArrayHeader, check_images, check_size
from pocketgan_trainer.data.idx import accepted_names, find_named, read_idx
from pocketgan_trainer.data.published import published_source, recognise
from pocketgan_trainer.data.source import (
    ImageSource,
    NamedClasses,
    WantedImages,
    array_source,
    data_set_name,
    name_classes,
    name_numbered_classes,
)
from pocketgan_trainer.errors import DataError

_IMAGES_NAMES = ("train-images-idx3-ubyte", "images-idx3-ubyte")
"""The names in MNIST's layout and in that of gan-gen. They take precedence over all others."""
_IMAGES = re.compile(r"(.*)(images|patterns)-idx3-ubyte")
"""Also matches the names of EMNIST, QMNIST and Infinite MNIST, which calls images patterns."""
_LABELS = re.compile(r"(.*)labels-idx[12]-[a-z]+")
_LABELS_TYPES = ("idx1-byte", "idx1-short", "idx1-int", "idx2-int")
"""Other endings of the names of label files than that of the images; the last is QMNIST's."""
_FOR_TESTING = re.compile(r"(^|[-_.])(t10k|test)")
_QMNIST_COLUMNS = 8
"""The first is the digit, the others describe its writer and origin (https://github.com/facebookresearch/qmnist)."""
_FOLDERS_WITHOUT_NAME = ("raw", "gzip")
"""Folders in which torchvision and EMNIST put files; the parent folder has the name of the data set."""
_EMNIST = re.compile(r"emnist-([a-z]+)-(train|test)-images")
_LOWER_OF_47 = "abdefghnqrt"
"""The lower-case letters that are separate classes in EMNIST's splits with 47 classes."""
_EMNIST_CLASSES = {
    "balanced": string.digits + string.ascii_uppercase + _LOWER_OF_47,
    "bymerge": string.digits + string.ascii_uppercase + _LOWER_OF_47,
    "byclass": string.digits + string.ascii_uppercase + string.ascii_lowercase,
    "digits": string.digits,
    "letters": string.ascii_uppercase,
    "mnist": string.digits,
}
"""The characters in the order of the labels, which start at 0, or at 1 for `letters`."""
_LARGEST_MAPPING = 2**16


def find_idx_images(folder: Path) -> Path | None:
    """Return the file of training images in a folder, or None if it holds no IDX files under the usual names.

    Raises DataError if there are labels but no images, or images of several data sets, and it is not clear which to take.
    """
    for name in _IMAGES_NAMES:
        if (found := find_named(folder, name)) is not None:
            return found
    names = _plain_names(folder)
    images = [name for name in names if (match := _IMAGES.fullmatch(name)) and not _FOR_TESTING.search(match[1])]
    for_training = [name for name in images if "train" in name] or images
    paths = [path for name in for_training if (path := find_named(folder, name)) is not None]
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
        alone = find_named(folder, labels[0]) or folder / labels[0]
        images_name = re.sub("idx[12][-a-z]+", "idx3-ubyte", alone.name.replace("labels", "images"))
        message = f"{alone} holds labels, but {images_name} is not beside it: put it there"
        raise DataError(message)
    return None


def find_idx_test_images(folder: Path) -> Path | None:
    """Return the file of test images in a folder, the first if there are several, or None if there is none."""
    names = _plain_names(folder)
    test = (name for name in names if (match := _IMAGES.fullmatch(name)) and _FOR_TESTING.search(match[1]))
    return next((path for name in test if (path := find_named(folder, name)) is not None), None)


def claims_idx(path: Path) -> bool:
    """Return whether this is an IDX file of images, by its name, or a folder that holds one under a usual name."""
    return find_idx_images(path) is not None if os.path.isdir(path) else "idx3" in path.name


def read_idx_source(path: Path, wanted: WantedImages) -> ImageSource:
    """Return the images of an IDX file, or of the one in a folder, with the labels of the matching file, if there is one.

    The name of the file of labels follows MNIST's scheme. EMNIST's images, recognised by the file's name, are transposed, because
    they are stored column by column. Classes are named by their numbers, or by EMNIST's mapping. The files of a known data set
    are returned as that data set, whatever their folder. Raises DataError as `find_idx_images` and `read_idx` do, if the images
    are not as wanted, and if there is not one label for each.
    """
    images_path = (find_idx_images(path) if os.path.isdir(path) else None) or path
    plain = _plain(images_path.name)
    folder = images_path.parent.parent if images_path.parent.name in accepted_names(plain) else images_path.parent
    labels_path = _find_labels(folder, plain)
    images = read_idx(images_path, partial(check_images, wanted=wanted))
    emnist = _EMNIST.match(plain)
    classes = NamedClasses()
    if labels_path is not None:
        labels = read_idx(labels_path, partial(_check_labels, count=len(images.values), images_name=images_path.name))
        if (known := recognise(images, images_path, labels, labels_path)) is not None:
            return published_source(known, images.values, labels.values)
        numbers = labels.values if labels.values.ndim == 1 else labels.values[:, 0]
        names = _emnist_names(folder / f"emnist-{emnist[1]}-mapping.txt", emnist[1]) if emnist else {}
        classes = name_numbered_classes(numbers, names, labels_path) if names else name_classes(numbers, labels_path)
    return array_source(_data_set(folder, plain), images.values.transpose(0, 2, 1) if emnist else images.values, classes)


def _plain(name: str) -> str:
    """Return the name under which an IDX file was published: without `.gz`, and with a hyphen before `idx`."""
    return name.removesuffix(".gz").replace(".idx", "-idx")


def _plain_names(folder: Path) -> list[str]:
    """Return the plain names of all files and folders in a folder except hidden ones, sorted."""
    return sorted({_plain(name) for name in os.listdir(folder) if not name.startswith(".")})


def _find_labels(folder: Path, images: str) -> Path | None:
    """Return the file in a folder with the labels for the images of a plain name, or None."""
    stem, _, end = images.replace("images", "labels").replace("patterns", "labels").rpartition("idx3")
    endings = (f"idx1{end}", *_LABELS_TYPES)
    return next((path for ending in endings if (path := find_named(folder, stem + ending)) is not None), None)


def _data_set(folder: Path, images: str) -> str:
    """Return the name of the data set in a folder: the part before `-train-images`, or the folder's name."""
    if match := re.match("(.+)-(train|test)-(images|patterns)", images):
        return data_set_name(match[1])
    folder = folder.absolute()
    return data_set_name(folder.parent.name if folder.name in _FOLDERS_WITHOUT_NAME else folder.name)


def _check_labels(header: ArrayHeader, path: Path, count: int, images_name: str) -> None:
    """Raise DataError unless there is a label for each of `count` images."""
    if len(header.shape) != 1 and header.shape[1:] != (_QMNIST_COLUMNS,):
        message = f"{path} holds values of shape {list(header.shape)}: expected labels [N]; give the file as published"
        raise DataError(message)
    if header.shape[0] != count:
        found = f"{header.shape[0]:,} labels for the {count:,} images of {images_name}"
        raise DataError(f"{path} holds {found}: expected as many; fetch both again")
    check_size(header, path, "the labels", LARGEST_LABELS)


def _emnist_names(mapping_path: Path, split: str) -> dict[int, str]:
    """Return the character of each label, from the split's mapping file or, without one, from _EMNIST_CLASSES."""
    if os.path.exists(mapping_path):
        return _read_mapping(mapping_path)
    return dict(enumerate(_EMNIST_CLASSES.get(split, ""), 1 if split == "letters" else 0))


def _read_mapping(path: Path) -> dict[int, str]:
    """Return the character of each label from lines of label, ASCII code and perhaps the code of the letter's other case."""
    try:
        with open_regular_file(path) as file:
            lines = file.read(_LARGEST_MAPPING).decode("ascii").splitlines()
        fields = [[int(field) for field in line.split()] for line in lines if line.strip()]
        return {label: chr(code) for label, code, *_ in fields}
    except (OSError, ValueError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        message = f"{path} cannot be read ({reason}): expected lines such as `1 65 97`; fetch it again, or delete it"
        raise DataError(message) from error
