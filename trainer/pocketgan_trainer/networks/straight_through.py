"""Clipping, rounding and thresholds that a network can be trained through: gradients pass as if nothing were rounded."""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

LEAK = 0.1
"""The share of the gradient that is kept where a value is outside the range."""
MARGIN = 0.25
"""How far values may be pushed outside the range."""


def leaky_clip(values: Tensor) -> Tensor:
    """Return values clipped to 0..1, with a gradient outside that range, too.

    There, LEAK of it is kept: a clipped value can come back, or settle a little outside, where noise does not make it visible.
    Beyond MARGIN, only a gradient that pulls inwards is kept, so that values cannot drift far away. MARGIN is well above 0, so
    that values that settle there stay black despite noise.
    """
    clipped: Tensor = _LeakyClip.apply(values)  # type: ignore[no-untyped-call]
    return clipped


def rounded(values: Tensor) -> Tensor:
    """Return values rounded to whole numbers, with a gradient as if they were not (a straight-through estimator)."""
    return values.detach().round() + (values - values.detach())


def to_grey_levels(brightness: Tensor) -> Tensor:
    """Return brightness clipped to 0..1 by `leaky_clip` and rounded to one of 256 grey levels, from -1 to 1."""
    clipped = leaky_clip(brightness)
    levels = (clipped.detach() * 255).round() / 127.5 - 1
    return levels + 2 * (clipped - clipped.detach())


def above_zero(values: Tensor) -> Tensor:
    """Return 1 where values are above 0, else 0, with the gradient of a clip from -0.5 to 0.5 (see `leaky_clip`).

    A narrower clip holds a generator back, see docs/canvas-experiments.md.
    """
    clipped = leaky_clip(values + 0.5)
    return (values.detach() > 0).float() + (clipped - clipped.detach())


class _LeakyClip(torch.autograd.Function):
    @staticmethod
    def forward(context: FunctionCtx, values: Tensor) -> Tensor:
        context.save_for_backward(values)
        return values.clamp(0, 1)

    @staticmethod
    def backward(context: FunctionCtx, *gradients: Tensor) -> Tensor:
        (values,), (gradient,) = context.saved_tensors, gradients  # type: ignore[attr-defined]
        # Descent moves against the gradient.
        moves_away = ((values < -MARGIN) & (gradient > 0)) | ((values > 1 + MARGIN) & (gradient < 0))
        is_outside = (values < 0) | (values > 1)
        return torch.where(is_outside, LEAK * gradient, gradient).masked_fill(moves_away, 0)
