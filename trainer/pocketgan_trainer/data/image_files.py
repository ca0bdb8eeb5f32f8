"""Digits in files of any origin: a folder of PNG files, an IDX file or an NPZ file, with or without labels."""

import os
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pocketgan_trainer.data.idx import read_idx
from pocketgan_trainer.data.mnist import IMAGE_SHAPE
from pocketgan_trainer.errors import DataError

_SHEET = re.compile(r"grid(_[0-9]{8,})?\.png")
_CLASS_IN_NAME = re.compile(r"[0-9]{8,}_([0-9])\.png", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Images that were read from files, and their classes where the files tell them."""

    images: NDArray[np.uint8]
    """[N, 28, 28], 0 = background."""
    labels: NDArray[np.int64] | None
    """[N], 0 to 9; None where the files tell no classes."""


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


def read_npz(path: Path) -> ImageFiles:
    """Return the arrays `images` uint8 [N, 28, 28] and, if it is there, `labels` [N] of an NPZ file, as gan-gen writes it.

    Raises DataError if the file cannot be read or holds anything else under these names.
    """
    try:
        # Opened here, because numpy leaves a file open that it cannot read. Never pickled objects: they could run code.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in ("images", "labels") if name in archive}
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        message = f"{path} cannot be read as an NPZ file ({error}); expected one with arrays `images` and, if known, `labels`"
        raise DataError(message) from error
    if "images" not in arrays:
        message = f"{path} holds no array `images`: expected uint8 [N, 28, 28]"
        raise DataError(message)
    return _checked(arrays["images"], arrays.get("labels"), path)


def read_idx_images(path: Path) -> ImageFiles:
    """Return the images of an IDX file, and the labels of the file beside it, if there is one, that is named like MNIST's.

    That is `x-labels-idx1-ubyte` for `x-images-idx3-ubyte`, either of them gzipped or not. Raises DataError as `read_idx` does,
    and if the contents are not images of 28x28 and as many labels.
    """
    plain = path.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    beside = [
        path.with_name(name) for name in (plain, f"{plain}.gz") if name != path.name and os.path.exists(path.with_name(name))
    ]
    return _checked(read_idx(path), read_idx(beside[0]) if beside else None, path)


def _png_files(folder: Path) -> list[Path]:
    """Return the folder's PNG files but for gan-gen's sheet, sorted by name."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        message = f"cannot read the folder {folder}: {error.strerror or error}"
        raise DataError(message) from error
    return [folder / name for name in names if name.lower().endswith(".png") and not _SHEET.fullmatch(name)]


def _read_png(file: Path) -> NDArray[np.uint8]:
    """Return the pixels of one file, uint8 [28, 28]."""
    height, width = IMAGE_SHAPE
    try:
        with Image.open(file, formats=["PNG"]) as image:
            # Before its pixels are unpacked: a small file can claim a huge image.
            if image.mode != "L" or image.size != (width, height):
                found = f"{image.width}x{image.height} in mode {image.mode}"
                message = f"{file} is {found}: expected a grey image of 8 bits, {width}x{height} in mode L, white on black"
                raise DataError(message)
            return np.asarray(image, dtype=np.uint8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        message = f"{file} cannot be read as a PNG file ({error})"
        raise DataError(message) from error


def _checked(images: NDArray[np.generic], labels: NDArray[np.generic] | None, path: Path) -> ImageFiles:
    """Return images and labels; raise DataError unless they are uint8 [N, 28, 28], N > 0, and N whole numbers from 0 to 9."""
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != IMAGE_SHAPE or len(images) == 0:
        message = f"{path} holds images {images.dtype} {list(images.shape)}: expected uint8 [N, 28, 28], white on black"
        raise DataError(message)
    if labels is None:
        return ImageFiles(images.astype(np.uint8, copy=False), None)
    if not np.issubdtype(labels.dtype, np.integer) or labels.shape != images.shape[:1]:
        message = (
            f"{path} has labels {labels.dtype} {list(labels.shape)}: expected one whole number for each of {len(images):,} images"
        )
        raise DataError(message)
    whole = labels.astype(np.int64)
    if whole.min() < 0 or whole.max() > 9:
        message = f"{path} has labels from {whole.min()} to {whole.max()}: expected digits, 0 to 9"
        raise DataError(message)
    return ImageFiles(images.astype(np.uint8, copy=False), whole)
