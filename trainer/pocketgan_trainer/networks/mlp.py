"""The plain GAN of fully connected layers that many first tutorials show, for small grey images.

Source: I. Goodfellow et al., "Generative Adversarial Nets", 2014, with LeakyReLU in place of rectifiers and maxout.
"""

from torch import nn

LATENT_SIZE = 100
LEAKY_SLOPE = 0.2


class MlpGenerator(nn.Sequential):
    """Draws images from latents: float [N, 100] to float [N, 1, S, S] in [-1, 1], S = `image_size`."""

    def __init__(self, image_size: int) -> None:
        super().__init__(
            nn.Linear(LATENT_SIZE, 128),
            nn.LeakyReLU(LEAKY_SLOPE),
            nn.Linear(128, 256),
            nn.LeakyReLU(LEAKY_SLOPE),
            nn.Linear(256, image_size * image_size),
            nn.Tanh(),
            nn.Unflatten(1, (1, image_size, image_size)),
        )


class MlpDiscriminator(nn.Sequential):
    """Judges images: float [N, 1, S, S] in [-1, 1] to one logit each, float [N, 1]; above 0 means real."""

    def __init__(self, image_size: int) -> None:
        super().__init__(
            nn.Flatten(),
            nn.Linear(image_size * image_size, 256),
            nn.LeakyReLU(LEAKY_SLOPE),
            nn.Linear(256, 128),
            nn.LeakyReLU(LEAKY_SLOPE),
            nn.Linear(128, 1),
        )
