"""The classic convolutional GAN of the Keras and TensorFlow tutorials, for grey images of 28x28 or 32x32.

Source: A. Radford, L. Metz, S. Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks", 2015, in the shape that the tutorials made popular: batch normalization in the generator only, dropout in the
discriminator. As there, strided convolutions have TensorFlow's 'same' padding. For an even input and stride 2, this padding is
one-sided: it adds a row at the bottom and a column on the right. torch's symmetric `padding=1, output_padding=1` gives the same
sizes, but an image that is shifted by one pixel.
"""

import torch
from torch import Tensor, nn

from pocketgan_trainer.processes import ALONE, Processes

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


class SameConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution without bias whose output is exactly `stride` times as large as its input.

    Input float [N, in_channels, H, W], output float [N, out_channels, stride*H, stride*W]. The full transposed convolution has
    `kernel_size - stride` rows and columns more than that. Half of them, rounded down, are cut off at the top and left, the rest
    at the bottom and right: torch's `padding` cuts the same number on both sides, and `crop_after` cuts one more at the end.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int) -> None:
        surplus = kernel_size - stride
        super().__init__(in_channels, out_channels, kernel_size, stride=stride, padding=surplus // 2, bias=False)
        self.crop_after = surplus % 2

    def forward(self, image: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Return the cropped transposed convolution of `image`."""
        full = super().forward(image, output_size)
        height, width = full.shape[2:]
        return full[:, :, : height - self.crop_after, : width - self.crop_after]


def same_convolution(in_channels: int, out_channels: int) -> nn.Sequential:
    """Return a 3x3 convolution of stride 2 that halves an even image, padded at the bottom and the right.

    Input float [N, in_channels, 2H, 2W], output float [N, out_channels, H, W].
    """
    return nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=2))


class UniformDropout(nn.Module):
    """Sets each value to 0 with `probability` while training, and scales the others so that the mean stays; any shape.

    It does what `nn.Dropout` does, but draws its mask with `torch.rand`. On a CPU this is faster than the `bernoulli_` of
    `nn.Dropout`, whose masks take a good part of a training step of the DCGAN.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.processes: Processes = ALONE
        """The processes that share each batch."""

    def forward(self, values: Tensor) -> Tensor:
        """Return `values` with the mask applied, or unchanged in evaluation mode."""
        if not self.training:
            return values
        rows, *others = values.shape
        uniform = torch.rand(self.processes.count * rows, *others, device=values.device)
        kept = self.processes.own(uniform) >= self.probability
        return values * (kept / (1 - self.probability)).to(values.dtype)


def initialize_like_keras(module: nn.Module) -> None:
    """Give a convolution or dense layer Keras's default initial values: Glorot-uniform weights and biases of zero.

    Source: X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010, equation 16.
    """
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        nn.init.xavier_uniform_(module.weight)
        if isinstance(module.bias, Tensor):
            with torch.no_grad():
                module.bias.zero_()
