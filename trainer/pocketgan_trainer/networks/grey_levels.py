"""The last step of a generator whose pixels are exact: a clip to the 256 grey levels that still lets gradients through."""

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

LEAK = 0.1
"""What is left of the gradient where a value lies outside the range."""
MARGIN = 0.25
"""How far outside the range values may be pushed."""


class GreyLevels(nn.Module):
    """Rounds brightness, 0 black to 1 white, to the nearest of 256 grey levels and maps them to -1 to 1; any shape.

    In training as in evaluation, so that the discriminator sees what will be saved, exact zeros included. The gradient is that of
    no rounding, and outside the range LEAK of it: a value that is clipped can come back, and may settle a little outside, safe
    from noise. Beyond MARGIN only what pulls inwards is left of it, so that values cannot run away to where a tenth of the
    gradient is all they ever get. The barrier stands off the range, so that what hovers there is black and not a haze around it.
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
        # Descent moves against the gradient.
        runs_away = ((brightness < -MARGIN) & (gradient > 0)) | ((brightness > 1 + MARGIN) & (gradient < 0))
        is_outside = (brightness < 0) | (brightness > 1)
        return 2 * torch.where(is_outside, LEAK * gradient, gradient).masked_fill(runs_away, 0)
