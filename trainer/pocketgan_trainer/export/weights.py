"""Rounds weights to 8-bit integers with error feedback, such that no sum of two products saturates on older x86 CPUs."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.grids import Grid
from pocketgan_trainer.export.layers import Array

# Convolutions meet each pixel as often as their kernels have places: that many copies are in memory for so many images at a time.
_BLOCK_IMAGES = 32


@dataclass(frozen=True)
class InputMoments:
    """Of the inputs that meet a layer's weights, in the order of multiplication."""

    stored_mean: Array
    """Mean of the inputs as integers hold them, [products]."""
    true_mean: Array
    """Mean of the inputs as they ought to be, [products]."""
    covariance: Array
    """Of the stored inputs, [products, products]."""
    cross_covariance: Array
    """Of each true input with each stored one, [products, products]."""

    def of(self, chosen: NDArray[np.int64]) -> "InputMoments":
        """Return the moments of some of the inputs, by their places in the order of multiplication."""
        block = np.ix_(chosen, chosen)
        return InputMoments(
            self.stored_mean[chosen], self.true_mean[chosen], self.covariance[block], self.cross_covariance[block]
        )


def input_moments(stored: Tensor, true: Tensor, kernel_size: int = 1, pads: tuple[int, int] = (0, 0)) -> InputMoments:
    """Return the moments of a layer's inputs, float64 [N, in] or [N, in, H, W], of which `true` are those of the exact model.

    For images, `pads` are the rows and columns of zeros before and after, and each place of the kernel counts as one sample.
    """
    totals: list[Tensor] = []
    samples = 0
    for stored_block, true_block in zip(torch.split(stored, _BLOCK_IMAGES), torch.split(true, _BLOCK_IMAGES), strict=True):
        stored_patches, true_patches = _patches(stored_block, kernel_size, pads), _patches(true_block, kernel_size, pads)
        sums = [stored_patches.sum(dim=0), true_patches.sum(dim=0)]
        sums += [stored_patches.T @ stored_patches, true_patches.T @ stored_patches]
        totals = [total + more for total, more in zip(totals, sums, strict=True)] if totals else sums
        samples += len(stored_patches)
    stored_mean, true_mean, squares, products = (total / samples for total in totals)
    return InputMoments(
        stored_mean=stored_mean.numpy(),
        true_mean=true_mean.numpy(),
        covariance=(squares - torch.outer(stored_mean, stored_mean)).numpy(),
        cross_covariance=(products - torch.outer(true_mean, stored_mean)).numpy(),
    )


def _patches(inputs: Tensor, kernel_size: int, pads: tuple[int, int]) -> Tensor:
    """Return what meets the weights at each place, [samples, products]: by row and column in the kernel, then by channel."""
    if inputs.ndim == 2:
        return inputs
    count, channels = inputs.shape[:2]
    patches = functional.unfold(functional.pad(inputs, pads + pads), kernel_size)
    by_place = patches.reshape(count, channels, kernel_size**2, -1)
    return by_place.permute(0, 3, 2, 1).reshape(-1, kernel_size**2 * channels)


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


LARGEST_WEIGHT = 127
LARGEST_NEIGHBOURS = 128
"""The most that two neighbouring weights of one sign may add up to."""

_LARGEST_MEAN = 2**30
_LARGEST_BIAS = 2**31 - 1
# Scales that are tried, in units of the one that just holds a channel's largest weight: smaller ones cut that off, and the larger
# the scale, the less have neighbours to give way. At 2, hardly any has to.
_SCALE_CANDIDATES = np.arange(8, 21) / 10
# Variance added to that of each input, as a share of their mean variance, at least that of rounding them: what keeps weights near
# to the trained ones where the inputs that were looked at do not say much.
_DAMPING = 1e-2
# An input whose variance is below this share of its grid's squared step is constant but for the arithmetic.
_CONSTANT = 1e-9


@dataclass(frozen=True)
class IntegerWeights:
    """Weights as integers, with one scale for each channel, whose outputs follow each other."""

    values: NDArray[np.int8]
    """[out, ...], from -127 to 127; in the order in which they are multiplied no neighbours saturate."""
    scales: NDArray[np.float32]
    """[channels]; `out` is a multiple of that."""
    bias: NDArray[np.int32]
    """[out], in units of the input's scale times `scales`."""

    def dequantized(self) -> Array:
        """Return what the weights stand for, [out, ...]."""
        scales = _per_output(self.scales, len(self.values))
        return self.values * scales.reshape(-1, *[1] * (self.values.ndim - 1))

    def dequantized_bias(self, input_grid: Grid) -> Array:
        """Return what the bias stands for, [out]."""
        return self.bias * _per_output(self.scales, len(self.bias)) * input_grid.scale


def integer_weights(
    weight: Array, bias: Array, input_grid: Grid, moments: InputMoments, channels: int | None = None
) -> IntegerWeights:
    """Return weights, [out, in] or [out, in, k, l], and their bias [out] for inputs on `input_grid` with these `moments`.

    What is kept near to the trained layer's is its output: errors of one weight, and those of the inputs, are made up for by
    other weights and the bias. Each output is a channel of its own, unless there are so many `channels`, whose outputs, equally
    many, follow each other. Raises ExportError if numbers are so large or so uneven that no integers stand for them.
    """
    rows = _in_order_of_multiplication(weight)
    mean = bias + rows @ moments.true_mean
    values, scales = _round(rows, mean, input_grid, moments, channels or len(rows))
    steps = _per_output(scales, len(rows))
    corrected = (mean - (values * steps[:, None]) @ moments.stored_mean) / (steps * input_grid.scale)
    if not (np.abs(corrected) <= _LARGEST_BIAS).all():
        raise ExportError("a bias does not fit into 32 bits: the weights of a layer are too uneven; take another checkpoint")
    return IntegerWeights(
        values=_from_order_of_multiplication(values, weight.shape).astype(np.int8),
        scales=scales,
        bias=np.rint(corrected).astype(np.int32),
    )


def _round(rows: Array, mean: Array, input_grid: Grid, moments: InputMoments, channels: int) -> tuple[Array, NDArray[np.float32]]:
    """Return weights as whole numbers [out, products], and the scale of each channel: of a few the one that loses least.

    `mean` [out] is the layer's mean output. Beside weights that are almost nothing, it is this that must fit, into 32 bits.
    """
    wanted, factors = _targets(rows, input_grid, moments)
    just_enough = np.abs(wanted).max(axis=1).reshape(channels, -1).max(axis=1) / LARGEST_WEIGHT
    smallest = np.abs(mean).reshape(channels, -1).max(axis=1) / (_LARGEST_MEAN * input_grid.scale)
    best_costs = np.full(channels, np.inf)
    best_scales = np.ones(channels, np.float32)
    best_values = np.zeros(rows.shape)
    for candidate in _SCALE_CANDIDATES:
        tried = np.maximum(just_enough * candidate, smallest)
        if not (tried < np.finfo(np.float32).max).all():
            raise ExportError("a layer's weights are too large for float32: the training has diverged; take another checkpoint")
        scales = np.where(tried >= np.finfo(np.float32).tiny, tried, 1.0).astype(np.float32)
        steps = _per_output(scales, len(rows))
        values, costs = round_with_feedback(wanted / steps[:, None], factors, LARGEST_WEIGHT, LARGEST_NEIGHBOURS)
        costs = (costs * steps**2).reshape(channels, -1).sum(axis=1)
        better = costs < best_costs
        best_costs = np.where(better, costs, best_costs)
        best_scales = np.where(better, scales, best_scales)
        best_values = np.where(np.repeat(better, len(rows) // channels)[:, None], values, best_values)
    return best_values, best_scales


def _targets(rows: Array, input_grid: Grid, moments: InputMoments) -> tuple[Array, Array]:
    """Return which weights [out, products] give the layer's true output from the stored inputs, and the factors of feedback.

    That is linear regression by least squares, shrunk towards the trained weights where the inputs leave it open (ridge). An
    input that never varies needs no weight: the bias does its part.
    """
    variance = np.diag(moments.covariance)
    damping = np.eye(len(variance)) * max(_DAMPING * variance.mean(), input_grid.scale**2 / 12)
    damped = moments.covariance + damping
    wanted: Array = np.linalg.solve(damped, (rows @ (moments.cross_covariance + damping)).T).T
    wanted[:, variance < _CONSTANT * input_grid.scale**2] = 0
    return wanted, feedback_factors(damped)


def largest_neighbour_sum(values: NDArray[np.int8]) -> int:
    """Return the largest amount that two neighbouring weights of one sign add up to, of weights [out, in] or [out, in, k, l].

    Any two that follow each other in the order of multiplication count as neighbours, whichever of them a processor pairs.
    """
    rows = _in_order_of_multiplication(values.astype(np.float64))
    return int(np.abs(rows[:, 1:] + rows[:, :-1]).max(initial=0))


def _per_output(scales: NDArray[np.float32], outputs: int) -> Array:
    return np.repeat(scales.astype(np.float64), outputs // len(scales))


def _in_order_of_multiplication(weight: Array) -> Array:
    """Return weights as [out, products]: those of a kernel position's inputs follow each other, as pixels lie in memory."""
    return np.moveaxis(weight, 1, -1).reshape(len(weight), -1)


def _from_order_of_multiplication(rows: Array, shape: tuple[int, ...]) -> Array:
    channels_last = (shape[0], *shape[2:], shape[1])
    return np.moveaxis(rows.reshape(channels_last), -1, 1)
