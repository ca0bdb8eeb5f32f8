"""Published data sets: MNIST, Fashion-MNIST and KMNIST, found or downloaded, and checked by their digests."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
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
from pocketgan_trainer.data.idx import IdxContents, find_named, read_idx
from pocketgan_trainer.data.source import ImageSource, NamedClasses, array_source
from pocketgan_trainer.errors import DataError

Split: TypeAlias = Literal["train", "test"]

IMAGE_SHAPE = (28, 28)
"""Height and width of MNIST's digits."""
BUNDLED_FOLDER = Path(__file__).parent / "mnist"
"""In a checkout and in the sdist; wheels do without it, but pip remembers which checkout a wheel was built from."""
DEBIAN_FOLDER = Path("/usr/share/datasets")
"""Where Debian's package dataset-fashion-mnist puts its folder."""


@dataclass(frozen=True)
class PublishedFile:
    """One published file, and the digests (SHA-256) by which it is known."""

    name: str
    """Without `.gz`."""
    contents_sha256: str
    """Of the uncompressed contents: the same however the file was compressed. Empty where it is not known."""
    archive_sha256: str
    """Of the `.gz` file as the mirrors serve it. The bundled files are compressed better and have other digests."""

    @property
    def sha256(self) -> str:
        """The digest by which a file is checked: of the contents where that is known, else of the archive."""
        return self.contents_sha256 or self.archive_sha256


PublishedFiles: TypeAlias = tuple[PublishedFile, PublishedFile]
"""Images, and the labels that belong to them."""


@dataclass(frozen=True)
class PublishedDataSet:
    """A data set that is known by name, and where its files can be found."""

    name: str
    """Also in run folders and model cards, and of its folder in the user's cache and among Debian's."""
    classes: tuple[str, ...]
    """By label."""
    mirrors: tuple[str, ...]
    """Addresses of folders, with a slash at their end."""
    splits: Mapping[Split, PublishedFiles]
    """Those that are needed."""


def _files(prefix: str, images: str, images_archive: str, labels: str, labels_archive: str) -> PublishedFiles:
    """Return files that are named as MNIST's are, with the digests of their contents and of their archives."""
    return (
        PublishedFile(f"{prefix}-images-idx3-ubyte", images, images_archive),
        PublishedFile(f"{prefix}-labels-idx1-ubyte", labels, labels_archive),
    )


MNIST = PublishedDataSet(
    name="mnist",
    classes=tuple("0123456789"),
    mirrors=("https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"),
    splits={
        "train": _files(
            "train",
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        ),
        "test": _files(
            "t10k",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    },
)
FASHION_MNIST = PublishedDataSet(
    name="fashion-mnist",
    classes=("tshirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"),
    mirrors=("https://fashion-mnist.s3.eu-central-1.amazonaws.com/",),
    splits={
        "train": _files(
            "train",
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        )
    },
)
KMNIST = PublishedDataSet(
    name="kmnist",
    classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    mirrors=("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
    splits={
        "train": _files(
            "train",
            "",
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "",
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
        )
    },
)
CLASSES = len(MNIST.classes)
KNOWN = {known.name: known for known in (MNIST, FASHION_MNIST, KMNIST)}


@dataclass(frozen=True, eq=False)
class Digits:
    """Images and their labels: MNIST's digits, or what else a run learns from."""

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
    files = MNIST.splits[split]
    if folder is None:
        images, labels = _read_found(MNIST, files)
    else:
        remedy = "give a folder with the original files, or leave out --data"
        images, labels = _read(MNIST, files, _find_in_users(folder, files), remedy)
    return Digits(images.values.astype(np.uint8, copy=False), labels.values.astype(np.uint8, copy=False))


def load_known(name: str) -> ImageSource:
    """Return the training images of the data set of that name, a key of KNOWN, with the names of its classes.

    They come from the checkout, Debian's folder, or the user's cache folder, into which what is missing is downloaded first.
    Raises DataError, which names the file, if one is damaged or not the published one; DownloadError if it cannot be fetched.
    """
    known = KNOWN[name]
    images, labels = _read_found(known, known.splits["train"])
    return published_source(known, images.values, labels.values)


def published_source(known: PublishedDataSet, images: NDArray[np.integer], labels: NDArray[np.integer]) -> ImageSource:
    """Return the images [N, 28, 28] and labels [N] of a known data set as a source."""
    return array_source(known.name, images, NamedClasses(known.classes, labels.astype(np.int64)), is_published=True)


def recognise(images: IdxContents, images_path: Path, labels: IdxContents, labels_path: Path) -> PublishedDataSet | None:
    """Return the known data set whose own training files these are, or None."""
    for known in KNOWN.values():
        if _first_other(known.splits["train"], (images, labels), (images_path, labels_path)) is None:
            return known
    return None


def _find_both(folder: Path, files: PublishedFiles) -> tuple[Path, Path] | None:
    """Return the paths of images and labels in a folder, or None unless it holds both."""
    images, labels = (find_named(folder, file.name) for file in files)
    return (images, labels) if images is not None and labels is not None else None


def _find_in_users(folder: Path, files: PublishedFiles) -> tuple[Path, Path]:
    """Return the paths in a folder that the user gave; raise DataError that names what is absent."""
    if not os.path.isdir(folder):
        found = "is a file" if os.path.exists(folder) else "does not exist"
        message = f"{folder} {found}; expected a folder that holds {files[0].name} and {files[1].name}, gzipped or not"
        raise DataError(message)
    if (both := _find_both(folder, files)) is not None:
        return both
    absent = " and ".join(file.name for file in files if find_named(folder, file.name) is None)
    message = f"{folder} lacks {absent}; put there what is absent, as published or unpacked, or leave out --data"
    raise DataError(message)


def _read_found(known: PublishedDataSet, files: PublishedFiles) -> tuple[IdxContents, IdxContents]:
    """Return images and labels from the first folder that holds both, after downloading what is missing in the cache folder."""
    paths = next((both for folder in _folders(known.name) if (both := _find_both(folder, files)) is not None), None)
    if paths is None:
        cache = platformdirs.user_cache_path("pocketgan") / known.name
        images, labels = (_find_or_download(cache, file, known.mirrors) for file in files)
        paths = images, labels
    return _read(known, files, paths, "delete that file and run again, to have it downloaded")


def _folders(name: str) -> Iterator[Path]:
    """Yield where the files of a data set may lie: in this checkout, or that which pip installed from, and in Debian's folder."""
    yield BUNDLED_FOLDER.with_name(name)
    try:
        note = distribution("pocketgan").read_text("direct_url.json")  # (PEP 610)
    except PackageNotFoundError:  # run from a folder, not installed
        note = None
    url = urlsplit(json.loads(note)["url"]) if note else None
    if url is not None and url.scheme == "file":
        yield Path(url2pathname(url.path), "trainer", *__name__.split(".")[:-1], name)
    yield DEBIAN_FOLDER / name


def _find_or_download(folder: Path, file: PublishedFile, mirrors: tuple[str, ...]) -> Path:
    if (found := find_named(folder, file.name)) is not None:
        return found
    target = folder / f"{file.name}.gz"
    download([mirror + target.name for mirror in mirrors], target, file.archive_sha256)
    return target


def _read(
    known: PublishedDataSet, files: PublishedFiles, paths: tuple[Path, Path], remedy: str
) -> tuple[IdxContents, IdxContents]:
    """Return images and labels; raise DataError, which ends with `remedy`, unless they are the published ones, bit for bit."""
    try:
        images, labels = read_idx(paths[0]), read_idx(paths[1])
    except DataError as error:
        raise DataError(f"{error}; {remedy}") from error
    if (other := _first_other(files, (images, labels), paths)) is not None:
        file, path, digest = other
        found = f"its SHA-256 is {digest}, expected {file.sha256}"
        raise DataError(f"{path} is not {known.name}'s {file.name}: {found}; {remedy}")
    return images, labels


def _first_other(
    files: PublishedFiles, contents: tuple[IdxContents, IdxContents], paths: tuple[Path, Path]
) -> tuple[PublishedFile, Path, str] | None:
    """Return the first file that is not the published one, with its path and digest, or None if both are."""
    for file, found, path in zip(files, contents, paths, strict=True):
        digest = found.sha256 if file.contents_sha256 else _digest_of_archive(path)
        if digest != file.sha256:
            return file, path, digest
    return None


def _digest_of_archive(path: Path) -> str:
    try:
        with open_regular_file(path) as archive:
            return hashlib.file_digest(cast(BufferedReader, archive), "sha256").hexdigest()
    except OSError:  # removed since it was read
        return "unknown"
