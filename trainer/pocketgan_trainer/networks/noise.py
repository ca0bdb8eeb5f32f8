"""Noise in a generator: latents that do not shape the whole image, but one place of it each.

Source: T. Karras et al., "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019, section 3.2. There
it is added to the features, here it is further channels of them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class NoiseChannels(nn.Module):
    """Appends channels of noise to features: float [N, C, H, W] to [N, C + channels, H, W].

    They are the latents from number `first` on, row by row, with the channels of a place next to each other; negative ones
    become 0, so that integers can store them like the features, which come from a ReLU.
    """

    def __init__(self, first: int, channels: int) -> None:
        super().__init__()
        self.first, self.channels = first, channels

    def forward(self, features: Tensor, latent: Tensor) -> Tensor:
        """Return the features with noise from the latents float [N, L]."""
        return with_noise(features, latent, self.first, self.channels)


def with_noise(features: Tensor, latent: Tensor, first: int, channels: int) -> Tensor:
    """Return features float [N, C, H, W] and `channels` more, made of latents from number `first` on."""
    height, width = features.shape[2:]
    chosen = latent[:, first : first + height * width * channels]
    noise = functional.relu(chosen).view(-1, height, width, channels).permute(0, 3, 1, 2)
    return torch.cat([features, noise.to(features.dtype)], dim=1)
