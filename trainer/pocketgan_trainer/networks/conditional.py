"""A class-conditional generator: a chain of layers whose input is the latent and the class."""

import torch
from torch import Tensor, nn
from torch.nn import functional

ONE_HOT_VALUE = 2.0
"""The input for the class to draw; the inputs for other classes are 0."""


class ConditionalGenerator(nn.Module):
    """Passes latents float [N, L] and one-hot labels of K classes, together float [N, L + K], through `body`.

    With 0 `classes` it takes latents alone. The first layer of `body` must be dense, see `export.fold`.
    """

    def __init__(self, classes: int, body: nn.Sequential) -> None:
        super().__init__()
        self.classes = classes
        self.body = body

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """Return one image for each latent and, with classes, its label int64 [N]."""
        if label is not None:
            one_hot = functional.one_hot(label, self.classes).to(latent.dtype) * ONE_HOT_VALUE
            latent = torch.cat([latent, one_hot], dim=1)
        images: Tensor = self.body(latent)
        return images
