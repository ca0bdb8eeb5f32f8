"""How far two sets of features are apart by a kernel, without the thought that they are Gaussians.

It is the kernel distance of M. Binkowski et al., "Demystifying MMD GANs", 2018, section 4: the squared maximum mean discrepancy
with the kernel (x.y / F + 1)^3. Its estimate is unbiased, so two samples of one distribution score 0 on average whatever their
size, and below 0 half of the time; lower is better.
"""

import numpy as np
from numpy.typing import NDArray

SUBSETS = 100
SUBSET_SIZE = 1_000


def kernel_distance(features: NDArray[np.float32], reference: NDArray[np.float32], seed: int = 0) -> float:
    """Return the mean over SUBSETS of the unbiased squared discrepancy between as many rows of [N, F] and of [M, F].

    Each subset is SUBSET_SIZE rows of either set, or all rows of the smaller set where it has fewer, drawn without repetition
    from a stream that starts at `seed`; N and M must be above 1. Sums are in float64.
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
