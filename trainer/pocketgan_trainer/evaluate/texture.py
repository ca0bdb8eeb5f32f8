"""Whether images can be told apart by their texture: by which grey levels lie next to each other.

Frechet distance is nearly blind to this, and a network needs tens of thousands of images to learn it. Counted, a few hundred are
enough: steganalysis finds changes of single grey levels in the same way (T. Pevny, P. Bas, J. Fridrich, "Steganalysis by
Subtractive Pixel Adjacency Matrix", 2010).
"""

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.errors import DataError

LEVEL_BOUNDS = (1, 12, 32, 64, 96, 128, 160, 192, 224, 245)
"""The lowest level of each bin but the first, which is pure black. The last holds all shades of full ink, which differ in MNIST
by how it was scaled: `traits.py` measures those apart."""
FEWEST_IMAGES = 200
"""With fewer images of a set, the result says little."""
_BINS = len(LEVEL_BOUNDS) + 1
_BIN_OF_LEVEL = np.searchsorted(LEVEL_BOUNDS, np.arange(256), side="right").astype(np.intp)
_RIDGE = 0.01
_LEAST_DEVIATION = 1e-3
_AT_ONCE = 5_000
_ORDER_SEED = 0


def count_neighbours(images: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Return how often each pair of bins of grey levels is adjacent in each of images uint8 [N, H, W]: uint16 [N, 484].

    A pixel's neighbours are those to the right, below, and diagonally below on both sides: 121 pairs for each of the four.
    """
    counts = [_count(images[first : first + _AT_ONCE]) for first in range(0, len(images), _AT_ONCE)]
    return np.concatenate(counts)


def _count(images: NDArray[np.uint8]) -> NDArray[np.uint16]:
    bins = _BIN_OF_LEVEL[images]
    neighbours = (
        (bins[:, :, :-1], bins[:, :, 1:]),
        (bins[:, :-1, :], bins[:, 1:, :]),
        (bins[:, :-1, :-1], bins[:, 1:, 1:]),
        (bins[:, :-1, 1:], bins[:, 1:, :-1]),
    )
    of_image = np.arange(len(images))[:, None, None] * _BINS**2
    counts = [
        np.bincount((of_image + one * _BINS + other).ravel(), minlength=len(images) * _BINS**2).reshape(len(images), -1)
        for one, other in neighbours
    ]
    return np.concatenate(counts, axis=1).astype(np.uint16)


def told_apart_by_texture(first: NDArray[np.uint16], second: NDArray[np.uint16]) -> float:
    """Return the share of images of two sets that a linear test sorts rightly by their `count_neighbours`, [N, F] and [M, F].

    It is 0.5 if the sets look the same to it, and each set counts half. Fisher's linear discriminant of the counts' square roots
    is fitted on half of the images, tested on the others, and the other way round, so every image is tested once. Of two sets of
    5,000 real digits the result is 0.5 with a standard deviation of 0.005. Raises DataError if a set has fewer than
    FEWEST_IMAGES. Source: R. Fisher, "The Use of Multiple Measurements in Taxonomic Problems", 1936; with a ridge, as two sets
    of few images have singular covariances.
    """
    fewest = min(len(first), len(second))
    if fewest < FEWEST_IMAGES:
        raise DataError(f"{fewest} images: expected at least {FEWEST_IMAGES} of either kind to tell them apart by texture")
    # In a random order: in MNIST's own, two kinds of writers take turns.
    random = np.random.Generator(np.random.Philox(_ORDER_SEED))
    sets = [np.sqrt(counts[random.permutation(len(counts))], dtype=np.float32) for counts in (first, second)]
    halves = [[rows[part::2] for rows in sets] for part in (0, 1)]
    return (_share_right(halves[0], halves[1]) + _share_right(halves[1], halves[0])) / 2


def _share_right(trained: list[NDArray[np.float32]], tested: list[NDArray[np.float32]]) -> float:
    """Return the share of `tested` rows that a discriminant of `trained` rows sorts rightly; both hold two sets."""
    means = [rows.mean(axis=0) for rows in trained]
    centered = [rows - mean for rows, mean in zip(trained, means, strict=True)]
    deviations = np.sqrt(np.mean([np.square(rows).mean(axis=0) for rows in centered], axis=0))
    # A pair that hardly ever occurs would otherwise be magnified.
    scales = np.maximum(deviations, _LEAST_DEVIATION)
    covariance = np.mean([(rows / scales).T @ (rows / scales) / len(rows) for rows in centered], axis=0).astype(np.float64)
    covariance[np.diag_indices_from(covariance)] += _RIDGE
    direction = np.linalg.solve(covariance, (means[0] - means[1]) / scales) / scales
    middle = (means[0] + means[1]) @ direction / 2
    scores = [rows @ direction - middle for rows in tested]
    return float(np.mean(np.sign(scores[0])) - np.mean(np.sign(scores[1]))) / 4 + 0.5
