"""Strided 3x3 convolutions with TensorFlow's 'same' padding.

For an even input and stride 2 that padding is one-sided: the extra row and column lie at the bottom and the right. torch's
symmetric `padding=1, output_padding=1` gives the same sizes but an image mirrored by one pixel.
"""

from torch import Tensor, nn


class SameConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution without bias whose output is exactly `stride` times as large as its input.

    Input float [N, in_channels, H, W], output float [N, out_channels, stride*H, stride*W]. The full transposed convolution has
    `kernel_size - stride` rows and columns more than that. Half of them, rounded down, are cut off at the top and left, the rest
    at the bottom and right: torch's `padding` cuts the same number on both sides, and `crop_after` one more at the end.
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
