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
FEWEST_FOR_TEXTURE = 200
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
    """Return the share of images of two sets that a linear test classifies correctly by their `count_neighbours`.

    `first` is [N, F], `second` [M, F], and each set counts half; the share is 0.5 if the sets look the same to the test. It is
    Fisher's linear discriminant of the counts' square roots, with a ridge, as sets of few images have singular covariances. It is
    fitted on half of the images and tested on the others, and the other way round, so every image is tested once. Of two sets of
    5,000 real digits the result is 0.5 with a standard deviation of 0.006. Raises DataError if a set has fewer than
    FEWEST_FOR_TEXTURE. Source: R. Fisher, "The Use of Multiple Measurements in Taxonomic Problems", 1936.
    """
    fewest = min(len(first), len(second))
    if fewest < FEWEST_FOR_TEXTURE:
        raise DataError(f"{fewest} images: expected at least {FEWEST_FOR_TEXTURE} of either kind to tell them apart by texture")
    # In a random order: in MNIST's own, two kinds of writers take turns.
    random = np.random.Generator(np.random.Philox(_ORDER_SEED))
    sets = [np.sqrt(counts[random.permutation(len(counts))], dtype=np.float32) for counts in (first, second)]
    halves = [[rows[part::2] for rows in sets] for part in (0, 1)]
    return (_share_right(halves[0], halves[1]) + _share_right(halves[1], halves[0])) / 2


def largest_difference(counts: NDArray[np.uint16], real_counts: NDArray[np.uint16]) -> str:
    """Return in words which two bins of levels are adjacent much more or less often than in real images.

    `counts` is [N, F], `real_counts` [M, F]. It is the pair of bins whose means differ most in units of their standard deviation.
    All four directions count together.
    """
    of_pairs = [_unordered(rows) for rows in (counts, real_counts)]
    means = [rows.mean(axis=0) for rows in of_pairs]
    deviation = np.sqrt(np.mean([rows.var(axis=0) for rows in of_pairs], axis=0))
    place = int(np.argmax(np.abs(means[0] - means[1]) / np.maximum(deviation, _LEAST_DEVIATION)))
    low, high = divmod(place, _BINS)
    found, real = (float(mean[place]) for mean in means)
    return f"{_bin_name(low)} next to {_bin_name(high)}, {found:,.1f} times per image, {real:,.1f} times in real ones"


def _unordered(counts: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Return the counts of pairs in any direction and order, [N, bins * bins]; those with the higher bin first are 0."""
    pairs = counts.reshape(len(counts), -1, _BINS, _BINS).sum(axis=1, dtype=np.float32)
    unordered: NDArray[np.float32] = np.triu(pairs + np.tril(pairs, -1).transpose(0, 2, 1)).reshape(len(counts), -1)
    return unordered


def _bin_name(position: int) -> str:
    bounds = (0, *LEVEL_BOUNDS, 256)
    low, high = bounds[position], bounds[position + 1] - 1
    return "black" if high == 0 else f"level {low}" if low == high else f"levels {low} to {high}"


def _share_right(trained: list[NDArray[np.float32]], tested: list[NDArray[np.float32]]) -> float:
    """Return the share of `tested` rows that a discriminant of `trained` rows classifies correctly; both hold two sets."""
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
