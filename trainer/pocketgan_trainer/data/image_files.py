"""Digits in files of any origin: a folder of PNG files, an IDX file or an NPZ file, with or without labels."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pocketgan.files import open_regular_file
from pocketgan_trainer.data.array_files import WantedImages
from pocketgan_trainer.data.idx_folders import read_idx_source
from pocketgan_trainer.data.image_source import ImageSource
from pocketgan_trainer.data.mnist import IMAGE_SHAPE
from pocketgan_trainer.data.npz_arrays import read_npz_source
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
