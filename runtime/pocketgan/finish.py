"""What is done to drawn images for whoever wants them otherwise: larger or smaller, or dark on white."""

from collections.abc import Generator, Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pocketgan.generator import Batch
from pocketgan.pipeline import ordered_map


def finished(batches: Iterable[Batch], height: int | None, is_inverted: bool, threads: int = 1) -> Generator[Batch, None, None]:
    """Yield batches whose images are `height` pixels high and as much wider, and inverted if that is asked for.

    Without a height they keep their size; with one, so many threads resize.
    """

    def finish(batch: Batch) -> Batch:
        if height is None:
            return replace(batch, images=255 - batch.images) if is_inverted else batch
        return replace(batch, images=np.stack([finished_image(image, height, is_inverted) for image in batch.images]))

    return ordered_map(finish, batches, 1 if height is None else threads)


def finished_size(height: int, width: int, wanted_height: int | None) -> tuple[int, int]:
    """Return the height and width that images of this size get."""
    return (height, width) if wanted_height is None else (wanted_height, max(1, round(width * wanted_height / height)))


def finished_image(image: NDArray[np.uint8], height: int | None, is_inverted: bool) -> NDArray[np.uint8]:
    """Return one image uint8 [H, W] as `finished` makes it."""
    image = image if height is None else _resized(image, height)
    return 255 - image if is_inverted else image


def _resized(image: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    """Return an image uint8 [H, W] resampled to so many rows, with Lanczos's filter."""
    from PIL import Image

    size = finished_size(image.shape[0], image.shape[1], height)[::-1]  # Pillow's order
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
