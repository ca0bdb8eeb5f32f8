"""What gan-eval can score: exported models, and digits in files."""

import hashlib
import os
import re
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import pocketgan_models
from pocketgan.errors import ModelError
from pocketgan.files import open_regular_file
from pocketgan.generator import Generator
from pocketgan.model.session import Provider
from pocketgan_trainer.data.array_files import WantedImages
from pocketgan_trainer.data.idx_folders import read_idx_source
from pocketgan_trainer.data.images import MNIST_FACTS
from pocketgan_trainer.data.npz import read_npz_source
from pocketgan_trainer.data.published import DATA_SET, IMAGE_SHAPE
from pocketgan_trainer.data.source import ImageSource
from pocketgan_trainer.data.split import CLASSES, rows_of_classes
from pocketgan_trainer.errors import DataError

_SHEET = re.compile(r"grid(_[0-9]{8,})?\.png")
_CLASS_IN_NAME = re.compile(r"[0-9]{8,}_([0-9])\.png", re.IGNORECASE)
_DIGITS = WantedImages(fewest=1, shape=IMAGE_SHAPE)


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Images that were read from files, and their classes where the files tell them."""

    images: NDArray[np.uint8]
    """[N, 28, 28], 0 = background."""
    labels: NDArray[np.int64] | None
    """[N], 0 to 9; None where the files tell no classes."""


def read_npz(path: Path) -> ImageFiles:
    """Return the digits of an NPZ file, as `read_npz_source` reads it; raises DataError if it holds anything else."""
    return _digits(read_npz_source(path, _DIGITS), path)


def read_idx_images(path: Path) -> ImageFiles:
    """Return the digits of an IDX file, as `read_idx_source` reads it; raises DataError if it holds anything else."""
    return _digits(read_idx_source(path, _DIGITS), path)


def read_png_folder(folder: Path) -> ImageFiles:
    """Return the images of a folder of grey PNG files in the order of their names, as gan-gen writes them.

    The class is the digit at the end of names such as `00000007_3.png`, or the name of the sub-folder where all files lie in
    sub-folders `0` to `9`. gan-gen's sheet `grid.png` is passed over. Raises DataError for a folder without PNG files, for
    names of which only some tell a class, and for any image that is not grey, of 8 bits and 28x28.
    """
    files = _png_files(folder)
    if files:
        matches = [_CLASS_IN_NAME.fullmatch(file.name) for file in files]
        digits = [int(match[1]) for match in matches if match]
        if 0 < len(digits) < len(files):
            without = next(file for file, match in zip(files, matches, strict=True) if not match)
            message = (
                f"{without} has no class in its name, unlike others there: expected names such as 00000007_3.png for all or none"
            )
            raise DataError(message)
    else:
        of_digit = [_png_files(folder / str(digit)) for digit in range(10) if os.path.isdir(folder / str(digit))]
        files = [file for some in of_digit for file in some]
        digits = [int(file.parent.name) for file in files]
    if not files:
        message = f"{folder} holds no images: expected PNG files, in it or in sub-folders 0 to 9"
        raise DataError(message)
    return ImageFiles(np.stack([_read_png(file) for file in files]), np.array(digits, dtype=np.int64) if digits else None)


def _digits(source: ImageSource, path: Path) -> ImageFiles:
    """Return the images of an array [N, 28, 28]; raise DataError unless their classes, if there are any, are digits."""
    others = sorted(set(source.classes) - set("0123456789"))
    if others:
        message = f"{path} has images of the class {others[0]}: expected digits, 0 to 9"
        raise DataError(message)
    images = np.asarray(source.pictures, dtype=np.uint8)
    return ImageFiles(images, None if source.labels is None else np.array([int(name) for name in source.classes])[source.labels])


def _png_files(folder: Path) -> list[Path]:
    """Return the folder's PNG files but for gan-gen's sheet and hidden ones, sorted by name."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        message = f"cannot read the folder {folder}: {error.strerror or error}"
        raise DataError(message) from error
    is_wanted = [name.lower().endswith(".png") and name[0] != "." and not _SHEET.fullmatch(name) for name in names]
    return [folder / name for name, wanted in zip(names, is_wanted, strict=True) if wanted]


def _read_png(file: Path) -> NDArray[np.uint8]:
    """Return the pixels of one file, uint8 [28, 28]."""
    height, width = IMAGE_SHAPE
    try:
        with open_regular_file(file) as opened, Image.open(opened, formats=["PNG"]) as image:
            # Before its pixels are unpacked: a small file can claim a huge image.
            if image.mode != "L" or image.size != (width, height):
                found = f"{image.width}x{image.height} in mode {image.mode}"
                message = f"{file} is {found}: expected a grey image of 8 bits, {width}x{height} in mode L, white on black"
                raise DataError(message)
            return np.asarray(image, dtype=np.uint8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        message = f"{file} cannot be read as a PNG file ({reason})"
        raise DataError(message) from error


@dataclass(frozen=True, eq=False)
class ModelSource:
    """An exported model, drawn from through the runtime: the pixels of the very file."""

    name: str
    generator: Generator
    threads: int
    """How many threads draw; they do not change the images."""

    @property
    def has_classes(self) -> bool:
        """Whether a digit can be asked for."""
        return bool(self.generator.card.classes)

    @property
    def sha256(self) -> str | None:
        """Digest of the model file."""
        return self.generator.sha256

    def require(self, labels: NDArray[np.int64], remedy: str) -> None:
        """Do nothing: a model can draw any number of images."""

    def draw(self, labels: NDArray[np.int64], seed: int) -> NDArray[np.uint8]:
        """Return the images of the seed from index 0 on, uint8 [N, 28, 28], image i of the class `labels[i]`.

        `labels` is int64 [N]; of a model without classes only its length counts.
        """
        digits = labels if self.has_classes else None
        return np.concatenate([batch.images for batch in self.generator.stream(len(labels), digits, seed, threads=self.threads)])


@dataclass(frozen=True, eq=False)
class FixedSource:
    """A set of images that is there already."""

    name: str
    images: NDArray[np.uint8]
    """[N, 28, 28], 0 = background."""
    labels: NDArray[np.int64] | None
    """[N], 0 to 9; None if nobody knows the classes."""
    sha256: str | None = None
    """Digest of the file; None of a folder."""

    @property
    def has_classes(self) -> bool:
        """Whether a digit can be asked for."""
        return self.labels is not None

    def require(self, labels: NDArray[np.int64], remedy: str) -> None:
        """Raise DataError, which ends with `remedy`, unless there are as many images as `labels`, and of each class if known."""
        if self.labels is None:
            there, needed = np.array([len(self.images)]), np.array([len(labels)])
        else:
            there, needed = np.bincount(self.labels, minlength=CLASSES), np.bincount(labels, minlength=CLASSES)
        lacking = np.flatnonzero(there < needed)
        if len(lacking):
            first = lacking[0]
            of_class = "" if self.labels is None else f" of the digit {first}"
            enough_for = int(len(labels) * (there[needed > 0] / needed[needed > 0]).min())
            message = (
                f"{self.name} holds {there[first]:,} images{of_class}, {needed[first]:,} are needed for {len(labels):,} "
                f"in all: it has enough for about {enough_for:,}; make more, or {remedy}"
            )
            raise DataError(message)

    def draw(self, labels: NDArray[np.int64], seed: int) -> NDArray[np.uint8]:
        """Return images uint8 [N, 28, 28], no one twice, chosen at random by the seed: image i of class `labels[i]` if known.

        Raises DataError if there are too few, see `require`.
        """
        self.require(labels, "ask for fewer")
        random = np.random.Generator(np.random.Philox(seed))
        if self.labels is None:
            return self.images[random.permutation(len(self.images))[: len(labels)]]
        return self.images[rows_of_classes(self.labels, labels, random)]


Source: TypeAlias = ModelSource | FixedSource


def open_source(named: str | None, threads: int) -> Source:
    """Return what a command line names: a bundled model, an .onnx file, a folder of PNG files, an .npz file or an IDX file.

    None is the model that gan-gen takes when none is named. Raises DataError or ModelError if there is no such thing or if its
    images are no digits of 28x28.
    """
    if named is None or named in pocketgan_models.names() or (named.endswith(".onnx") and not os.path.isdir(named)):
        return _open_model(named, threads)
    path = Path(named)
    if os.path.isdir(path):
        return _fixed(named, read_png_folder(path), None)
    kinds = (
        f"a bundled model ({', '.join(pocketgan_models.names())}), an .onnx file, a folder of PNG files, an .npz file, or an IDX "
        "file with idx3 in its name"
    )
    if not os.path.exists(path):
        message = f"there is no {named}: expected {kinds}"
        raise DataError(message)
    if path.suffix == ".npz":
        return _fixed(named, read_npz(path), path)
    if "idx3" in path.name:
        return _fixed(named, read_idx_images(path), path)
    message = f"{named} is of no kind that can be scored: expected {kinds}"
    raise DataError(message)


def _open_model(named: str | None, threads: int) -> ModelSource:
    # On the CPU always: it is there everywhere, and there an int8 file has its own pixels.
    generator = Generator.load(named, Provider.cpu)
    card = generator.card
    if (card.image_height, card.image_width) != IMAGE_SHAPE or len(card.classes) not in (0, CLASSES):
        drawn = f"{card.image_height}x{card.image_width} with {len(card.classes)} classes"
        message = f"model {generator.path} draws images of {drawn}: only digits can be scored, 28x28 with 10 classes or none"
        raise ModelError(message)
    if card.classes != MNIST_FACTS.classes and (card.classes or card.training.data_set != DATA_SET):
        message = f"model {generator.path} learned from {card.training.data_set}: only generators of digits can be scored"
        raise ModelError(message)
    return ModelSource(named or generator.path.stem, generator, threads)


def _fixed(named: str, files: ImageFiles, path: Path | None) -> FixedSource:
    sha256 = None
    if path is not None:
        with open_regular_file(path) as file:
            sha256 = hashlib.file_digest(cast(BufferedReader, file), "sha256").hexdigest()
    return FixedSource(named, files.images, files.labels, sha256)
