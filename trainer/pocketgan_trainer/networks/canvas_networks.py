"""The networks for a canvas: a generator whose fields of ink are scanned and placed, a discriminator that sees boxes of ink."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pocketgan_trainer.networks.canvas import CANVAS_SIZES, Cropping
from pocketgan_trainer.networks.conditional import ConditionalGenerator
from pocketgan_trainer.networks.noise import NoiseChannels
from pocketgan_trainer.networks.pocket import LEAKY_SLOPE, GreyLevelRounding, PocketDiscriminator
from pocketgan_trainer.networks.scan import ScannedImage

GROUP_SIZE = 32
"""Images that MinibatchDeviation compares."""


@dataclass(frozen=True)
class CanvasWidth:
    """The sizes of a CanvasGenerator: numbers of channels, and one of points."""

    coarse: int
    """At a quarter of the canvas's size."""
    middle: int
    """At half of it."""
    fine: int
    """At half of it, in the layer before the last."""
    factor: int
    """How many times as large as half of the canvas the field is."""
    coarse_noise: int
    """Further channels of noise beside the coarse ones."""
    middle_noise: int
    """The same beside the middle ones."""

    def noise_size(self, image_size: int) -> int:
        """Return how many latents the noise of an image takes."""
        quarter = CANVAS_SIZES[image_size] // 4
        return quarter**2 * (self.coarse_noise + 4 * self.middle_noise)


class CanvasGenerator(ConditionalGenerator):
    """Draws images of a class: latents float [N, latent_size + noise] and labels int64 [N] to float [N, 1, S, S] in [-1, 1].

    With 0 `classes` it takes latents alone. The first `latent_size` shape the image, the others are noise for single places. The
    body draws a field, which is scanned, see `networks.scan`. All upscalings are sub-pixel convolutions, see PocketGenerator.
    """

    def __init__(self, classes: int, image_size: int, latent_size: int, width: CanvasWidth) -> None:
        coarse, middle, fine = width.coarse, width.middle, width.fine
        half = CANVAS_SIZES[image_size] // 2
        quarter = half // 2
        last = nn.Conv2d(fine, width.factor**2, 3, padding=1)
        assert last.bias is not None
        nn.init.constant_(last.bias, 0.5)  # at the threshold: half of a field begins as ink
        body = nn.Sequential(
            nn.Linear(latent_size + classes, coarse * quarter**2, bias=False),
            nn.Unflatten(1, (coarse, quarter, quarter)),
            nn.BatchNorm2d(coarse),
            nn.ReLU(),
            *_noise(latent_size, width.coarse_noise),
            nn.Conv2d(coarse + width.coarse_noise, 4 * middle, 3, padding=1, bias=False),
            nn.BatchNorm2d(4 * middle),
            nn.ReLU(),
            nn.PixelShuffle(2),
            *_noise(latent_size + width.coarse_noise * quarter**2, width.middle_noise),
            nn.Conv2d(middle + width.middle_noise, fine, 3, padding=1, bias=False),
            nn.BatchNorm2d(fine),
            nn.ReLU(),
            last,
            nn.PixelShuffle(width.factor),
            GreyLevelRounding(),
        )
        super().__init__(classes, body, latent_size, ScannedImage(width.factor * half, image_size))
        # The layout in which a CPU trains these narrow convolutions fastest.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _noise(first: int, channels: int) -> list[nn.Module]:
    return [NoiseChannels(first, channels)] if channels else []


class MinibatchDeviation(nn.Module):
    """Appends a channel to features float [N, C, H, W] that shows how different the images of a group are: [N, C + 1, H, W].

    It is the standard deviation over the group, averaged over channels and places. So a discriminator sees it if the images of a
    generator are too alike. Groups are GROUP_SIZE consecutive images; the first images fill up a last one that lacks some.

    Source: T. Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and Variation", 2018, section 3.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Return the features and that channel."""
        count, channels, height, width = features.shape
        filled = torch.arange(count + -count % GROUP_SIZE, device=features.device) % count
        groups = features.float()[filled].reshape(-1, GROUP_SIZE, channels, height, width)
        deviations = (groups.var(dim=1, unbiased=False) + 1e-6).sqrt().mean(dim=(1, 2, 3))
        channel = deviations.repeat_interleave(GROUP_SIZE)[:count, None, None, None].expand(-1, 1, height, width)
        return torch.cat([features, channel.to(features.dtype)], dim=1)


def canvas_discriminator(classes: int, image_size: int, channels: int, features: int) -> PocketDiscriminator:
    """Return a discriminator of the box of the ink, with two layers at full resolution before it halves it, and of its variety.

    Discriminators that begin with a stride do not pass fine texture on: K. Schwarz et al., "On the Frequency Bias of Generative
    Models", 2021.
    """
    quarter = CANVAS_SIZES[image_size] // 4
    body = nn.Sequential(
        Cropping(image_size),
        nn.Conv2d(1, channels, 3, padding=1),
        nn.LeakyReLU(LEAKY_SLOPE),
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.LeakyReLU(LEAKY_SLOPE),
        nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1),
        nn.LeakyReLU(LEAKY_SLOPE),
        nn.Conv2d(2 * channels, 2 * channels, 3, padding=1),
        nn.LeakyReLU(LEAKY_SLOPE),
        nn.Conv2d(2 * channels, 4 * channels, 4, stride=2, padding=1),
        nn.LeakyReLU(LEAKY_SLOPE),
        MinibatchDeviation(),
        nn.Flatten(),
        nn.Linear((4 * channels + 1) * quarter * quarter, features),
        nn.LeakyReLU(LEAKY_SLOPE),
    )
    return PocketDiscriminator(classes, body, features)
