"""Published data sets: MNIST, Fashion-MNIST and KMNIST, found or downloaded, and checked by their digests."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from io import BufferedReader
from pathlib import Path
from typing import Literal, TypeAlias, cast
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import platformdirs
from numpy.typing import NDArray

from pocketgan.files import open_regular_file
from pocketgan_trainer.data.download import download
from pocketgan_trainer.data.idx import IdxContents, read_idx
from pocketgan_trainer.data.source import ImageSource, array_kinds
from pocketgan_trainer.errors import DataError


@dataclass(frozen=True)
class PublishedFile:
    """One published file, and the digests (SHA-256) by which it is known."""

    name: str
    """Without `.gz`."""
    contents_sha256: str
    """Of the uncompressed contents: the same however the file was compressed. Empty where it is not known."""
    archive_sha256: str
    """Of the `.gz` file as the mirrors serve it. The bundled files are compressed better and have other digests."""


def accepted_names(name: str) -> tuple[str, ...]:
    """Return the names of an IDX file, published as `name`.gz; some programs unpack it with a dot before `idx`."""
    dotted = name.replace("-idx", ".idx")
    return (name, f"{name}.gz", dotted, f"{dotted}.gz")


def find_named(folder: Path, name: str) -> Path | None:
    """Return where `folder` holds the IDX file that was published as `name`.gz, under any of its names, or None.

    Some programs unpack it into a folder named like it.
    """
    for other in accepted_names(name):
        path = folder / other
        for candidate in (path, *(path / inner for inner in accepted_names(name))):
            if os.path.exists(candidate) and not os.path.isdir(candidate):
                return candidate
    return None


def find_or_download(folder: Path, file: PublishedFile, mirrors: Sequence[str]) -> Path:
    """Return where `folder` holds the file, after downloading it from the first of `mirrors` that has it, if it must be.

    Each mirror is the address of a folder, with a slash at its end. Raises DownloadError as `download` does.
    """
    if (found := find_named(folder, file.name)) is not None:
        return found
    target = folder / f"{file.name}.gz"
    download([mirror + target.name for mirror in mirrors], target, file.archive_sha256)
    return target


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
        images_path, labels_path = _find_bundled(files) or _find_mnist(files)
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


def _find_mnist(files: MnistSplit) -> tuple[Path, Path]:
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
