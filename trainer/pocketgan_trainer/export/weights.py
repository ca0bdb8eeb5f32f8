"""Rounds the weights of one layer to 8-bit integers with error feedback, so that older x86 CPUs draw the same pixels.

Weights are rounded one after another. Each compensates for the errors of those before it, as far as its input is correlated with
theirs: E. Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", 2022. CPUs without
VNNI instructions add two products in 16 bits, so two neighbouring weights of one sign may add up to at most LARGEST_NEIGHBOURS.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.layers import Array, ToImage

LARGEST_WEIGHT = 127
LARGEST_NEIGHBOURS = 128
"""The limit for the sum of two neighbouring weights of one sign."""

_LARGEST_MEAN = 2**30
_LARGEST_BIAS = 2**31 - 1
# Candidates for a channel's scale, in units of the scale that just holds its largest weight. Smaller ones clip that weight. The
# larger the scale, the fewer neighbours exceed their limit; at 2 hardly any do.
_SCALE_CANDIDATES = np.arange(8, 21) / 10
# The variance that is added to each input's, as a share of their mean variance, but at least that of rounding the input. It keeps
# the weights near the trained ones where the sample says little.
_DAMPING = 1e-2
# An input whose variance is below this share of its squared scale is constant but for rounding errors of the arithmetic.
_CONSTANT = 1e-9


@dataclass(frozen=True)
class IntegerWeights:
    """The weights of a layer as integers, with one scale for each channel, whose outputs are consecutive."""

    values: NDArray[np.int8]
    """[out, ...], from -127 to 127; no two neighbours in the order of multiplication can saturate."""
    scales: NDArray[np.float32]
    """[channels]; `out` is a multiple of their number."""
    bias: NDArray[np.int32]
    """[out], in units of the input's scale times `scales`."""

    def dequantized(self) -> Array:
        """Return the numbers that the weights stand for, [out, ...]."""
        scales = _per_output(self.scales, len(self.values))
        return self.values * scales.reshape(-1, *[1] * (self.values.ndim - 1))

    def dequantized_bias(self, input_scale: float) -> Array:
        """Return the numbers that the bias stands for, [out]."""
        return self.bias * _per_output(self.scales, len(self.bias)) * input_scale

    def in_order_of_image(self, image: ToImage | None) -> "IntegerWeights":
        """Return the weights whose outputs become this image in the order of its rows, columns and channels."""
        if image is None:
            return self
        order = np.arange(len(self.bias)).reshape(image.channels, image.height, image.width)
        return self._reordered(order.transpose(1, 2, 0).ravel())

    def in_order_of_phases(self, stride: int) -> "IntegerWeights":
        """Return the weights of a convolution before a pixel shuffle by `stride` with its outputs phase by phase."""
        order = np.arange(len(self.bias)).reshape(-1, stride, stride)
        return self._reordered(order.transpose(1, 2, 0).ravel())

    def _reordered(self, order: NDArray[np.intp]) -> "IntegerWeights":
        scales = self.scales[order] if len(self.scales) == len(order) else self.scales
        return IntegerWeights(self.values[order], scales, self.bias[order])


@dataclass(frozen=True)
class InputMoments:
    """Means and covariances of the inputs that are multiplied with a layer's weights, in the order of multiplication."""

    quantized_mean: Array
    """Mean of the inputs in the integer generator, [products]."""
    exact_mean: Array
    """Mean of the inputs in the exact generator, [products]."""
    covariance: Array
    """Of the quantized inputs, [products, products]."""
    cross_covariance: Array
    """Of each exact input with each quantized one, [products, products]."""

    def of(self, chosen: NDArray[np.int64]) -> "InputMoments":
        """Return the moments of some of the inputs, by their positions in the order of multiplication."""
        block = np.ix_(chosen, chosen)
        return InputMoments(
            self.quantized_mean[chosen], self.exact_mean[chosen], self.covariance[block], self.cross_covariance[block]
        )


# Each pixel is copied once for each position in the kernel, so only this many images are copied at a time.
_BLOCK_IMAGES = 32


def input_moments(quantized: Tensor, exact: Tensor, kernel_size: int = 1, pads: tuple[int, int] = (0, 0)) -> InputMoments:
    """Return the moments of a layer's inputs, both float64 [N, in] or [N, in, H, W].

    For images, `pads` are the rows and columns of zeros before and after, and each position of the kernel is one sample.
    """
    totals: list[Tensor] = []
    samples = 0
    for blocks in zip(torch.split(quantized, _BLOCK_IMAGES), torch.split(exact, _BLOCK_IMAGES), strict=True):
        of_quantized, of_exact = (_patches(block, kernel_size, pads) for block in blocks)
        sums = [of_quantized.sum(dim=0), of_exact.sum(dim=0), of_quantized.T @ of_quantized, of_exact.T @ of_quantized]
        totals = [total + more for total, more in zip(totals, sums, strict=True)] if totals else sums
        samples += len(of_quantized)
    quantized_mean, exact_mean, squares, products = (total / samples for total in totals)
    return InputMoments(
        quantized_mean=quantized_mean.numpy(),
        exact_mean=exact_mean.numpy(),
        covariance=(squares - torch.outer(quantized_mean, quantized_mean)).numpy(),
        cross_covariance=(products - torch.outer(exact_mean, quantized_mean)).numpy(),
    )


def _patches(inputs: Tensor, kernel_size: int, pads: tuple[int, int]) -> Tensor:
    """Return the inputs of each product, [samples, products]: by row and column of the kernel, then by channel."""
    if inputs.ndim == 2:
        return inputs
    count, channels = inputs.shape[:2]
    patches = functional.unfold(functional.pad(inputs, pads + pads), kernel_size)
    by_position = patches.reshape(count, channels, kernel_size**2, -1)
    return by_position.permute(0, 3, 2, 1).reshape(-1, kernel_size**2 * channels)


def integer_weights(
    weight: Array, bias: Array, input_scale: float, moments: InputMoments, channels: int | None = None
) -> IntegerWeights:
    """Return integers for weights [out, in] or [out, in, k, l] and their bias [out], given the scale and `moments` of the input.

    They keep the layer's output near that of the trained layer: other weights and the bias compensate for the errors of each
    weight and of the inputs. Each output has its own scale; if `channels` is given, out / channels consecutive outputs share one.
    Raises ExportError if the numbers are too large or too uneven for integers.
    """
    rows = _in_order_of_multiplication(weight)
    mean = bias + rows @ moments.exact_mean
    values, scales = _round(rows, mean, input_scale, moments, channels or len(rows))
    steps = _per_output(scales, len(rows))
    corrected = (mean - (values * steps[:, None]) @ moments.quantized_mean) / (steps * input_scale)
    if not (np.abs(corrected) <= _LARGEST_BIAS).all():
        raise ExportError("a bias does not fit into 32 bits: the weights of a layer are too uneven; take another checkpoint")
    return IntegerWeights(
        values=_from_order_of_multiplication(values, weight.shape).astype(np.int8),
        scales=scales,
        bias=np.rint(corrected).astype(np.int32),
    )


def _round(
    rows: Array, mean: Array, input_scale: float, moments: InputMoments, channels: int
) -> tuple[Array, NDArray[np.float32]]:
    """Return weights as whole numbers [out, products], and for each channel the candidate scale with the least error.

    `mean` [out] is the layer's mean output: it must fit into 32 bits even if the weights are almost zero.
    """
    wanted, factors = _targets(rows, input_scale, moments)
    just_enough = np.abs(wanted).max(axis=1).reshape(channels, -1).max(axis=1) / LARGEST_WEIGHT
    smallest = np.abs(mean).reshape(channels, -1).max(axis=1) / (_LARGEST_MEAN * input_scale)
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


def _targets(rows: Array, input_scale: float, moments: InputMoments) -> tuple[Array, Array]:
    """Return the weights [out, products] that give the exact output from the quantized inputs, and the factors of feedback.

    This is ridge regression towards the trained weights. An input that never varies gets no weight: the bias covers it.
    """
    variance = np.diag(moments.covariance)
    damping = np.eye(len(variance)) * max(_DAMPING * variance.mean(), input_scale**2 / 12)
    damped = moments.covariance + damping
    wanted: Array = np.linalg.solve(damped, (rows @ (moments.cross_covariance + damping)).T).T
    wanted[:, variance < _CONSTANT * input_scale**2] = 0
    return wanted, feedback_factors(damped)


def feedback_factors(covariance: Array) -> Array:
    """Return the upper triangle that `round_with_feedback` needs, for an invertible covariance [products, products].

    Row k says how an error in weight k is best distributed over the weights from k on, in units in which its cost is its square.
    """
    factors: Array = np.linalg.cholesky(np.linalg.inv(covariance)).T
    return factors


# Errors reach the weights beyond a block of this size in one matrix product, which is faster than one by one.
_BLOCK = 64


def round_with_feedback(rows: Array, factors: Array, largest: int, largest_sum: int) -> tuple[Array, Array]:
    """Return whole numbers for rows [out, products], and the cost of their errors, [out].

    No number exceeds `largest` in absolute value, and no two neighbours of one sign add up to more than `largest_sum`, which
    must not be below `largest`. The cost is the variance that the errors add to a row's sum of products.
    """
    wanted = rows.copy()
    values = np.zeros_like(rows)
    cost: Array = np.zeros(len(rows))
    before: Array = np.zeros(len(rows))
    products = rows.shape[1]
    for start in range(0, products, _BLOCK):
        end = min(start + _BLOCK, products)
        ahead = min(end + 1, products)  # the last weight of a block needs the one after it
        errors = np.zeros((len(rows), end - start))
        for position in range(start, end):
            here = wanted[:, position]
            following = wanted[:, position + 1] if position + 1 < products else np.zeros_like(here)
            target = np.rint(_without_half_the_excess(here, following, largest, largest_sum))
            low = np.maximum(-largest, -largest_sum - before)
            high = np.minimum(largest, largest_sum - before)
            before = values[:, position] = np.minimum(np.maximum(target, low), high)
            error = (here - before) / factors[position, position]
            wanted[:, position:ahead] -= error[:, None] * factors[position, position:ahead]
            errors[:, position - start] = error
            cost += error**2
        wanted[:, ahead:] -= errors @ factors[start:end, ahead:]
    return values, cost


def _without_half_the_excess(here: Array, following: Array, largest: int, largest_sum: int) -> Array:
    """Return `here` minus half of the excess of it and `following`, each clipped to `largest`, over the limit for neighbours."""
    one, other = here.clip(-largest, largest), following.clip(-largest, largest)
    # If their signs differ, they cannot add up to more than `largest`, which is below the limit.
    excess = np.maximum(np.abs(one + other) - largest_sum, 0) * np.sign(one + other)
    reduced: Array = np.where(excess != 0, one - excess / 2, here)
    return reduced


def largest_neighbour_sum(values: NDArray[np.int8]) -> int:
    """Return the largest absolute sum of two neighbouring weights of one sign, of weights [out, in] or [out, in, k, l].

    Any two that follow each other in the order of multiplication are neighbours, whichever of them a processor pairs.
    """
    rows = _in_order_of_multiplication(values.astype(np.float64))
    return int(np.abs(rows[:, 1:] + rows[:, :-1]).max(initial=0))


def _per_output(scales: NDArray[np.float32], outputs: int) -> Array:
    return np.repeat(scales.astype(np.float64), outputs // len(scales))


def _in_order_of_multiplication(weight: Array) -> Array:
    """Return weights as [out, products], by row and column of the kernel, then by channel, as pixels are stored in memory."""
    return np.moveaxis(weight, 1, -1).reshape(len(weight), -1)


def _from_order_of_multiplication(rows: Array, shape: tuple[int, ...]) -> Array:
    channels_last = (shape[0], *shape[2:], shape[1])
    return np.moveaxis(rows.reshape(channels_last), -1, 1)
