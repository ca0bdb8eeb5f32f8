"""What gan-eval can score: exported models, and digits in files."""

import hashlib
import os
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from shlex import quote
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

import pocketgan_models
from pocketgan.errors import ModelError
from pocketgan.files import open_regular_file
from pocketgan.generator import Generator
from pocketgan.model.session import Provider
from pocketgan_trainer.data.images import MNIST_FACTS, read_images
from pocketgan_trainer.data.published import CLASSES, IMAGE_SHAPE, MNIST
from pocketgan_trainer.data.source import WantedImages
from pocketgan_trainer.data.split import rows_of_classes
from pocketgan_trainer.errors import DataError


@dataclass(frozen=True, eq=False)
class ModelSource:
    """An exported model, drawn from through the runtime: the pixels of the very file."""

    name: str
    generator: Generator
    threads: int
    """The number of threads that draw; it does not change the images."""

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
    """Images read from files."""

    name: str
    images: NDArray[np.uint8]
    """[N, 28, 28], 0 = background."""
    labels: NDArray[np.int64] | None
    """[N], 0 to 9; None if the classes are not known."""
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
        """Return different images uint8 [N, 28, 28], chosen at random by the seed: image i of class `labels[i]` if known.

        Raises DataError if there are too few, see `require`.
        """
        self.require(labels, "ask for fewer")
        random = np.random.Generator(np.random.Philox(seed))
        if self.labels is None:
            return self.images[random.permutation(len(self.images))[: len(labels)]]
        return self.images[rows_of_classes(self.labels, labels, random)]


Source: TypeAlias = ModelSource | FixedSource


def open_source(named: str | None, threads: int) -> Source:
    """Return the source with this name: a bundled model, an .onnx file, or digits in a path of one of `images.KINDS`.

    None is the model that gan-gen uses by default. Raises DataError or ModelError if it does not exist or its images are not
    digits of 28x28.
    """
    if named is None or named in pocketgan_models.names() or (named.endswith(".onnx") and not os.path.isdir(named)):
        return _open_model(named, threads)
    path = Path(named)
    if any(path.glob("*.safetensors")) or (path.suffix == ".safetensors" and os.path.isfile(path)):
        raise DataError(f"{path} is of a training run: export it first, with gan-export model.onnx --checkpoint {quote(named)}")
    wanted = WantedImages(fewest=1, shape=IMAGE_SHAPE, classes=MNIST.classes, formats=("PNG",))
    bundled = pocketgan_models.names()
    source = read_images(path, wanted, (f"a bundled model ({', '.join(bundled)})", "an .onnx file"), bundled)
    names, labels = source.classes.names, source.classes.labels
    if others := sorted(set(names) - set(MNIST.classes)):
        raise DataError(f"{path} has images of the class {others[0]}: expected digits, 0 to 9")
    images = source.pictures if isinstance(source.pictures, np.ndarray) else np.stack(list(source.pictures))
    labels = None if labels is None else np.array([int(name) for name in names])[labels]
    if os.path.isdir(path):
        return FixedSource(named, images, labels)
    with open_regular_file(path) as file:
        return FixedSource(named, images, labels, hashlib.file_digest(cast(BufferedReader, file), "sha256").hexdigest())


def _open_model(named: str | None, threads: int) -> ModelSource:
    # On the CPU always: it is there everywhere, and there an int8 file has its own pixels.
    generator = Generator.load(named, Provider.cpu)
    card = generator.card
    if (card.image_height, card.image_width) != IMAGE_SHAPE or len(card.classes) not in (0, CLASSES):
        classes = "1 class" if len(card.classes) == 1 else f"{len(card.classes)} classes"
        drawn = f"{card.image_height}x{card.image_width} with {classes}"
        message = f"model {generator.path} draws images of {drawn}: only digits can be scored, 28x28 with 10 classes or none"
        raise ModelError(message)
    if card.classes != MNIST_FACTS.classes and (card.classes or card.training.data_set != MNIST.name):
        message = f"model {generator.path} learned from {card.training.data_set}: only generators of digits can be scored"
        raise ModelError(message)
    return ModelSource(named or generator.path.stem, generator, threads)
