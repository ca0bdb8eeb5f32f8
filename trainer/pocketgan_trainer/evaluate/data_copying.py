"""Whether generated images lie nearer to the training images than held-out real ones do, region by region: the score C_T.

Source: C. Meehan, K. Chaudhuri, S. Dasgupta, "A Non-Parametric Test to Detect Data-Copying in Generative Models", 2020.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.errors import DataError

CELLS = 50
"""Regions into which the feature space is split; the authors' number for MNIST."""
FEWEST_GENERATED = 20
"""A cell with fewer generated images does not count: there a generator fails to cover, which is another question."""

_ITERATIONS = 50


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
    for _ in range(_ITERATIONS):
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
