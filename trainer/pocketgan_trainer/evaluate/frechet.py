"""How far two sets of features are apart as Gaussians.

The Frechet distance between normal distributions is that of D. Dowson, B. Landau, "The Frechet distance between multivariate
normal distributions", 1982; M. Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", 2017, made it the usual score of
generators. Its value depends on the features, so it can only be compared with distances in the same ones; lower is better.
"""

import numpy as np
from numpy.typing import NDArray


def frechet_distance(features: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    """Return the (squared) Frechet distance between the Gaussians of features [N, F] and reference [M, F], N and M above 1.

    Means and unbiased covariances are taken in float64. It is 0 for the same set, up to rounding, symmetric, and above 0 for two
    samples of one distribution.
    """
    one, other = features.astype(np.float64), reference.astype(np.float64)
    return distance_of_gaussians(one.mean(axis=0), _covariance(one), other.mean(axis=0), _covariance(other))


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


def _covariance(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the unbiased covariance float64 [F, F], for F = 1 as well."""
    return np.atleast_2d(np.cov(features, rowvar=False))
