"""Dropout whose mask is cheap to draw on a CPU."""

import torch
from torch import Tensor, nn

from pocketgan_trainer.processes import ALONE, Processes


class UniformDropout(nn.Module):
    """Sets each value to 0 with `probability` while training, and scales the others so that the mean stays; any shape.

    It does what `nn.Dropout` does, but draws its mask with `torch.rand`: on a CPU that is faster than the `bernoulli_` in
    `nn.Dropout`, whose masks are a good part of a training step of the DCGAN.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.processes: Processes = ALONE
        """Those that divide each batch among themselves."""

    def forward(self, values: Tensor) -> Tensor:
        """Return `values` with the mask applied, or unchanged in evaluation mode."""
        if not self.training:
            return values
        rows, *others = values.shape
        drawn = torch.rand(self.processes.count * rows, *others, device=values.device)
        kept = self.processes.own(drawn) >= self.probability
        return values * (kept / (1 - self.probability)).to(values.dtype)
