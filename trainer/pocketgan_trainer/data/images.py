"""Every kind of data that is read, in one table; and the training images that `--data` names: loaded, checked, described."""

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as shortened

import numpy as np
from numpy.typing import NDArray

from pocketgan.errors import suggestion
from pocketgan.model.card import fault_in_classes
from pocketgan_trainer.data.fitting import fit_pictures
from pocketgan_trainer.data.idx_folders import claims_idx, read_idx_source
from pocketgan_trainer.data.npy import claims_npy, read_npy_source
from pocketgan_trainer.data.npz import claims_npz, read_npz_source
from pocketgan_trainer.data.other_formats import other_format
from pocketgan_trainer.data.parquet import claims_parquet, read_parquet_source
from pocketgan_trainer.data.picture_folders import read_picture_folder
from pocketgan_trainer.data.published import KNOWN, MNIST, load_known
from pocketgan_trainer.data.remarks import notes_on
from pocketgan_trainer.data.source import LONGEST_DATA_SET, ImageSource, WantedImages, check_variety
from pocketgan_trainer.errors import DataError, TrainingError
from pocketgan_trainer.networks.canvas import is_laid_out

IMAGE_SIZES = (28, 32)
"""Pixels along each side that networks can have; images are resized to the first unless all already have the second."""
MOST_SHOWN = 12
"""Classes named in one line."""
_DATA_SET = re.compile(f"(my-)?[a-z0-9-]{{1,{LONGEST_DATA_SET}}}")


@dataclass(frozen=True)
class DataKind:
    """A kind of files or folders that hold images."""

    what: str
    """For messages."""
    claims: Callable[[Path], bool]
    """Whether a path that exists is of this kind. The first kind that claims a path reads it."""
    read: Callable[[Path, WantedImages], ImageSource]
    """Returns what it holds. Raises DataError if it is damaged or holds something else than wanted."""


KINDS = (
    DataKind("an NPZ file", claims_npz, read_npz_source),
    DataKind("an IDX file (with idx3 in its name) or a folder of them", claims_idx, read_idx_source),
    DataKind("an NPY file", claims_npy, read_npy_source),
    DataKind("a Parquet file or a folder of them", claims_parquet, read_parquet_source),
    DataKind("a folder of pictures", os.path.isdir, read_picture_folder),
)
"""What `gan-train` and `gan-eval` read. To add a kind, add its row and its file."""


def read_images(path: Path, wanted: WantedImages, others: Sequence[str], names: Sequence[str]) -> ImageSource:
    """Return the images at a path of one of KINDS.

    Raises DataError if they are damaged or not as wanted, or if the path is of no kind; then it says what is expected: `others`,
    or one of KINDS, and which of `names` may be meant.
    """
    exists = os.path.exists(path)
    try:
        if exists and (kind := next((kind for kind in KINDS if kind.claims(path)), None)) is not None:
            return kind.read(path, wanted)
    except OSError as error:
        found = f"{error.filename or path} ({error.strerror or error})"
        raise DataError(f"cannot read {found}: expected a readable folder; check its permissions") from error
    found, remedy = ("is a file of another kind", "") if exists else ("does not exist", suggestion(str(path), names))
    if os.path.isfile(path) and (other := other_format(path.name)) is not None:
        found, remedy = f"is {other.what}", f"; {other.remedy}"
    expected = ", ".join((*others, *(kind.what for kind in KINDS[:-1])))
    raise DataError(f"{path} {found}: expected {expected}, or {KINDS[-1].what}{remedy}")


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


def load_training_images(data: str, image_size: int | None = None, like_mnist: bool = False) -> TrainingImages:
    """Return the training images that `data` names.

    That is the name of a known data set (`mnist`, `fashion-mnist`, `kmnist`), or a path of one of
    KINDS. Write `./mnist` for a folder of such a name.

    Images get `image_size` pixels along each side, 28 or 32: by default 28, but 32 where all of them have 32x32 themselves. With
    `like_mnist` they are laid out as MNIST's: white on black, scaled to fit a box and centred by their mass; a published data set
    stays as it is.

    Raises DataError if the data is absent, damaged or too little to learn from; DownloadError if it cannot be fetched.
    """
    if image_size is not None and image_size not in IMAGE_SIZES:
        message = f"an image size of {image_size} is not possible: expected {' or '.join(str(size) for size in IMAGE_SIZES)}"
        raise DataError(message)
    path = Path(os.path.expanduser(data))  # which a shell does not do in --data=~/images
    source = load_known(data) if data in KNOWN else read_images(path, WantedImages(), tuple(KNOWN), tuple(KNOWN))
    fitted = fit_pictures(source, image_size or _own_size(source), like_mnist and not source.is_published)
    check_variety(fitted.images, data)
    return TrainingImages(
        name=source.name if source.is_published or source.name not in KNOWN else f"my-{source.name}",
        classes=source.classes.names,
        images=fitted.images,
        labels=source.classes.labels,
        notes=notes_on(source, fitted, like_mnist),
        class_labels=source.classes.class_labels,
    )


def _own_size(source: ImageSource) -> int:
    """Return the size that all images already have, if it is one of IMAGE_SIZES, else the first of these."""
    sizes = {(kind.width, kind.height) for kind in source.kinds}
    return next((size for size in IMAGE_SIZES if sizes == {(size, size)}), IMAGE_SIZES[0])


def describe(images: TrainingImages) -> str:
    """Return how many images of which size and classes these are, in one line; beyond MOST_SHOWN classes some are left out."""
    count, height, width = images.images.shape
    text = f"{images.name}: {count:,} images of {height}x{width}"
    if images.labels is None:
        return f"{text} without labels"
    counts = np.bincount(images.labels, minlength=len(images.classes)).tolist()
    each = [f"{name}: {of_class:,}" for name, of_class in zip(images.classes, counts, strict=True)]
    if len(each) > MOST_SHOWN:
        each = [*each[: MOST_SHOWN - 2], "...", each[-1]]
    return f"{text} in {len(images.classes):,} {'class' if len(images.classes) == 1 else 'classes'} ({', '.join(each)})"


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
    is_laid_out: bool = False
    """Whether the images obey MNIST's layout, see `networks.canvas.is_laid_out`."""

    def __post_init__(self) -> None:
        """Raise TrainingError if these are no facts that data gets here."""
        if self.image_size not in IMAGE_SIZES:
            sizes = " or ".join(map(str, IMAGE_SIZES))
            raise TrainingError(f"image size {self.image_size} is out of range: expected {sizes}")
        if not _DATA_SET.fullmatch(self.name):
            expected = "expected lower-case letters, digits, hyphens"
            raise TrainingError(f"data set name {shortened(self.name)} is out of range: {expected}")
        if (fault := fault_in_classes(self.classes, self.class_labels)) is not None:
            field, found, expected = fault
            raise TrainingError(f"{field} {shortened(found)} is out of range: expected {expected}")


MNIST_FACTS = DataFacts(
    name=MNIST.name, source=MNIST.name, is_like_mnist=False, image_size=28, classes=MNIST.classes, sha256="", is_laid_out=True
)
"""Also for runs whose config names no data: they are from a time when MNIST was the only data."""


def facts_of(images: TrainingImages, source: str, is_like_mnist: bool) -> DataFacts:
    """Return the facts of images that `--data source` named; of a path, the absolute one.

    MNIST's own digits are MNIST, wherever they lie.
    """
    image_size = images.images.shape[1]
    if (images.name, image_size) == (MNIST_FACTS.name, MNIST_FACTS.image_size):
        return MNIST_FACTS
    # Of the array's memory: its `tobytes` would be a copy.
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
        is_laid_out=is_laid_out(images.images),
    )
