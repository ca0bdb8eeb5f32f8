"""Distances between two sets of features: Frechet and kernel distance, and what nearest neighbours show.

Features are float32 [N, F]: one row for each image, its coordinates in some space (see `spaces.py`). The values depend on the
space, so they compare only with values in the same one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SUBSETS = 100
"""Pairs of subsets that the kernel distance is the mean of."""
SUBSET_SIZE = 1_000
PRECISION_NEIGHBOURS = 3
DENSITY_NEIGHBOURS = 5
_BLOCK_BYTES = 40_000_000
"""The largest part of a matrix of distances that exists at a time: 1,000 rows of 10,000 columns."""


def frechet_distance(features: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    """Return the (squared) Frechet distance between the Gaussians of features [N, F] and reference [M, F], N and M above 1.

    Means and unbiased covariances are taken in float64. It is 0 for the same set, up to rounding, symmetric, and above 0 for two
    samples of one distribution; lower is better. Source: D. Dowson, B. Landau, "The Frechet distance between multivariate normal
    distributions", 1982; M. Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", 2017, made it the usual score of
    generators.
    """
    return distance_of_gaussians(*mean_and_covariance(features), *mean_and_covariance(reference))


def distance_of_gaussians(
    mean: NDArray[np.float64],
    covariance: NDArray[np.float64],
    other_mean: NDArray[np.float64],
    other_covariance: NDArray[np.float64],
) -> float:
    """Return |m1 - m2|^2 + tr(C1 + C2 - 2 sqrt(C1 C2)) for means float64 [F] and symmetric covariances float64 [F, F]."""
    variances, axes = np.linalg.eigh(covariance)
    root = (axes * np.sqrt(variances.clip(0))) @ axes.T
    # C1 C2 is not symmetric, but sqrt(C1) C2 sqrt(C1) is, and has the same eigenvalues.
    cross = np.sqrt(np.linalg.eigvalsh(root @ other_covariance @ root).clip(0)).sum()
    shift = mean - other_mean
    return float(shift @ shift + np.trace(covariance) + np.trace(other_covariance) - 2 * cross)


def mean_and_covariance(
    features: NDArray[np.float32], weights: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean float64 [F] and the unbiased covariance float64 [F, F] of features [N, F], perhaps with weights [N]."""
    exact = features.astype(np.float64)
    return np.average(exact, axis=0, weights=weights), np.atleast_2d(np.cov(exact, rowvar=False, aweights=weights))


def kernel_distance(features: NDArray[np.float32], reference: NDArray[np.float32], seed: int = 0) -> float:
    """Return the squared maximum mean discrepancy of features [N, F] and reference [M, F], N and M above 1; lower is better.

    It is the mean over SUBSETS of the unbiased estimate from SUBSET_SIZE rows of either set, or from all rows of the smaller set
    where it has fewer, drawn without repetition from a stream that starts at `seed`. Two samples of one distribution score 0 on
    average, and below 0 half of the time. Unlike the Frechet distance it does not take the features for Gaussian. The kernel is
    (x.y / F + 1)^3; sums are in float64. Source: M. Binkowski et al., "Demystifying MMD GANs", 2018, section 4.
    """
    size = min(SUBSET_SIZE, len(features), len(reference))
    stream = np.random.default_rng(seed)
    distances = []
    for _ in range(SUBSETS):
        one = features[stream.choice(len(features), size, replace=False)].astype(np.float64)
        other = reference[stream.choice(len(reference), size, replace=False)].astype(np.float64)
        within = _sum_of_pairs(one) + _sum_of_pairs(other)
        distances.append(within / (size * (size - 1)) - 2 * float(_kernel(one, other).mean()))
    return float(np.mean(distances))


def _sum_of_pairs(features: NDArray[np.float64]) -> float:
    """Return the kernel summed over all ordered pairs of two different rows."""
    values = _kernel(features, features)
    return float(values.sum() - np.trace(values))


def _kernel(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the kernel between all rows of [N, F] and all of [M, F], float64 [N, M]."""
    values: NDArray[np.float64] = one @ other.T / one.shape[1] + 1
    return values * values * values


@dataclass(frozen=True, eq=False)
class Manifold:
    """A set of features, and balls around its rows that cover the region it comes from."""

    rows: Tensor
    """float32 [N, F]"""
    radii: Tensor
    """Distances from each row to its nearest, second nearest, ... other row, float32 [N, DENSITY_NEIGHBOURS]."""

    def radius(self, neighbours: int) -> Tensor:
        """Return the distance from each row to its nearest other row number `neighbours`, counted from 1, float32 [N]."""
        return self.radii[:, neighbours - 1]


def estimate_manifold(features: NDArray[np.float32]) -> Manifold:
    """Return the manifold of features [N, F], N above DENSITY_NEIGHBOURS. Equal rows are neighbours of each other."""
    rows = torch.from_numpy(np.array(features))
    nearest = [distances.topk(DENSITY_NEIGHBOURS + 1, dim=1, largest=False).values for _, distances in _blocks(rows, rows)]
    # The row itself is the nearest or one of several at distance 0, so it takes the first place.
    return Manifold(rows, torch.cat(nearest)[:, 1:].contiguous())


@dataclass(frozen=True)
class ManifoldOverlap:
    """How generated and real features share their space. For two samples of one distribution see the fields."""

    precision: float
    """Share of generated rows inside the ball of some real row; 0 to 1. A real sample does not reach 1."""
    recall: float
    """Share of real rows inside the ball of some generated row; 0 to 1. A real sample does not reach 1."""
    density: float
    """Mean number of real balls around a generated row, in units of the number expected; 1 for a real sample, and can be more."""
    coverage: float
    """Share of real rows with a generated row inside their ball; 1 - 2^-5 = 0.969 for a real sample of the same size."""


def compare_manifolds(real: Manifold, generated: Manifold) -> ManifoldOverlap:
    """Return how generated rows lie among real rows.

    A row's ball reaches to its k-th nearest other row of its own set. For precision and recall k is 3 and the edge belongs to
    the ball (T. Kynkaanniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models", 2019); for density
    and coverage k is 5 and it does not (M. Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", 2020).
    """
    real_near, real_wide = real.radius(PRECISION_NEIGHBOURS), real.radius(DENSITY_NEIGHBOURS)
    generated_near = generated.radius(PRECISION_NEIGHBOURS)
    precise = torch.zeros(len(generated.rows), dtype=torch.bool)
    recalled, covered, balls = 0, 0, 0
    for rows, distances in _blocks(real.rows, generated.rows):
        precise |= (distances <= real_near[rows, None]).any(dim=0)
        recalled += int((distances <= generated_near).any(dim=1).sum())
        inside = (distances < real_wide[rows, None]).sum(dim=1)
        covered += int((inside > 0).sum())
        balls += int(inside.sum())
    return ManifoldOverlap(
        precision=float(precise.double().mean()),
        recall=recalled / len(real.rows),
        density=balls / (DENSITY_NEIGHBOURS * len(generated.rows)),
        coverage=covered / len(real.rows),
    )


def nearest_neighbour_accuracy(first: Manifold, second: Manifold) -> float:
    """Return the leave-one-out accuracy of naming a row's set by its nearest other row: 0.5 for one distribution.

    Above 0.5 the sets differ; below it, rows of one are near-copies of the other's. A row whose nearest rows of both sets are
    equally far counts half. Source: D. Lopez-Paz, M. Oquab, "Revisiting Classifier Two-Sample Tests", 2017; Q. Xu et al., "An
    empirical study on evaluation metrics of generative adversarial networks", 2018. Raises ValueError unless both sets have the
    same number of rows: a larger one would win by its number.
    """
    if len(first.rows) != len(second.rows):
        message = f"the sets have {len(first.rows)} and {len(second.rows)} rows; expected as many in both"
        raise ValueError(message)
    first_to_second = torch.empty(len(first.rows))
    second_to_first = torch.full((len(second.rows),), torch.inf)
    for rows, distances in _blocks(first.rows, second.rows):
        first_to_second[rows] = distances.amin(dim=1)
        second_to_first = torch.minimum(second_to_first, distances.amin(dim=0))
    own = torch.cat([first.radius(1), second.radius(1)])
    foreign = torch.cat([first_to_second, second_to_first])
    return float(((own < foreign).double() + 0.5 * (own == foreign).double()).mean())


def nearest_neighbours(
    queries: NDArray[np.float32], references: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return each query's Euclidean distance to the nearest reference, float32 [N], and that reference's index, int64 [N].

    Queries are [N, F], references [M, F]. The distance of a copy is exactly 0. Of references that are equally far but for
    rounding, any may be the one.
    """
    one, other = torch.from_numpy(np.array(queries)), torch.from_numpy(np.array(references))
    blocks = _blocks(one, other, is_exact=False)
    indices = torch.cat([distances.argmin(dim=1) for _, distances in blocks]).numpy()
    # From the difference itself, since a distance by products is not exact.
    distances: NDArray[np.float32] = np.linalg.norm(queries - references[indices], axis=1)
    return distances, indices


def _blocks(one: Tensor, other: Tensor, is_exact: bool = True) -> Iterator[tuple[slice, Tensor]]:
    """Yield the distances from all rows of one set to all of the other, some rows at a time, and which rows those are.

    Exact distances are taken from differences of coordinates: equal rows are at distance 0 and a distance is the same number
    from both ends, so a tie is a tie. Others are taken from products, |q|^2 - 2 q r + |r|^2, several times as fast.
    """
    mode = "donot_use_mm_for_euclid_dist" if is_exact else "use_mm_for_euclid_dist"
    step = max(1, _BLOCK_BYTES // (other.itemsize * len(other)))
    for start in range(0, len(one), step):
        rows = slice(start, min(start + step, len(one)))
        yield rows, torch.cdist(one[rows], other, compute_mode=mode)
