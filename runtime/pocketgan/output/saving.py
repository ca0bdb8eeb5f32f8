"""Saves images from Python as one file: a picture, a sheet, an animation, or an array."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pocketgan.contact_sheet import contact_sheet
from pocketgan.errors import RequestError, first_line
from pocketgan.files import named_file, whole_file
from pocketgan.output.png import encode_png
from pocketgan.output.walk import write_gif

FRAME_MILLISECONDS = 200


def save(images: ArrayLike, path: str | Path, labels: ArrayLike | None = None) -> None:
    """Save images, uint8 [N, H, W] or one [H, W], as one file.

    The ending of `path` says how: `.png` one image, or all of them on one sheet; `.gif` an animation, 0.2 seconds for each;
    `.npy` an array; `.npz` arrays `images` and, if they are given, `labels`, one for each image. An existing file is replaced
    when the new one is whole. Raises RequestError for other images, labels or endings, and OutputError if the file cannot be
    written.
    """
    path = Path(path)
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise RequestError(
            f"cannot save {path}: expected a name that ends in one of {', '.join(_WRITERS)}; gan-gen writes a file for each image"
        )
    pixels = _array(images)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or not pixels.size:
        raise RequestError(f"images are {pixels.dtype} {pixels.shape}: expected uint8 of shape (N, H, W) or (H, W)")
    named = None if labels is None else _array(labels)
    if named is not None and (write is not _write_npz or named.shape != pixels.shape[:-2] or named.dtype == object):
        raise RequestError(f"labels of shape {named.shape} for {path}: expected one for each image, in a .npz file")
    write(named_file(path), pixels, named)


def _array(values: ArrayLike) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise RequestError(f"these values cannot be made into an array: {first_line(error)}") from error


@contextmanager
def _opened(target: Path) -> Iterator[BinaryIO]:
    with whole_file(target) as temporary, temporary.open("wb") as file:
        yield file


def _write_png(target: Path, pixels: NDArray[np.uint8], labels: NDArray[Any] | None) -> None:
    with _opened(target) as file:
        file.write(encode_png(pixels if pixels.ndim == 2 else np.asarray(contact_sheet(pixels))))


def _write_gif(target: Path, pixels: NDArray[np.uint8], labels: NDArray[Any] | None) -> None:
    write_gif(target, pixels.reshape(-1, *pixels.shape[-2:]), scale=1, frame_milliseconds=FRAME_MILLISECONDS)


def _write_npy(target: Path, pixels: NDArray[np.uint8], labels: NDArray[Any] | None) -> None:
    with _opened(target) as file:
        np.save(file, pixels)


def _write_npz(target: Path, pixels: NDArray[np.uint8], labels: NDArray[Any] | None) -> None:
    with _opened(target) as file:
        if labels is None:
            np.savez_compressed(file, images=pixels)
        else:
            np.savez_compressed(file, images=pixels, labels=labels)


_WRITERS: dict[str, Callable[[Path, NDArray[np.uint8], NDArray[Any] | None], None]] = {
    ".png": _write_png,
    ".gif": _write_gif,
    ".npy": _write_npy,
    ".npz": _write_npz,
}
