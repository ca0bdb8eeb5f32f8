"""The images that a run learns from, whatever data the user names: ready in size, numbered by class, and looked over."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.data.array_files import WantedImages
from pocketgan_trainer.data.data_checks import FEWEST_IMAGES, check_count, check_variety
from pocketgan_trainer.data.data_notes import notes_on
from pocketgan_trainer.data.fitting import fit_pictures
from pocketgan_trainer.data.idx_folders import find_idx_images, read_idx_source
from pocketgan_trainer.data.image_source import ImageSource
from pocketgan_trainer.data.known_data_sets import KNOWN, load_known
from pocketgan_trainer.data.mnist import DATA_SET
from pocketgan_trainer.data.npz_arrays import read_npz_source
from pocketgan_trainer.data.other_formats import other_format
from pocketgan_trainer.data.picture_folders import read_picture_folder
from pocketgan_trainer.errors import DataError

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
