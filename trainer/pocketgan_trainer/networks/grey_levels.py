"""The last step of a generator whose pixels are exact: a clip to the 256 grey levels that still lets gradients through."""

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

LEAK = 0.1
"""What is left of the gradient where a value lies outside the range."""


class GreyLevels(nn.Module):
    """Rounds brightness, 0 black to 1 white, to the nearest of 256 grey levels and maps them to -1 to 1; any shape.

    In training as in evaluation, so that the discriminator sees what will be saved, exact zeros included. The gradient is that of
    no rounding, and outside the range LEAK of it, in both directions: a value that is clipped can come back. (Let through only
    what pulls inwards, and the gradient's noise drags the whole background into a haze around zero.)
    """

    def forward(self, brightness: Tensor) -> Tensor:
        """Return the grey levels as float32 numbers `level / 127.5 - 1`."""
        pixels: Tensor = _RoundedClip.apply(brightness.float())  # type: ignore[no-untyped-call]
        return pixels


class _RoundedClip(torch.autograd.Function):
    @staticmethod
    def forward(context: FunctionCtx, brightness: Tensor) -> Tensor:
        context.save_for_backward(brightness)
        return (brightness.clamp(0, 1) * 255).round() / 127.5 - 1

    @staticmethod
    def backward(context: FunctionCtx, *gradients: Tensor) -> Tensor:
        (brightness,), (gradient,) = context.saved_tensors, gradients  # type: ignore[attr-defined]
        outside = (brightness < 0) | (brightness > 1)
        return 2 * torch.where(outside, LEAK * gradient, gradient)
