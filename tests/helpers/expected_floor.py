"""What the Frechet distance between two samples of one Gaussian is, by theory."""

import numpy as np
from numpy.typing import NDArray


def expected_floor(covariance: NDArray[np.float64], count_a: int, count_b: int) -> float:
    """Return the distance to expect between two samples of one Gaussian with this covariance [F, F], of count_a and count_b.

    It is the second-order expansion (1/A + 1/B) (sum_i l_i + sum_ij l_i l_j (1 + [i = j]) / (2 (l_i + l_j))) in the eigenvalues
    l of the covariance: the means' distance and, from the variance of Wishart matrices, the covariances'. It holds where both
    counts are large beside F, to a few hundredths for equal l and to a tenth for a spectrum that falls as 1/i.
    """
    spectrum = np.linalg.eigvalsh(covariance).clip(0)
    products, sums = np.outer(spectrum, spectrum), 2 * np.add.outer(spectrum, spectrum)
    products += np.diag(spectrum**2)
    terms = np.divide(products, sums, out=np.zeros_like(products), where=sums > 0)
    return float((1 / count_a + 1 / count_b) * (spectrum.sum() + terms.sum()))
