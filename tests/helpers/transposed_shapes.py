"""All kinds of transposed convolutions that torch and Keras make: kernels, strides and paddings."""

from dataclasses import dataclass

import torch
from torch import nn

from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.layers import TransposedConvolution
from pocketgan_trainer.networks.same_padding import SameConvTranspose2d


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
        """Say whether anything is left of the output for an input of this size."""
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
    *(Shape(k, s, p, op) for k in range(2, 6) for s in (1, 2, 3) for p in range(k // 2 + 1) for op in range(s)),
    *(Shape(k, s, None) for k in range(2, 6) for s in (1, 2, 3) if k >= s),
]


def folded(module: nn.ConvTranspose2d) -> TransposedConvolution:
    """Return the layer as the exporter sees it."""
    (layer,) = fold(module)
    assert isinstance(layer, TransposedConvolution)
    return layer
