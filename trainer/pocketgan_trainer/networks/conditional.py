"""A class-conditional generator: a chain of layers whose input is the latent and the class, perhaps with a scan at its end."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from pocketgan_trainer.networks.noise import NoiseChannels
from pocketgan_trainer.networks.scan import ScannedImage

ONE_HOT_VALUE = 2.0
"""The input for the class to draw; the inputs for other classes are 0."""


class StyleScale(NamedTuple):
    """What latents of style are multiplied by when images are drawn, not in training."""

    factor: float = 1.0
    traits: int = 0
    """The number of the first latents that are left as they are."""


class ConditionalGenerator(nn.Module):
    """Passes latents float [N, L] and one-hot labels of K classes, together float [N, L + K], through `body`.

    With 0 `classes` it takes latents alone. The first layer of `body` must be dense, see `export.fold`; with a `style_size` it
    takes only the first latents, and NoiseChannels the others. With a `scan`, the body draws fields, of which that makes images,
    but canvases in training.
    """

    def __init__(
        self, classes: int, body: nn.Sequential, style_size: int | None = None, scan: ScannedImage | None = None
    ) -> None:
        super().__init__()
        self.classes = classes
        self.body = body
        self.style_size = style_size
        self.scan = scan
        self.scale = StyleScale()

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """Return one image, or canvas, for each latent and, with classes, its label int64 [N]."""
        features = latent[:, : self.style_size]
        if not self.training and self.scale.factor != 1:
            features = torch.cat([features[:, : self.scale.traits], features[:, self.scale.traits :] * self.scale.factor], dim=1)
        if label is not None:
            one_hot = functional.one_hot(label, self.classes).to(latent.dtype) * ONE_HOT_VALUE
            features = torch.cat([features, one_hot], dim=1)
        for layer in self.body:
            features = layer(features, latent) if isinstance(layer, NoiseChannels) else layer(features)
        return features if self.scan is None else self.scan(features, latent)


def remove_scan(generator: nn.Module) -> ScannedImage | None:
    """Make a generator return its fields from now on, and return the scan that made images of them; None if it has none."""
    if not isinstance(generator, ConditionalGenerator):
        return None
    scan, generator.scan = generator.scan, None
    return scan
