"""The MNIST database of handwritten digits: found in a folder, in the checkout, or in the user's cache, and checked by digest."""

import json
import os
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import platformdirs
from numpy.typing import NDArray

from pocketgan_trainer.data.idx import IdxContents, read_idx
from pocketgan_trainer.data.published_files import PublishedFile, find_named, find_or_download
from pocketgan_trainer.errors import DataError

Split: TypeAlias = Literal["train", "test"]

DATA_SET = "mnist"
"""Its name in run folders and model cards."""

BUNDLED_FOLDER = Path(__file__).parent / "mnist"
"""In a checkout and in the sdist; wheels do without it, but pip remembers which checkout a wheel was built from."""
MIRRORS = ("https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/")
IMAGE_SHAPE = (28, 28)


@dataclass(frozen=True)
class MnistSplit:
    """The two files that belong together."""

    images: PublishedFile
    labels: PublishedFile


SPLITS: dict[Split, MnistSplit] = {
    "train": MnistSplit(
        images=PublishedFile(
            name="train-images-idx3-ubyte",
            contents_sha256="ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            archive_sha256="440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        ),
        labels=PublishedFile(
            name="train-labels-idx1-ubyte",
            contents_sha256="65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            archive_sha256="3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        ),
    ),
    "test": MnistSplit(
        images=PublishedFile(
            name="t10k-images-idx3-ubyte",
            contents_sha256="0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            archive_sha256="8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        ),
        labels=PublishedFile(
            name="t10k-labels-idx1-ubyte",
            contents_sha256="ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            archive_sha256="f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
}


@dataclass(frozen=True, eq=False)
class Digits:
    """MNIST's digits and what they show; or, where a run learns from them, other images likewise."""

    images: NDArray[np.uint8]
    """[N, S, S], 0 = background; S is 28 for digits."""
    labels: NDArray[np.uint8] | NDArray[np.int64]
    """[N], 0 to 9 for digits; 0 where images have no classes."""

    def __len__(self) -> int:
        return len(self.labels)


def load_mnist(folder: Path | None = None, split: Split = "train") -> Digits:
    """Return the digits of one split: 60,000 to train with, 10,000 to test with.

    With `folder`, that folder must hold the original files of the split, gzipped or not. Without, they come from the checkout
    if they are there, else from the user's cache folder, into which what is missing is downloaded first. Raises DataError, which
    names the file, if one is missing, damaged, or not MNIST's own; DownloadError if it cannot be fetched.
    """
    files = SPLITS[split]
    if folder is not None:
        images_path, labels_path = _find_both(folder, files)
        remedy = "only MNIST itself is accepted for now, so give a folder with the original files or leave out --data"
    else:
        images_path, labels_path = _find_bundled(files) or _find_cached(files)
        remedy = "delete that file and run again, to have it downloaded"
    images = read_idx(images_path)
    labels = read_idx(labels_path)
    _check_shapes(images, images_path, labels, labels_path, remedy)
    _check_digest(images, images_path, files.images, remedy)
    _check_digest(labels, labels_path, files.labels, remedy)
    return Digits(images.values.astype(np.uint8, copy=False), labels.values.astype(np.uint8, copy=False))


def _find_both(folder: Path, files: MnistSplit) -> tuple[Path, Path]:
    """Return the paths of images and labels in a folder that the user gave; raise DataError naming what is absent."""
    if not os.path.isdir(folder):
        found = "is a file" if os.path.exists(folder) else "does not exist"
        message = f"{folder} {found}; expected a folder that holds {files.images.name} and {files.labels.name}, gzipped or not"
        raise DataError(message)
    images, labels = find_named(folder, files.images.name), find_named(folder, files.labels.name)
    if images is not None and labels is not None:
        return images, labels
    absent = " and ".join(file.name for file, path in ((files.images, images), (files.labels, labels)) if path is None)
    message = f"{folder} lacks {absent}; put there what is absent, as published or unpacked, or leave out --data"
    raise DataError(message)


def _find_bundled(files: MnistSplit) -> tuple[Path, Path] | None:
    """Return the paths in the checkout, or None where there is none that holds both."""
    for folder in (BUNDLED_FOLDER, *_folders_of_installation()):
        images, labels = find_named(folder, files.images.name), find_named(folder, files.labels.name)
        if images is not None and labels is not None:
            return images, labels
    return None


def _folders_of_installation() -> list[Path]:
    """Return where the digits lie in the checkout that this package was installed from, if pip noted one (PEP 610)."""
    try:
        note = distribution("pocketgan").read_text("direct_url.json")
    except PackageNotFoundError:  # run from a folder, not installed
        return []
    url = urlsplit(json.loads(note)["url"]) if note else None
    if url is None or url.scheme != "file":
        return []
    return [Path(url2pathname(url.path), "trainer", *__name__.split(".")[:-1], "mnist")]


def _find_cached(files: MnistSplit) -> tuple[Path, Path]:
    """Return the paths in the user's cache folder, after downloading what is missing there."""
    folder = platformdirs.user_cache_path("pocketgan") / "mnist"
    return find_or_download(folder, files.images, MIRRORS), find_or_download(folder, files.labels, MIRRORS)


def _check_shapes(images: IdxContents, images_path: Path, labels: IdxContents, labels_path: Path, remedy: str) -> None:
    """Raise DataError unless these are 28x28 images and as many labels."""
    image_shape, label_shape = images.values.shape, labels.values.shape
    if image_shape[1:] != IMAGE_SHAPE:
        message = f"{images_path} holds values of shape {image_shape}, expected (N, 28, 28); {remedy}"
        raise DataError(message)
    if len(label_shape) != 1:
        message = f"{labels_path} holds values of shape {label_shape}, expected (N,); {remedy}"
        raise DataError(message)
    if image_shape[0] != label_shape[0]:
        message = f"{labels_path} holds {label_shape[0]} labels for the {image_shape[0]} images of {images_path.name}; {remedy}"
        raise DataError(message)


def _check_digest(contents: IdxContents, path: Path, file: PublishedFile, remedy: str) -> None:
    """Raise DataError unless the contents are the published ones, bit for bit."""
    if contents.sha256 != file.contents_sha256:
        message = (
            f"{path} is not MNIST's {file.name}: the SHA-256 of its contents is {contents.sha256}, "
            f"expected {file.contents_sha256}; {remedy}"
        )
        raise DataError(message)
