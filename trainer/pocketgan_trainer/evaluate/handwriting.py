"""Traits of a handwritten character that people can see and ask for: how slanted, thick and wide it is.

Definitions after D. Castro et al., "Morpho-MNIST: Quantitative Assessment and Diagnostics for Representation Learning", 2019,
section 3: in an enlarged black and white image, the shear of its ink, the mean thickness of its strokes along their skeleton, and
the width of the parallelogram around the ink.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pocketgan.trait_table import TRAITS

ENLARGED = 4
"""How many times as high and wide the image is that is measured."""
_LEFT_OUT = 0.02
"""Share of the ink beyond either side of the parallelogram."""


def handwriting(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return slant, thickness and width of images uint8 [N, H, W]: float64 [N, 3]; NaN for those without ink.

    Takes about a millisecond an image.
    """
    return np.array([_traits(image) for image in images]).reshape(-1, len(TRAITS))


def _traits(image: NDArray[np.uint8]) -> tuple[float, float, float]:
    # Imported here: it takes a quarter of a second.
    from scipy.ndimage import distance_transform_edt
    from skimage.morphology import skeletonize

    ink = _enlarged_ink(image)
    if not ink.any():
        return np.nan, np.nan, np.nan
    rows, columns = ink.nonzero()
    down, right = rows - rows.mean(), columns - columns.mean()
    shear = -(down * right).sum() / max(np.square(down).sum(), 1.0)  # columns to the right for each row up
    skeleton = skeletonize(ink)
    thickness = 2 * distance_transform_edt(ink)[skeleton].mean()
    left, last = np.quantile(columns + shear * down, [_LEFT_OUT, 1 - _LEFT_OUT])
    return float(np.degrees(np.arctan(shear))), float(thickness / ENLARGED), float((last - left + 1) / ENLARGED)


def _enlarged_ink(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return where the ink of an image uint8 [H, W] is at ENLARGED times its size: bool, without black around it but a margin."""
    rows, columns = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return np.zeros((1, 1), np.bool_)
    box = np.pad(image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 1)
    height, width = box.shape
    enlarged = Image.fromarray(box).resize((ENLARGED * width, ENLARGED * height), Image.Resampling.BICUBIC)
    levels = np.asarray(enlarged)
    ink: NDArray[np.bool_] = levels > levels.max() / 2
    return ink


MOST_COMPARED = 2_000
"""The most images of a set whose traits are compared with those of another."""


def handwriting_of_some(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the traits of at most MOST_COMPARED of images uint8 [N, H, W], at equal distances, as `handwriting` does."""
    return handwriting(images[:: -(-len(images) // MOST_COMPARED)])


def trait_distance(traits: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """Return the Kolmogorov-Smirnov distance of the values of a trait in images [N] and others: 0 if alike, at most 1.

    It is the largest difference of the shares of images up to any value. Images without ink are left out; it is 1 if all of one
    side have none.
    """
    from scipy.stats import ks_2samp

    sides = [values[np.isfinite(values)] for values in (traits, others)]
    return float(ks_2samp(*sides).statistic) if all(map(len, sides)) else 1.0


def normal_scores(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard normal quantiles of the ranks of values [n, k] within their columns; equal values have equal ones."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    scores: NDArray[np.float64] = ndtri((rankdata(values, axis=0) - 0.5) / len(values))
    return scores
