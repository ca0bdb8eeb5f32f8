"""Data sets in MNIST's layout that are known by name: Fashion-MNIST and KMNIST, found or downloaded, and checked by digest."""

import hashlib
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import cast

import numpy as np
import platformdirs
from numpy.typing import NDArray

from pocketgan.files import open_regular_file
from pocketgan_trainer.data.idx import IdxContents, read_idx
from pocketgan_trainer.data.image_source import ImageSource, array_kinds
from pocketgan_trainer.data.mnist import DATA_SET, SPLITS, load_mnist
from pocketgan_trainer.data.published_files import PublishedFile, find_named, find_or_download
from pocketgan_trainer.errors import DataError

DEBIAN_FOLDER = Path("/usr/share/datasets")
"""Where Debian's package dataset-fashion-mnist puts its folder."""


@dataclass(frozen=True)
class KnownDataSet:
    """The two training files of a data set, and where they are to be had."""

    name: str
    """Also of its folder in the user's cache and among Debian's."""
    classes: tuple[str, ...]
    images: PublishedFile
    labels: PublishedFile
    mirrors: tuple[str, ...]
    """Addresses of folders, with a slash at their end. None of MNIST, which `load_mnist` finds."""


MNIST = KnownDataSet(
    name=DATA_SET,
    classes=tuple("0123456789"),
    images=SPLITS["train"].images,
    labels=SPLITS["train"].labels,
    mirrors=(),
)
FASHION_MNIST = KnownDataSet(
    name="fashion-mnist",
    classes=("tshirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"),
    images=PublishedFile(
        name="train-images-idx3-ubyte",
        contents_sha256="c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        archive_sha256="3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    ),
    labels=PublishedFile(
        name="train-labels-idx1-ubyte",
        contents_sha256="bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        archive_sha256="a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    ),
    mirrors=("https://fashion-mnist.s3.eu-central-1.amazonaws.com/",),
)
KMNIST = KnownDataSet(
    name="kmnist",
    classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    images=PublishedFile(
        name="train-images-idx3-ubyte",
        contents_sha256="",
        archive_sha256="51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
    ),
    labels=PublishedFile(
        name="train-labels-idx1-ubyte",
        contents_sha256="",
        archive_sha256="e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
    ),
    mirrors=("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
)
KNOWN = {known.name: known for known in (MNIST, FASHION_MNIST, KMNIST)}


def load_known(name: str) -> ImageSource:
    """Return the training images of the data set of that name, a key of KNOWN, with the names of its classes.

    MNIST is looked for as `load_mnist` does; any other in Debian's folder, then in the user's cache folder, into which what is
    missing is downloaded first. Raises DataError, which names the file, if one is damaged or another than the published one;
    DownloadError if it cannot be fetched.
    """
    known = KNOWN[name]
    if known.name == DATA_SET:
        digits = load_mnist()
        return published_source(known, digits.images, digits.labels)
    images_path, labels_path = _find_debian(known) or _find_cached(known)
    images, labels = read_idx(images_path), read_idx(labels_path)
    _check(known, known.images, images, images_path)
    _check(known, known.labels, labels, labels_path)
    return published_source(known, images.values, labels.values)


def recognise(images: IdxContents, images_path: Path, labels: IdxContents, labels_path: Path) -> KnownDataSet | None:
    """Return the known data set whose own training files these are, or None."""
    for known in KNOWN.values():
        if _is_published(known.images, images, images_path) and _is_published(known.labels, labels, labels_path):
            return known
    return None


def published_source(known: KnownDataSet, images: NDArray[np.integer], labels: NDArray[np.integer]) -> ImageSource:
    """Return the images [N, 28, 28] and labels [N] of a known data set as a source."""
    pixels = images.astype(np.uint8, copy=False)
    return ImageSource(
        name=known.name,
        classes=known.classes,
        labels=labels.astype(np.int64),
        kinds=array_kinds(pixels),
        pictures=pixels,
        is_published=True,
    )


def _find_debian(known: KnownDataSet) -> tuple[Path, Path] | None:
    """Return the paths in the folder of Debian's package, or None where it does not hold both."""
    folder = DEBIAN_FOLDER / known.name
    images, labels = find_named(folder, known.images.name), find_named(folder, known.labels.name)
    return (images, labels) if images is not None and labels is not None else None


def _find_cached(known: KnownDataSet) -> tuple[Path, Path]:
    """Return the paths in the user's cache folder, after downloading what is missing there."""
    folder = platformdirs.user_cache_path("pocketgan") / known.name
    return find_or_download(folder, known.images, known.mirrors), find_or_download(folder, known.labels, known.mirrors)


def _is_published(file: PublishedFile, contents: IdxContents, path: Path) -> bool:
    """Return whether contents are the published ones, by the digest of the archive where that of its contents is not known."""
    if file.contents_sha256:
        return contents.sha256 == file.contents_sha256
    try:
        with open_regular_file(path) as archive:
            return hashlib.file_digest(cast(BufferedReader, archive), "sha256").hexdigest() == file.archive_sha256
    except OSError:  # removed since it was read
        return False


def _check(known: KnownDataSet, file: PublishedFile, contents: IdxContents, path: Path) -> None:
    """Raise DataError unless the contents are the published ones."""
    if not _is_published(file, contents, path):
        message = (
            f"{path} is not {known.name}'s {file.name}.gz: its SHA-256 is another than that of the published file; delete that "
            "file and run again, to have it downloaded"
        )
        raise DataError(message)
