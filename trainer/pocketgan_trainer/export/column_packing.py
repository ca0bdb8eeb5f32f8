"""Convolving several neighbouring columns as one, for convolutions of so few channels that moving them about is most of the work.

Channels last, an image of W columns and C channels is byte for byte an image of W/f columns and f*C channels. onnxruntime copies
each pixel's surroundings together before it multiplies: with f columns to a pixel that takes f times fewer copies. The weights
gain zeros, but products with those cost nothing as long as there are not more outputs than the kernels work on at a time.
"""

from dataclasses import dataclass

import numpy as np

from pocketgan_trainer.export.integer_weights import IntegerWeights

_OUTPUTS_AT_A_TIME = 16
_CANDIDATES = (4, 2, 1)


@dataclass(frozen=True)
class PackedConvolution:
    """A stride-1 convolution of images whose pixels are `columns` neighbouring pixels of the original, left to right."""

    weights: IntegerWeights
    """Values [columns*out, columns*in, k, l]."""
    columns: int
    padding_rows: int
    padding_columns: int
    """Of the packed image, on each side."""


def pack_columns(weights: IntegerWeights, width: int) -> PackedConvolution:
    """Return the convolution of images of `width` columns with these weights, [out, in, k, k], packed by as many as pay.

    Neighbouring weights stay neighbours, or get zeros between them.
    """
    channels_out, channels_in, size, _ = weights.values.shape
    columns = next(number for number in _CANDIDATES if number == 1 or _pays(number, channels_out, width))
    before = size // 2
    padding = -(-before // columns)
    values = np.zeros((columns, channels_out, columns, channels_in, size, 2 * padding + 1), weights.values.dtype)
    for column_out in range(columns):
        for step in range(size):
            packed_step, column_in = divmod(column_out + step - before, columns)
            values[column_out, :, column_in, :, :, packed_step + padding] = weights.values[:, :, :, step]
    return PackedConvolution(
        weights=IntegerWeights(
            values=values.reshape(columns * channels_out, columns * channels_in, size, 2 * padding + 1),
            scales=np.tile(weights.scales, columns),
            bias=np.tile(weights.bias, columns),
        ),
        columns=columns,
        padding_rows=before,
        padding_columns=padding,
    )


def _pays(columns: int, channels_out: int, width: int) -> bool:
    return width % columns == 0 and columns * channels_out <= _OUTPUTS_AT_A_TIME
