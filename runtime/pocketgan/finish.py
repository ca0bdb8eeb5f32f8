"""What is done to drawn images for whoever wants them otherwise: larger or smaller, or dark on white."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pocketgan.generator import Batch
from pocketgan.pipeline import ordered_map


def finished(batches: Iterable[Batch], height: int | None, is_inverted: bool, threads: int = 1) -> Iterator[Batch]:
    """Yield batches whose images are `height` pixels high and as much wider, and inverted if that is asked for.

    Without a height they keep their size; with one, so many threads resize.
    """

    def finish(batch: Batch) -> Batch:
        return replace(batch, images=_finished(batch.images, height, is_inverted))

    return map(finish, batches) if height is None or threads == 1 else ordered_map(finish, batches, threads)


def _finished(images: NDArray[np.uint8], height: int | None, is_inverted: bool) -> NDArray[np.uint8]:
    if height is not None:
        images = _resized(images, height)
    return 255 - images if is_inverted else images


def _resized(images: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    """Return images uint8 [N, H, W] resampled to so many rows, with Lanczos's filter."""
    from PIL import Image

    size = max(1, round(images.shape[2] * height / images.shape[1])), height
    return np.stack([np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS)) for image in images])
