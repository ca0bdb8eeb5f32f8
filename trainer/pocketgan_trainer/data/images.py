"""Loads the images that `--data` names: reads them, brings them to one size, checks and describes them."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as shortened

import numpy as np
from numpy.typing import NDArray

from pocketgan.model.card import LARGEST_LABEL
from pocketgan_trainer.data.array_files import WantedImages
from pocketgan_trainer.data.fitting import fit_pictures
from pocketgan_trainer.data.idx_folders import find_idx_images, read_idx_source
from pocketgan_trainer.data.npz import read_npz_source
from pocketgan_trainer.data.other_formats import other_format
from pocketgan_trainer.data.picture_folders import read_picture_folder
from pocketgan_trainer.data.published import DATA_SET, KNOWN, MNIST, load_known
from pocketgan_trainer.data.remarks import notes_on
from pocketgan_trainer.data.source import FEWEST_IMAGES, ImageSource, check_count, check_variety
from pocketgan_trainer.errors import DataError, TrainingError

IMAGE_SIZES = (28, 32)
"""Pixels along each side that networks are made for; the first is what images get unless they are all of another of these."""
_WANTED = WantedImages(FEWEST_IMAGES)


@dataclass(frozen=True, eq=False)
class TrainingImages:
    """Images of one data set, and what they show."""

    name: str
    """Of the data set, for run folders and model cards: lower-case letters, digits, hyphens."""
    classes: tuple[str, ...]
    """Names by label, fit for a model card; empty if there are no labels."""
    images: NDArray[np.uint8]
    """[N, S, S], S one of IMAGE_SIZES, 0 = background."""
    labels: NDArray[np.int64] | None
    """[N], each below `len(classes)`; None if there are no labels."""
    notes: tuple[str, ...]
    """Warnings for the user before training starts, a sentence each."""
    class_labels: tuple[int, ...] | None = None
    """The numbers that the data gives the classes, where their names do not say them."""

    def __len__(self) -> int:
        return len(self.images)


def load_training_images(data: str | None, image_size: int | None = None, like_mnist: bool = False) -> TrainingImages:
    """Return the training images that `data` names.

    That is the name of a known data set (`mnist`, which None stands for, `fashion-mnist`, `kmnist`), or the path of a folder of
    IDX files or of pictures, of an IDX file, or of an NPZ file. Write `./mnist` for a folder of such a name.

    Images get `image_size` pixels along each side, 28 or 32: by default 28, but 32 where all of them have 32x32 themselves. With
    `like_mnist` they are laid out as MNIST's: white on black, scaled to fit a box and centred by their mass; a published data set
    stays as it is.

    Raises DataError if the data is absent, damaged or too little to learn from; DownloadError if it cannot be fetched.
    """
    if image_size is not None and image_size not in IMAGE_SIZES:
        message = f"an image size of {image_size} is not possible: expected {' or '.join(str(size) for size in IMAGE_SIZES)}"
        raise DataError(message)
    named = DATA_SET if data is None else data
    source = _find_source(named)
    check_count(source.count, named)
    size = image_size or _own_size(source)
    fitted = fit_pictures(source, size, like_mnist and not source.is_published)
    check_variety(fitted.images, named)
    return TrainingImages(
        name=source.name,
        classes=source.classes,
        images=fitted.images,
        labels=source.labels,
        notes=notes_on(source, fitted, like_mnist),
        class_labels=source.class_labels,
    )


def _find_source(data: str) -> ImageSource:
    """Return the source of a name or path; raise DataError if it is neither."""
    if data in KNOWN:
        return load_known(data)
    path = Path(os.path.expanduser(data))  # which a shell does not expand in --data=~/images
    try:
        if os.path.isdir(path):
            images_path = find_idx_images(path)
            return read_idx_source(images_path, _WANTED) if images_path is not None else read_picture_folder(path, _WANTED)
    except OSError as error:
        message = (
            f"cannot read {error.filename or path} ({error.strerror or error}): expected a readable folder; check its permissions"
        )
        raise DataError(message) from error
    if path.suffix.lower() == ".npz" and os.path.exists(path):
        return read_npz_source(path, _WANTED)
    if "idx3" in path.name and os.path.exists(path):
        return read_idx_source(path, _WANTED)
    found, remedy = ("is a file of another kind", "") if os.path.exists(path) else ("does not exist", "")
    if os.path.isfile(path) and (other := other_format(path.name)) is not None:
        found, remedy = f"is {other.what}", f"; {other.remedy}"
    message = (
        f"{path} {found}: expected {', '.join(KNOWN)}, or a folder of images or IDX files, an IDX file or an NPZ file{remedy}"
    )
    raise DataError(message)


def _own_size(source: ImageSource) -> int:
    """Return the size that all images already have, if it is one of IMAGE_SIZES, else the first of these."""
    sizes = {(kind.width, kind.height) for kind in source.kinds}
    return next((size for size in IMAGE_SIZES if sizes == {(size, size)}), IMAGE_SIZES[0])


MOST_SHOWN = 12


def describe(images: TrainingImages) -> str:
    """Return how many images of which size and classes these are, in one line; beyond 12 classes some are left out."""
    count, height, width = images.images.shape
    text = f"{images.name}: {count:,} images of {height}x{width}"
    if images.labels is None:
        return f"{text} without labels"
    counts = np.bincount(images.labels, minlength=len(images.classes)).tolist()
    each = [f"{name} {of_class:,}" for name, of_class in zip(images.classes, counts, strict=True)]
    if len(each) > MOST_SHOWN:
        each = [*each[: MOST_SHOWN - 2], "...", each[-1]]
    return f"{text} in {len(images.classes):,} {'class' if len(images.classes) == 1 else 'classes'}: {', '.join(each)}"


@dataclass(frozen=True)
class DataFacts:
    """A data set, as a run's config and a model card name it."""

    name: str
    """In run folders and model cards."""
    source: str
    """What `--data` was given: a name, or an absolute path."""
    is_like_mnist: bool
    """Whether its pictures were inverted, scaled and centred as MNIST's digits are."""
    image_size: int
    """Height and width in pixels."""
    classes: tuple[str, ...]
    """Names of the classes by label; empty if the images have none."""
    sha256: str
    """Digest of images and labels, in hexadecimal; empty for MNIST's own, which are checked wherever they come from."""
    class_labels: tuple[int, ...] | None = None
    """The numbers that the data gives the classes, where their names do not say them."""

    def __post_init__(self) -> None:
        """Raise TrainingError if a value makes no sense."""
        if self.image_size not in IMAGE_SIZES:
            sizes = " or ".join(map(str, IMAGE_SIZES))
            raise TrainingError(f"image size {self.image_size} is out of range: expected {sizes}")
        labels = self.class_labels
        is_sound = labels is None or len(set(labels)) == len(labels) == len(self.classes)
        if labels is not None and not (is_sound and all(0 <= label <= LARGEST_LABEL for label in labels)):
            expected = f"a different whole number for each class, 0 to {LARGEST_LABEL}"
            raise TrainingError(f"the numbers of classes are {shortened(list(labels))}: expected {expected}")


MNIST_FACTS = DataFacts(name=MNIST.name, source=MNIST.name, is_like_mnist=False, image_size=28, classes=MNIST.classes, sha256="")
"""Also what a run has learned from whose config says nothing of it: there was no other data then."""


def facts_of(images: TrainingImages, source: str, is_like_mnist: bool) -> DataFacts:
    """Return what is to be remembered of images that `--data source` named; a path is remembered from the root on.

    MNIST's own digits are MNIST, wherever they lie.
    """
    image_size = images.images.shape[1]
    if (images.name, image_size) == (MNIST_FACTS.name, MNIST_FACTS.image_size):
        return MNIST_FACTS
    # Not of their bytes, which would be a copy.
    digest = hashlib.sha256(np.ascontiguousarray(images.images).data)
    digest.update(b"" if images.labels is None else np.ascontiguousarray(images.labels).data)
    return DataFacts(
        name=images.name,
        source=source if source in KNOWN else os.path.abspath(os.path.expanduser(source)),
        # Published data sets stay as they are.
        is_like_mnist=is_like_mnist and images.name not in KNOWN,
        image_size=image_size,
        classes=images.classes,
        sha256=digest.hexdigest(),
        class_labels=images.class_labels,
    )
