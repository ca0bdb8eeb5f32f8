"""Small data sets for tests of reading them: images that all differ, and files of them."""

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def different_images(count: int, height: int = 28, width: int | None = None, seed: int = 0) -> NDArray[np.uint8]:
    """Return noise [count, height, width] on black: no two images are equal, and no border is bright."""
    images = np.random.default_rng(seed).integers(0, 256, (count, height, width or height), dtype=np.uint8)
    images[:, [0, -1]] = 0
    images[:, :, [0, -1]] = 0
    return images


def idx_bytes(values: NDArray[np.uint8]) -> bytes:
    """Return an array as an IDX file."""
    return bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape) + values.tobytes()


def write_idx(path: Path, values: NDArray[np.uint8]) -> None:
    """Write an array as an IDX file, gzipped if its name says so."""
    contents = idx_bytes(values)
    path.write_bytes(gzip.compress(contents, compresslevel=1) if path.suffix == ".gz" else contents)


def write_pictures(folder: Path, images: NDArray[np.uint8] | NDArray[np.uint16], suffix: str = ".png") -> None:
    """Write each image into a file of its own, named by its place; the folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, image in enumerate(images):
        Image.fromarray(image).save(folder / f"picture{place:05d}{suffix}")
