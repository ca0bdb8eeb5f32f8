"""Whether a generator copies its training images: distances to the nearest of them, and the data-copying score C_T.

C_T compares region by region whether generated images lie nearer to the training images than held-out real ones do: C. Meehan,
K. Chaudhuri, S. Dasgupta, "A Non-Parametric Test to Detect Data-Copying in Generative Models", 2020.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.errors import DataError
from pocketgan_trainer.evaluate.distances import nearest_neighbours

CLOSEST_PAIRS = 20
LOW_PERCENT = 1.0
"""The percentile for the images nearest to the training set, since a few copies do not move the median."""
RESAMPLES = 1_000
BAND_PERCENT = 95.0
CELLS = 50
"""Regions into which the feature space is split; the authors' number for MNIST."""
FEWEST_GENERATED = 20
"""A cell with fewer generated images does not count: the generator does not cover it, which is another question."""

_MEANS_ROUNDS = 50
_NORMAL_QUANTILE = NormalDist().inv_cdf(0.5 + BAND_PERCENT / 200)


@dataclass(frozen=True, eq=False)
class Memorization:
    """How near generated images come to the training images, as ratios to how near held-out real images come.

    A ratio below 1 is nearer than real digits. The bands say what is chance: 95 of 100 sets of real digits, as many as were
    generated, drawn from the held-out digits' own distribution and compared in the same way, would give a ratio between the ends.
    A ratio below its band means copying; above it, images are only further from the training images than real digits are.
    """

    nearest_ratio_median: float
    """Median distance of generated images to their nearest training image, over the same of held-out ones."""
    nearest_ratio_low: float
    """The ratio of the 1st percentiles instead of the medians."""
    band_median: tuple[float, float]
    """The band of `nearest_ratio_median`: its 2.5th and 97.5th percentile for real digits."""
    band_low: tuple[float, float]
    """The band of `nearest_ratio_low`."""
    copying_score: float
    """The score C_T: 0 is ideal, far below 0 is copying."""
    copying_band: tuple[float, float]
    """The range of C_T for 95 of 100 sets of real digits, by its normal approximation."""
    closest_pairs: NDArray[np.int64]
    """[20, 2]: indices of a generated image and of its nearest training image; the closest pair first."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """How near held-out real images come to the training images. Generated images are compared with this."""

    training_features: NDArray[np.float32]
    """[N, F]"""
    centers: NDArray[np.float32]
    """Of the cells of C_T, [CELLS, F]."""
    distances: NDArray[np.float32]
    """Of each held-out image to the nearest training image."""
    cells: NDArray[np.int64]
    """The cell of each held-out image."""


def measure_held_out(training_features: NDArray[np.float32], held_out_features: NDArray[np.float32], seed: int = 0) -> HeldOut:
    """Return what `memorization` compares with. Both are features float32 [N, F] in one space: a judge's, or plain pixels.

    The held-out images must be of the distribution of the training images, and none of them among those. For MNIST these are the
    validation digits: the test digits are by other writers and lie 2 % further from the training digits (a median ratio of 1.017
    in the first judge's features, 1.024 in pixels, outside the band), so that next to them even real digits by the training
    digits' writers look like copies. `seed` places the cells. Raises DataError if more than 1 in 200 of the held-out images are
    training images, which leaves no scale to compare with.
    """
    held_out, _ = nearest_neighbours(held_out_features, training_features)
    if np.mean(held_out == 0) > LOW_PERCENT / 200:
        message = (
            f"{np.sum(held_out == 0)} of {len(held_out)} held-out images are training images: expected images not trained on"
        )
        raise DataError(message)

    centers = find_centers(training_features, CELLS, seed)
    return HeldOut(training_features, centers, held_out, assign_cells(held_out_features, centers))


def memorization(generated_features: NDArray[np.float32], held_out: HeldOut, seed: int = 0) -> Memorization:
    """Compare generated with held-out real images by their Euclidean distances to the nearest training images.

    `generated_features` are float32 [N, F] in the space of the others. `seed` draws the bands; the same seed gives the same ones.
    They treat images as independent, although those of one writer are not: a true band would be a little wider. Raises DataError
    if there are too few generated images for C_T.
    """
    generated, nearest = nearest_neighbours(generated_features, held_out.training_features)
    cells = assign_cells(generated_features, held_out.centers)
    copying = copying_score(generated, cells, held_out.distances, held_out.cells)
    medians, lows = resampled_ratios(held_out.distances, len(generated), seed).T
    closest = np.argsort(generated, kind="stable")[:CLOSEST_PAIRS]
    median_ratio, low_ratio = _ratios(generated, held_out.distances)
    return Memorization(
        nearest_ratio_median=median_ratio,
        nearest_ratio_low=low_ratio,
        band_median=_band(medians),
        band_low=_band(lows),
        copying_score=copying.score,
        copying_band=(-copying.deviation * _NORMAL_QUANTILE, copying.deviation * _NORMAL_QUANTILE),
        closest_pairs=np.stack([closest, nearest[closest]], axis=1),
    )


def resampled_ratios(held_out: NDArray[np.float32], generated_count: int, seed: int) -> NDArray[np.float64]:
    """Return both ratios for RESAMPLES pairs of sets that are all real, float64 [RESAMPLES, 2]: median and 1st percentile.

    Of each pair one set is as large as the generated one and one as large as the held-out one; both are drawn with replacement
    from the held-out distances (bootstrap: B. Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979). Random halves
    of the held-out set would not do: being smaller than the sets that are compared, they scatter more, and let copies pass.
    """
    random = np.random.default_rng(seed)
    ordered = np.sort(held_out)
    ratios = [_ratios(random.choice(ordered, generated_count), random.choice(ordered, len(ordered))) for _ in range(RESAMPLES)]
    return np.array(ratios)


def _ratios(distances: NDArray[np.float32], held_out: NDArray[np.float32]) -> tuple[float, float]:
    """Return the ratios of the medians and of the 1st percentiles of two sets of distances."""
    low, median = np.percentile(distances, [LOW_PERCENT, 50]) / np.percentile(held_out, [LOW_PERCENT, 50])
    return float(median), float(low)


def _band(ratios: NDArray[np.float64]) -> tuple[float, float]:
    """Return the ends between which BAND_PERCENT of the ratios lie, as many below as above."""
    outside = (100 - BAND_PERCENT) / 2
    low, high = np.percentile(ratios, [outside, 100 - outside])
    return float(low), float(high)


@dataclass(frozen=True)
class CopyingScore:
    """How much is copied, and what chance alone would do."""

    score: float
    """C_T: 0 is ideal, far below 0 is copying, far above 0 is not reaching the real images."""
    deviation: float
    """Its standard deviation if both sets are of one distribution: the cells' scores are independent, each of deviation 1."""


def copying_score(
    generated_distances: NDArray[np.float32],
    generated_cells: NDArray[np.int64],
    held_out_distances: NDArray[np.float32],
    held_out_cells: NDArray[np.int64],
) -> CopyingScore:
    """Return C_T from each image's distance to its nearest training image, and the cell in which it lies; all of one dimension.

    Within each cell the two sets of distances are ranked (`mann_whitney_z`); cells weigh as many held-out images as they hold.
    The nearest training image may lie in another cell. Raises DataError if no cell holds enough generated images.
    """
    weights, scores = [], []
    for cell in np.unique(held_out_cells):
        generated = generated_distances[generated_cells == cell]
        held_out = held_out_distances[held_out_cells == cell]
        if len(generated) >= FEWEST_GENERATED:
            weights.append(len(held_out))
            scores.append(mann_whitney_z(generated, held_out))
    if not weights:
        message = f"no cell holds {FEWEST_GENERATED} of the {len(generated_distances)} generated images: generate more"
        raise DataError(message)
    shares = np.array(weights) / sum(weights)
    return CopyingScore(float(shares @ scores), float(np.sqrt(np.sum(shares**2))))


def mann_whitney_z(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Return how many standard deviations the first sample ranks above (> 0) or below (< 0) the second; both of one dimension.

    U counts the pairs in which the first is larger, equal ones by half. It is compared with its mean and deviation for samples of
    one distribution, the latter corrected for ties, after a step of 1/2 towards the mean for continuity.
    Source: H. Mann, D. Whitney, "On a test of whether one of two random variables is stochastically larger than the other", 1947;
    for ties, E. Lehmann, "Nonparametrics", 1975, section 1.4.
    """
    ordered = np.sort(second)
    pairs = len(first) * len(second)
    below, not_above = np.searchsorted(ordered, first, "left"), np.searchsorted(ordered, first, "right")
    excess = float(below.sum() + not_above.sum()) / 2 - pairs / 2

    total = len(first) + len(second)
    ties = np.unique(np.concatenate([first, second]), return_counts=True)[1].astype(np.float64)
    variance = pairs / 12 * (total + 1 - np.sum(ties**3 - ties) / (total * (total - 1)))
    if variance <= 0:  # all values are equal
        return 0.0
    return float(np.sign(excess) * max(abs(excess) - 0.5, 0) / np.sqrt(variance))


def find_centers(features: NDArray[np.float32], cells: int, seed: int) -> NDArray[np.float32]:
    """Return the centres of `cells` regions of features float32 [N, F], float32 [cells, F]; N must be at least `cells`.

    They are k-means: S. Lloyd, "Least squares quantization in PCM", 1982, from the start of D. Arthur, S. Vassilvitskii,
    "k-means++: The Advantages of Careful Seeding", 2007, until no point changes its cell or for 50 rounds.
    """
    random = np.random.default_rng(seed)
    centers = features[random.integers(len(features), size=1)]
    nearest = np.full(len(features), np.inf)
    for _ in range(cells - 1):
        nearest = np.minimum(nearest, _squared_distances(features, centers[-1:])[:, 0].clip(0))
        if not nearest.any():  # fewer different points than cells: a centre twice is an empty cell
            nearest += 1
        chosen = random.choice(len(features), p=nearest / nearest.sum())
        centers = np.concatenate([centers, features[chosen : chosen + 1]])

    assigned = np.full(len(features), -1)
    for _ in range(_MEANS_ROUNDS):
        before, assigned = assigned, assign_cells(features, centers)
        if np.array_equal(before, assigned):
            break
        members = (assigned == np.arange(cells)[:, None]).astype(np.float32)  # [cells, N]
        counts = members.sum(axis=1, keepdims=True)
        centers = np.where(counts > 0, members @ features / counts.clip(1), centers)  # an empty cell stays where it is
    return centers


def assign_cells(features: NDArray[np.float32], centers: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the nearest of the centres float32 [cells, F] for each of features float32 [N, F], int64 [N]."""
    nearest: NDArray[np.int64] = _squared_distances(features, centers).argmin(axis=1)
    return nearest


def _squared_distances(features: NDArray[np.float32], centers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the squared Euclidean distances [N, cells], which rounding can take a little below 0."""
    distances: NDArray[np.float32] = np.einsum("nf,nf->n", features, features)[:, None] - 2 * (features @ centers.T)
    distances += np.einsum("cf,cf->c", centers, centers)
    return distances
