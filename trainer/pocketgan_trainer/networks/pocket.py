"""The project's own networks: a class-conditional generator with integer pixels, and its discriminator."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from pocketgan_trainer.networks.conditional import ConditionalGenerator
from pocketgan_trainer.networks.straight_through import to_grey_levels


class GreyLevelRounding(nn.Module):
    """Rounds brightness, 0 black to 1 white, to the nearest of 256 grey levels and maps them to -1 to 1; any shape.

    It also rounds in training, so that the discriminator sees the images that will be saved, exact zeros included. The gradient
    ignores the rounding and, in part, the clipping, see `straight_through.leaky_clip`.
    """

    def forward(self, brightness: Tensor) -> Tensor:
        """Return the grey levels as float32 numbers `level / 127.5 - 1`."""
        return to_grey_levels(brightness.float())


LEAKY_SLOPE = 0.2


class PocketGenerator(ConditionalGenerator):
    """Draws images of a class: latents float [N, latent_size] and labels int64 [N] to float [N, 1, S, S] in [-1, 1].

    With 0 `classes` it takes latents alone. S is `image_size`, a multiple of 4. `channels` are the numbers of channels at a
    quarter, half and all of that size, `detail_channels` that of one more layer at full size. Both upscalings are sub-pixel
    convolutions, after W. Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
    Convolutional Neural Network", 2016.
    """

    def __init__(
        self, classes: int, image_size: int, latent_size: int, channels: tuple[int, int, int], detail_channels: int
    ) -> None:
        coarse, middle, fine = channels
        quarter = image_size // 4
        body = nn.Sequential(
            nn.Linear(latent_size + classes, coarse * quarter * quarter, bias=False),
            nn.Unflatten(1, (coarse, quarter, quarter)),
            nn.BatchNorm2d(coarse),
            nn.ReLU(),
            nn.Conv2d(coarse, 4 * middle, 3, padding=1, bias=False),
            nn.BatchNorm2d(4 * middle),
            nn.ReLU(),
            nn.PixelShuffle(2),
            nn.Conv2d(middle, 4 * fine, 3, padding=1, bias=False),
            nn.BatchNorm2d(4 * fine),
            nn.ReLU(),
            nn.PixelShuffle(2),
            nn.Conv2d(fine, detail_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(detail_channels),
            nn.ReLU(),
            nn.Conv2d(detail_channels, 1, 3, padding=1),
            GreyLevelRounding(),
        )
        super().__init__(classes, body)
        # The layout in which a CPU trains these narrow convolutions fastest.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def strided_discriminator(classes: int, image_size: int, channels: tuple[int, int, int], features: int) -> "PocketDiscriminator":
    """Return a discriminator that halves the image from its first layer on: fast, and nearly blind to the texture of pixels."""
    fine, middle, coarse = channels
    eighth = -(-image_size // 8)
    body = nn.Sequential(
        nn.Conv2d(1, fine, 4, stride=2, padding=1),
        nn.LeakyReLU(LEAKY_SLOPE),
        nn.Conv2d(fine, middle, 4, stride=2, padding=1),
        nn.LeakyReLU(LEAKY_SLOPE),
        nn.Conv2d(middle, coarse, 3, stride=2, padding=1),
        nn.LeakyReLU(LEAKY_SLOPE),
        nn.Flatten(),
        nn.Linear(coarse * eighth * eighth, features),
        nn.LeakyReLU(LEAKY_SLOPE),
    )
    return PocketDiscriminator(classes, body, features)


class ClassDeviation(nn.Module):
    """Appends a channel to features float [N, C, H, W] that shows how different the images of a class are: [N, C + 1, H, W].

    It is the standard deviation over the images of the same class in the batch, averaged over channels and places; without
    labels, over all images. So a discriminator sees it if a generator draws the images of a class too much alike.

    After T. Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and Variation", 2018, section 3, which
    takes it over the whole batch; differences between classes then hide those within them.
    """

    def forward(self, features: Tensor, label: Tensor | None) -> Tensor:
        """Return the features and that channel; labels are int64 [N]."""
        count, _, height, width = features.shape
        label = torch.zeros(count, dtype=torch.int64, device=features.device) if label is None else label
        membership = functional.one_hot(label).float()  # [N, K]
        mean_of = membership / membership.sum(dim=0).clamp(min=1)
        values = features.float().flatten(1)
        differences = values - membership @ (mean_of.T @ values)
        variances = mean_of.T @ differences.square()  # [K, C * H * W]
        deviations = (membership @ (variances + 1e-6).sqrt()).mean(dim=1)
        channel = deviations[:, None, None, None].expand(-1, 1, height, width)
        return torch.cat([features, channel.to(features.dtype)], dim=1)


class Judgement(NamedTuple):
    """What a PocketDiscriminator says about images, float32."""

    logits: Tensor
    """[N, 1], higher for more real."""
    class_logits: Tensor | None
    """[N, classes]; None without classes."""
    traits: Tensor | None
    """[N, T]; None if it reads none."""


class PocketDiscriminator(nn.Module):
    """Judges images of a class, float [N, 1, S, S] in [-1, 1] with labels int64 [N], and classifies them.

    With 0 `classes` it judges images alone and does not classify. `body` turns images into `features` numbers each. The class
    enters the logit as a projection: T. Miyato, M. Koyama, "cGANs with Projection Discriminator", 2018, equation 4. The
    classifier is that of A. Odena et al., "Conditional Image Synthesis with Auxiliary Classifier GANs", 2017. With `traits`,
    numbers that describe an image, these enter the logit and are read from the image in the same ways.
    """

    def __init__(self, classes: int, body: nn.Sequential, features: int, traits: int = 0) -> None:
        super().__init__()
        self.body = body
        self.realism = nn.Linear(features, 1)
        self.of_class = nn.Embedding(classes, features) if classes else None
        self.seen_class = nn.Linear(features, classes) if classes else None
        self.of_traits = nn.Linear(traits, features, bias=False) if traits else None
        self.seen_traits = nn.Linear(features, traits) if traits else None

    def forward(self, images: Tensor, label: Tensor | None = None, traits: Tensor | None = None) -> Judgement:
        """Judge images, as such of their class, and of their traits, float [N, T], if these are given."""
        features = images
        for layer in self.body:
            features = layer(features, label) if isinstance(layer, ClassDeviation) else layer(features)
        features = features.float()
        # Not in bfloat16: the loss depends on small differences between logits.
        with torch.autocast(images.device.type, enabled=False):
            directions = [] if self.of_class is None else [self.of_class(label)]
            if self.of_traits is not None and traits is not None:
                directions.append(self.of_traits(traits))
            root = math.sqrt(features.shape[1])
            projections = [(features * direction).sum(dim=1, keepdim=True) / root for direction in directions]
            return Judgement(
                self.realism(features) + sum(projections),
                None if self.seen_class is None else self.seen_class(features),
                None if self.seen_traits is None else self.seen_traits(features),
            )
