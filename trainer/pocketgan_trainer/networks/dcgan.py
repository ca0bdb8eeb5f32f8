"""The classic convolutional GAN of the Keras and TensorFlow tutorials, for grey images of 28x28 or 32x32.

Source: A. Radford, L. Metz, S. Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks", 2015, in the shape that the tutorials made popular: batch normalization in the generator only, dropout in the
discriminator.
"""

import torch
from torch import Tensor, nn

from pocketgan_trainer.networks.dropout import UniformDropout
from pocketgan_trainer.networks.same_padding import SameConvTranspose2d, same_convolution

LATENT_SIZE = 100
LEAKY_SLOPE = 0.2
# Keras keeps 0.99 of the old running statistics; torch's momentum is the share of the new ones.
BATCH_NORM_MOMENTUM = 0.01
BATCH_NORM_EPSILON = 1e-3


class DcganGenerator(nn.Sequential):
    """Draws images from latents: float [N, 100] to float [N, 1, S, S] in [-1, 1], S = `image_size`, a multiple of 4."""

    def __init__(self, image_size: int) -> None:
        quarter = image_size // 4
        super().__init__(
            nn.Linear(LATENT_SIZE, quarter * quarter * 256, bias=False),
            nn.BatchNorm1d(quarter * quarter * 256, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM),
            nn.LeakyReLU(LEAKY_SLOPE),
            nn.Unflatten(1, (256, quarter, quarter)),
            SameConvTranspose2d(256, 128, kernel_size=3, stride=2),
            nn.BatchNorm2d(128, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM),
            nn.LeakyReLU(LEAKY_SLOPE),
            SameConvTranspose2d(128, 64, kernel_size=3, stride=1),
            nn.BatchNorm2d(64, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM),
            nn.LeakyReLU(LEAKY_SLOPE),
            SameConvTranspose2d(64, 1, kernel_size=3, stride=2),
            nn.Tanh(),
        )
        self.apply(initialize_like_keras)


class DcganDiscriminator(nn.Sequential):
    """Judges images: float [N, 1, S, S] in [-1, 1] to one logit each, float [N, 1]; above 0 means real."""

    def __init__(self, image_size: int) -> None:
        quarter = image_size // 4
        super().__init__(
            same_convolution(1, 64),
            nn.LeakyReLU(LEAKY_SLOPE),
            UniformDropout(0.3),
            same_convolution(64, 128),
            nn.LeakyReLU(LEAKY_SLOPE),
            UniformDropout(0.3),
            nn.Flatten(),
            nn.Linear(quarter * quarter * 128, 1),
        )
        self.apply(initialize_like_keras)


def initialize_like_keras(module: nn.Module) -> None:
    """Give a convolution or dense layer Keras's default start: Glorot-uniform weights and biases of zero.

    Source: X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010, equation 16.
    """
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        nn.init.xavier_uniform_(module.weight)
        if isinstance(module.bias, Tensor):
            with torch.no_grad():
                module.bias.zero_()
