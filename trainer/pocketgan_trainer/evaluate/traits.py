"""Traits of MNIST's digits that can be seen in pixels alone: size and place of the ink, its grey levels, its edges.

MNIST's digits were scaled so that the longer side of the ink's box is 20 pixels, and placed by their centre of mass (Y. LeCun et
al., "Gradient-based learning applied to document recognition", 1998, section III.A). So nearly all of them obey a rule that a
generator may not know, and by which anyone can tell its digits from real ones.
"""

import numpy as np
from numpy.typing import NDArray

LONGER_SIDE_PIXELS = 20
CENTER_PIXELS = 14
"""Where the centre of mass lies, within half a pixel; 0 is the centre of the first row or column."""
FULL_INK = 250
"""The lowest level of full ink."""
_USUAL_FULL_INK = (252, 253, 254)
_HISTOGRAM_BINS = 32


def is_sized_and_centered(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return whether each of images uint8 [N, H, W] obeys MNIST's rule, [N].

    The longer side of the box around its ink must be LONGER_SIDE_PIXELS, and its centre of mass must lie within half a pixel of
    CENTER_PIXELS on both axes. An image without ink does not obey.
    """
    ink = images > 0
    longer_side = np.maximum(_extent(np.any(ink, axis=2)), _extent(np.any(ink, axis=1)))
    mass = images.sum(axis=(1, 2), dtype=np.int64)
    # The moments of mass around the wanted centre. Doubled, they and half a pixel are exact in integers.
    moments = [
        2 * (images.sum(axis=other, dtype=np.int64) * (np.arange(images.shape[3 - other]) - CENTER_PIXELS)).sum(axis=1)
        for other in (1, 2)
    ]
    is_centered = np.logical_and(*((-mass <= moment) & (moment < mass) for moment in moments))
    obeys: NDArray[np.bool_] = (longer_side == LONGER_SIDE_PIXELS) & is_centered
    return obeys


def _extent(has_ink: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the number of places from the first to the last with ink, of rows bool [N, L]; 0 without ink."""
    length = has_ink.shape[1]
    extent = length - has_ink[:, ::-1].argmax(axis=1) - has_ink.argmax(axis=1)
    return np.where(has_ink.any(axis=1), extent, 0)


def usual_full_ink(images: NDArray[np.uint8]) -> float:
    """Return the share of the levels 252, 253 and 254 among all pixels of full ink in images uint8 [N, H, W]; 0 without any."""
    levels = images[images >= FULL_INK]
    return float(np.isin(levels, _USUAL_FULL_INK).mean()) if len(levels) else 0.0


def one_full_ink(images: NDArray[np.uint8]) -> float:
    """Return how much of an image's full ink has its most frequent level, the mean over those of images uint8 [N, H, W] with any.

    It is 0 if no image has any.
    """
    counts = np.stack([(images == level).sum(axis=(1, 2)) for level in range(FULL_INK, 256)], axis=1)
    counts = counts[counts.any(axis=1)]
    return float((counts.max(axis=1) / counts.sum(axis=1)).mean()) if len(counts) else 0.0


def level_distance(images: NDArray[np.uint8], others: NDArray[np.uint8]) -> float:
    """Return the total variation distance of the grey levels of ink in images uint8 [N, H, W] and others: 0 if alike, at most 1.

    Levels are counted in bins of 8. Pure black is left out: how much of it there is depends on how thick the strokes are.
    """
    return _distance(*(_histogram(pixels[pixels > 0]) for pixels in (images, others)))


def edge_distance(images: NDArray[np.uint8], others: NDArray[np.uint8]) -> float:
    """Return the total variation distance of the differences of adjacent grey levels: 0 if alike, at most 1.

    It is taken over neighbours in rows and in columns of images uint8 [N, H, W] and others, in bins of 8 levels, without pairs
    of equal levels.
    """
    return _distance(*(_histogram(_differences(pixels)) for pixels in (images, others)))


def _differences(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the absolute differences of adjacent levels that differ, in one row."""
    signed = images.astype(np.int16)
    absolute = np.concatenate([np.abs(np.diff(signed, axis=axis)).ravel() for axis in (1, 2)])
    return absolute[absolute > 0].astype(np.uint8)


def _histogram(levels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the shares of the bins, float64 [32]; zeros if there are no levels."""
    return np.bincount(levels // (256 // _HISTOGRAM_BINS), minlength=_HISTOGRAM_BINS) / max(len(levels), 1)


def _distance(shares: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    distance = np.abs(shares - others).sum() / 2
    # Shares that sum to 0 belong to images without ink, which have nothing in common with others.
    return float(distance) if shares.any() == others.any() else 1.0
