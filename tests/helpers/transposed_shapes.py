"""Transposed convolutions as torch and Keras make them: kernels smaller and larger than the stride, with all paddings."""

from dataclasses import dataclass

import torch
from torch import nn

from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.layers import TransposedConvolution
from pocketgan_trainer.networks.dcgan import SameConvTranspose2d


@dataclass(frozen=True)
class Shape:
    """Kernel size, stride and paddings of a torch layer; padding None is Keras's 'same'."""

    kernel_size: int
    stride: int
    padding: int | None
    output_padding: int = 0

    def __str__(self) -> str:
        """Return a short name for pytest."""
        padding = "same" if self.padding is None else f"p{self.padding}+{self.output_padding}"
        return f"k{self.kernel_size}s{self.stride}{padding}"

    def fits(self, size: int) -> bool:
        """Return whether the output for an input of this size has any pixels."""
        return self.padding is None or (size - 1) * self.stride + self.kernel_size - 2 * self.padding + self.output_padding > 0

    def layer(self, channels_in: int, channels_out: int) -> nn.ConvTranspose2d:
        """Return such a layer, its weights small integers, its bias too if it has one."""
        layer: nn.ConvTranspose2d
        if self.padding is None:
            layer = SameConvTranspose2d(channels_in, channels_out, self.kernel_size, self.stride)
        else:
            layer = nn.ConvTranspose2d(
                channels_in, channels_out, self.kernel_size, self.stride, self.padding, self.output_padding
            )
        with torch.no_grad():
            for weight in layer.parameters():
                weight.copy_(torch.randint(-9, 10, weight.shape))
        return layer.double()


SHAPES = [
    # Kernels smaller than the stride leave gaps.
    Shape(2, 3, 0),
    Shape(2, 3, 1, 2),
    Shape(2, 2, 0),
    Shape(3, 3, 0, 1),
    Shape(2, 1, 1),
    Shape(3, 1, 1),
    Shape(5, 1, 0),
    Shape(3, 2, 0, 1),
    Shape(3, 2, 1, 1),
    Shape(4, 2, 1),
    Shape(4, 2, 2),
    Shape(5, 2, 2, 1),
    Shape(5, 3, 1, 2),
    Shape(3, 1, None),
    Shape(3, 2, None),
    Shape(5, 2, None),
    Shape(4, 3, None),
]


def folded(module: nn.ConvTranspose2d) -> TransposedConvolution:
    """Return the layer as the exporter sees it."""
    (layer,) = fold(module)
    assert isinstance(layer, TransposedConvolution)
    return layer
