"""Weights as 8-bit integers that no processor's sums of two products can saturate.

x86 processors without VNNI multiply neighbouring uint8 inputs by neighbouring int8 weights and add each two products in 16 bits.
That holds as long as two neighbouring weights of one sign add up to at most 128: 128 * 255 is 32,640. So weights take all of
eight bits, and only where two large ones of one sign are neighbours do both give way a little. Arm processors without dot
products subtract 128 from the inputs and add two products of weights further apart: 2 * 128 * 127 is 32,512, so no weight may
be -128.

The order is that of onnxruntime's kernels for one group of channels: position by position in the kernel, and at each the input
channels, as pixels lie in memory. Source: onnxruntime, core/providers/cpu/quantization/qlinearconv.cc and core/mlas.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.error_feedback import feedback_factors, round_with_feedback
from pocketgan_trainer.export.grids import Grid
from pocketgan_trainer.export.input_moments import InputMoments
from pocketgan_trainer.export.layers import Array

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
