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

from pocketgan_trainer.export.grids import Grid
from pocketgan_trainer.export.layers import Array

LARGEST_WEIGHT = 127
LARGEST_NEIGHBOURS = 128
"""The most that two neighbouring weights of one sign may add up to."""

_LARGEST_BIAS = 2**30
# Scales that are tried, in units of the one that just holds a channel's largest weight: smaller ones cut that off, and the larger
# the scale, the less have neighbours to give way. At 2, none has to.
_SCALE_CANDIDATES = np.arange(16, 41) / 20


@dataclass(frozen=True)
class IntegerWeights:
    """Weights as integers, with one scale for each output channel; output r is of channel r modulo their number."""

    values: NDArray[np.int8]
    """[out, ...], from -127 to 127; in the order in which they are multiplied no neighbours saturate."""
    scales: NDArray[np.float32]
    """[channels]"""
    bias: NDArray[np.int32]
    """[out], in units of the input's scale times `scales`."""


def integer_weights(weight: Array, bias: Array, input_grid: Grid, channels: int | None = None) -> IntegerWeights:
    """Return weights, [out, in] or [out, in, k, l], and their bias [out] for inputs on `input_grid`.

    Each output is a channel, unless told otherwise. Of a few scales each channel gets the one that loses least, by the squared
    error of its weights. Beside weights that are almost nothing, it is the bias that must fit, into 32 bits.
    """
    rows = _in_order_of_multiplication(weight)
    channels = channels or len(rows)
    units = np.abs(rows).max(axis=1).reshape(-1, channels).max(axis=0) / LARGEST_WEIGHT
    least = np.abs(bias).reshape(-1, channels).max(axis=0) / (_LARGEST_BIAS * input_grid.scale)
    best_errors = np.full(channels, np.inf)
    best_scales = np.ones(channels, np.float32)
    best_values = np.zeros(rows.shape)
    for candidate in _SCALE_CANDIDATES:
        wanted = np.maximum(units * candidate, least)
        scales = np.where(wanted >= np.finfo(np.float32).tiny, wanted, 1.0).astype(np.float32)
        values = _round(rows, _per_output(scales, len(rows)))
        lost = np.square(values * _per_output(scales, len(rows)) - rows).sum(axis=1).reshape(-1, channels).sum(axis=0)
        better = lost < best_errors
        best_errors = np.where(better, lost, best_errors)
        best_scales = np.where(better, scales, best_scales)
        best_values = np.where(np.tile(better, len(rows) // channels)[:, None], values, best_values)
    return IntegerWeights(
        values=_from_order_of_multiplication(best_values, weight.shape).astype(np.int8),
        scales=best_scales,
        bias=np.rint(bias / (_per_output(best_scales, len(rows))[:, 0] * input_grid.scale)).astype(np.int32),
    )


def largest_neighbour_sum(values: NDArray[np.int8]) -> int:
    """Return the largest amount that two neighbouring weights of one sign add up to, of weights [out, in] or [out, in, k, l].

    Any two that follow each other in the order of multiplication count as neighbours, whichever of them a processor pairs.
    """
    rows = _in_order_of_multiplication(values.astype(np.float64))
    return int(np.abs(rows[:, 1:] + rows[:, :-1]).max(initial=0))


def _round(rows: Array, scales: Array) -> Array:
    """Return rows [out, products] in units of scales [out, 1], as whole numbers of which no neighbours saturate."""
    values = np.rint(rows / scales).clip(-LARGEST_WEIGHT, LARGEST_WEIGHT)
    for position in range(1, values.shape[1]):
        before, here = values[:, position - 1], values[:, position]
        excess = np.maximum(np.abs(before + here) - LARGEST_NEIGHBOURS, 0) * np.sign(before + here)
        # To make a weight smaller never makes another pair saturate, so one pass is enough.
        before -= np.trunc(excess / 2)
        here -= excess - np.trunc(excess / 2)
    return values


def _per_output(scales: NDArray[np.float32], outputs: int) -> Array:
    return np.tile(scales.astype(np.float64), outputs // len(scales))[:, None]


def _in_order_of_multiplication(weight: Array) -> Array:
    """Return weights as [out, products]: those of a kernel position's inputs follow each other, as pixels lie in memory."""
    return np.moveaxis(weight, 1, -1).reshape(len(weight), -1)


def _from_order_of_multiplication(rows: Array, shape: tuple[int, ...]) -> Array:
    channels_last = (shape[0], *shape[2:], shape[1])
    return np.moveaxis(rows.reshape(channels_last), -1, 1)
