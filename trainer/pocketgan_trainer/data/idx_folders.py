"""Training images in a folder of IDX files: in the layouts of MNIST and its relatives, of EMNIST, or as gan-gen writes them."""

import os
import re
import string
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.data.class_names import class_names, data_set_name
from pocketgan_trainer.data.idx import IdxContents, read_idx_with_digest
from pocketgan_trainer.data.image_source import ImageSource, array_kinds
from pocketgan_trainer.data.known_data_sets import published_source, recognise
from pocketgan_trainer.data.published_files import find_named
from pocketgan_trainer.errors import DataError

IMAGES_NAMES = ("train-images-idx3-ubyte", "images-idx3-ubyte")
"""In MNIST's layout, and as gan-gen writes them."""
_TEST_IMAGES_NAME = "t10k-images-idx3-ubyte"
_EMNIST_IMAGES = re.compile(r"emnist-([a-z]+)-(train|test)-images[.-]idx3-ubyte(\.gz)?")
_EMNIST_LABELS = re.compile(r"emnist-[a-z]+-train-labels[.-]idx1-ubyte(\.gz)?")
_LOWER_OF_47 = "abdefghnqrt"
"""The lower-case letters that EMNIST tells from their capitals in its splits of 47 classes."""
_EMNIST_CLASSES = {
    "balanced": string.digits + string.ascii_uppercase + _LOWER_OF_47,
    "bymerge": string.digits + string.ascii_uppercase + _LOWER_OF_47,
    "byclass": string.digits + string.ascii_uppercase + string.ascii_lowercase,
    "digits": string.digits,
    "mnist": string.digits,
}


def find_idx_images(folder: Path) -> Path | None:
    """Return the file of training images in a folder, or None if it holds no IDX files under the usual names.

    Raises DataError if there are labels but no images, or several splits of EMNIST, none of which goes before the others.
    """
    for name in IMAGES_NAMES:
        if (found := find_named(folder, name)) is not None:
            return found
    names = sorted(os.listdir(folder))
    splits = {match[1]: name for name in names if (match := _EMNIST_IMAGES.fullmatch(name)) and match[2] == "train"}
    if len(splits) > 1:
        message = (
            f"{folder} holds {len(splits)} splits of EMNIST ({', '.join(splits)}): expected one; give the path of the images "
            f"file of one, such as {folder / next(iter(splits.values()))}"
        )
        raise DataError(message)
    if splits:
        return folder / next(iter(splits.values()))
    labels = find_named(folder, _labels_name(IMAGES_NAMES[0])) or find_named(folder, _labels_name(IMAGES_NAMES[1]))
    emnist_labels = next((folder / name for name in names if _EMNIST_LABELS.fullmatch(name)), None)
    if lonely := labels or emnist_labels:
        images_name = lonely.name.replace("labels", "images").replace("idx1", "idx3")
        message = f"{lonely} holds labels, but {images_name} is not beside it: put it there"
        raise DataError(message)
    return None


def find_idx_test_images(folder: Path) -> Path | None:
    """Return the file of test images in a folder, the first of those of EMNIST's splits, or None if there is none."""
    if (found := find_named(folder, _TEST_IMAGES_NAME)) is not None:
        return found
    names = sorted(os.listdir(folder))
    return next((folder / name for name in names if (match := _EMNIST_IMAGES.fullmatch(name)) and match[2] == "test"), None)


def read_idx_source(images_path: Path) -> ImageSource:
    """Return the images of an IDX file with the labels of the file beside it that is named like MNIST's, if there is one.

    EMNIST's images, known by the file's name, are turned upright: they are stored column by column. Classes are named by their
    numbers, or as EMNIST's mapping says. Files of a known data set, whatever their folder, give that data set. Raises DataError
    as `read_idx` does, and if these are not images and as many labels.
    """
    images = read_idx_with_digest(images_path)
    if images.values.ndim != 3:
        shape = list(images.values.shape)
        message = f"{images_path} holds values of shape {shape}: expected images [N, H, W]; give the file that holds images"
        raise DataError(message)
    labels_path = find_named(images_path.parent, _labels_name(images_path.name))
    labels = None
    if labels_path is not None and labels_path != images_path:
        labels = _read_labels(labels_path, images, images_path)
        if (known := recognise(images, images_path, labels, labels_path)) is not None:
            return published_source(known, images.values, labels.values)
    emnist = _EMNIST_IMAGES.fullmatch(images_path.name)
    pixels = np.ascontiguousarray(images.values.transpose(0, 2, 1)) if emnist else images.values
    folder_name = data_set_name(images_path.absolute().parent.name)
    name = data_set_name(f"emnist-{emnist[1]}") if emnist else folder_name
    if labels is None:
        return ImageSource(name=name, classes=(), labels=None, kinds=array_kinds(pixels), pictures=pixels)
    values, numbers = np.unique(labels.values, return_inverse=True)
    names = _emnist_names(images_path, emnist[1], values) if emnist else [str(value) for value in values]
    return ImageSource(
        name=name,
        classes=class_names(names, images_path.parent),
        labels=numbers.astype(np.int64),
        kinds=array_kinds(pixels),
        pictures=pixels,
    )


def _labels_name(images_name: str) -> str:
    """Return the name, without `.gz` and with a hyphen before `idx`, of the labels that belong to a file of images."""
    plain = images_name.removesuffix(".gz").replace(".idx", "-idx")
    return plain.replace("images", "labels").replace("idx3", "idx1")


def _read_labels(path: Path, images: IdxContents, images_path: Path) -> IdxContents:
    """Return labels; raise DataError unless there is one for each image."""
    labels = read_idx_with_digest(path)
    if labels.values.ndim != 1:
        message = f"{path} holds values of shape {list(labels.values.shape)}: expected labels [N]; give the file as published"
        raise DataError(message)
    if len(labels.values) != len(images.values):
        message = (
            f"{path} holds {len(labels.values):,} labels for the {len(images.values):,} images of {images_path.name}: expected "
            "as many; fetch both again"
        )
        raise DataError(message)
    return labels


def _emnist_names(images_path: Path, split: str, values: NDArray[np.uint8]) -> list[str]:
    """Return the character of each label value, by the split's mapping file or, without it, by what is known of the split."""
    mapping_path = images_path.with_name(f"emnist-{split}-mapping.txt")
    if os.path.exists(mapping_path):
        mapping = _read_mapping(mapping_path)
    elif split == "letters":
        mapping = dict(enumerate(string.ascii_uppercase, 1))
    else:
        mapping = dict(enumerate(_EMNIST_CLASSES.get(split, ())))
    if mapping and (absent := [int(value) for value in values if int(value) not in mapping]):
        where = mapping_path if os.path.exists(mapping_path) else f"EMNIST's split {split}"
        message = f"{images_path} has images of label {absent[0]}, which {where} does not know: fetch the split again"
        raise DataError(message)
    return [mapping.get(int(value), str(value)) for value in values]


def _read_mapping(path: Path) -> dict[int, str]:
    """Return the character of each label: lines of label, ASCII code and, where case is not told apart, the other case's code."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        fields = [[int(field) for field in line.split()] for line in lines if line.strip()]
        return {label: chr(code) for label, code, *_ in fields}
    except (OSError, ValueError, OverflowError) as error:
        message = f"{path} cannot be read ({error}): expected lines such as `1 65 97`; fetch it again, or delete it"
        raise DataError(message) from error
