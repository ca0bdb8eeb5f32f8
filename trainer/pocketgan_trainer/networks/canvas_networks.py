"""The networks for a canvas: a generator whose fields of ink are scanned and placed, a discriminator that sees boxes of ink."""

from dataclasses import dataclass

import torch
from torch import nn

from pocketgan_trainer.networks.canvas import CANVAS_SIZES
from pocketgan_trainer.networks.conditional import ConditionalGenerator
from pocketgan_trainer.networks.noise import NoiseChannels
from pocketgan_trainer.networks.pocket import LEAKY_SLOPE, ClassDeviation, GreyLevelRounding, PocketDiscriminator
from pocketgan_trainer.networks.scan import ScannedImage


@dataclass(frozen=True)
class CanvasWidth:
    """The numbers of channels of a CanvasGenerator."""

    coarse: int
    """At a quarter of the canvas's size."""
    middle: int
    """At half of it."""
    fine: int
    """At half of it, in the layer before the last."""
    noise: int
    """Further channels of noise beside the coarse ones."""

    def noise_size(self, image_size: int) -> int:
        """Return how many latents the noise of an image takes."""
        return self.noise * (CANVAS_SIZES[image_size] // 4) ** 2


class CanvasGenerator(ConditionalGenerator):
    """Draws images of a class: latents float [N, latent_size + noise] and labels int64 [N] to float [N, 1, S, S] in [-1, 1].

    In training it returns canvases, see ConditionalGenerator. With 0 `classes` it takes latents alone. The first `latent_size`
    shape the image, the others are noise for single places. The body draws a field as large as the canvas, which is scanned, see
    `networks.scan`. Its upscalings are those of PocketGenerator.
    """

    def __init__(self, classes: int, image_size: int, latent_size: int, width: CanvasWidth) -> None:
        coarse, middle, fine = width.coarse, width.middle, width.fine
        half = CANVAS_SIZES[image_size] // 2
        quarter = half // 2
        body = nn.Sequential(
            nn.Linear(latent_size + classes, coarse * quarter**2, bias=False),
            nn.Unflatten(1, (coarse, quarter, quarter)),
            nn.BatchNorm2d(coarse),
            nn.ReLU(),
            NoiseChannels(latent_size, width.noise),
            nn.Conv2d(coarse + width.noise, 4 * middle, 3, padding=1, bias=False),
            nn.BatchNorm2d(4 * middle),
            nn.ReLU(),
            nn.PixelShuffle(2),
            nn.Conv2d(middle, fine, 3, padding=1, bias=False),
            nn.BatchNorm2d(fine),
            nn.ReLU(),
            nn.Conv2d(fine, 4, 3, padding=1),
            nn.PixelShuffle(2),
            GreyLevelRounding(),
        )
        super().__init__(classes, body, latent_size, ScannedImage(2 * half, image_size))
        # The layout in which a CPU trains these narrow convolutions fastest.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def canvas_discriminator(classes: int, image_size: int, traits: int) -> PocketDiscriminator:
    """Return a discriminator of canvases that halves them from its first layer on, and of their variety and traits.

    It hardly sees texture (K. Schwarz et al., "On the Frequency Bias of Generative Models", 2021), which the scan makes anyway.
    """
    fine, coarse, features = 48, 128, 128
    quarter = CANVAS_SIZES[image_size] // 4
    body = nn.Sequential(
        nn.Conv2d(1, fine, 4, stride=2, padding=1),
        nn.LeakyReLU(LEAKY_SLOPE),
        nn.Conv2d(fine, coarse, 4, stride=2, padding=1),
        nn.LeakyReLU(LEAKY_SLOPE),
        nn.Conv2d(coarse, coarse, 3, padding=1),
        nn.LeakyReLU(LEAKY_SLOPE),
        ClassDeviation(),
        nn.Flatten(),
        nn.Linear((coarse + 1) * quarter * quarter, features),
        nn.LeakyReLU(LEAKY_SLOPE),
    )
    # The layout in which a CPU trains these convolutions fastest.
    body.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return PocketDiscriminator(classes, body, features, traits)
