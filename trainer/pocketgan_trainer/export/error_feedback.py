"""Rounding numbers one after the other, where each makes up for the errors of those before it.

The sum of a row's products matters, not each weight. When one weight is rounded up by half a step, those that meet similar inputs
and are still to be rounded are moved down a little: the least squares way, by the covariance of the inputs. Source: E. Frantar
et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", 2022, section 3.3.

What is added here is the limit that two neighbours of one sign keep, see integer_weights.py: where both are too large, both give
way by the same amount, and what that costs is made up for like any other error.
"""

import numpy as np

from pocketgan_trainer.export.layers import Array

# Errors reach weights further on in one product of matrices for so many weights, which is faster than one by one.
_BLOCK = 64


def feedback_factors(covariance: Array) -> Array:
    """Return the upper triangle that `round_with_feedback` needs, for a covariance [products, products] that is regular.

    Row k says how an error in weight k is best shared out among the weights from k on, in units in which its cost is its square.
    """
    factors: Array = np.linalg.cholesky(np.linalg.inv(covariance)).T
    return factors


def round_with_feedback(rows: Array, factors: Array, largest: int, largest_sum: int) -> tuple[Array, Array]:
    """Return whole numbers for rows [out, products], and the cost of their errors, [out].

    No number is above `largest` in size, and no two of one sign that follow each other add up to more than `largest_sum`, which
    must not be below `largest`. The cost is the variance that the errors give to a row's sum of products.
    """
    wanted = rows.copy()
    values = np.zeros_like(rows)
    cost: Array = np.zeros(len(rows))
    before: Array = np.zeros(len(rows))
    products = rows.shape[1]
    for start in range(0, products, _BLOCK):
        end = min(start + _BLOCK, products)
        ahead = min(end + 1, products)  # the last weight of a block looks at the one after it
        errors = np.zeros((len(rows), end - start))
        for position in range(start, end):
            here = wanted[:, position]
            following = wanted[:, position + 1] if position + 1 < products else np.zeros_like(here)
            target = np.rint(_give_way(here, following, largest, largest_sum))
            low = np.maximum(-largest, -largest_sum - before)
            high = np.minimum(largest, largest_sum - before)
            before = values[:, position] = np.minimum(np.maximum(target, low), high)
            error = (here - before) / factors[position, position]
            wanted[:, position:ahead] -= error[:, None] * factors[position, position:ahead]
            errors[:, position - start] = error
            cost += error**2
        wanted[:, ahead:] -= errors @ factors[start:end, ahead:]
    return values, cost


def _give_way(here: Array, following: Array, largest: int, largest_sum: int) -> Array:
    """Return `here`, less half of what it and `following`, within the limits of size, are above the limit for neighbours."""
    one, other = here.clip(-largest, largest), following.clip(-largest, largest)
    # Of different signs, they cannot add up to more than `largest`, which is below the limit.
    excess = np.maximum(np.abs(one + other) - largest_sum, 0) * np.sign(one + other)
    given: Array = np.where(excess != 0, one - excess / 2, here)
    return given
