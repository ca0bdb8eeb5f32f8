"""How images are enlarged with integers: convolutions make each phase of the larger image, then the phases are interleaved.

The phases of an image, at a stride s, are its rows a, a+s, ... and columns b, b+s, ... for each a and b below s.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.grids import Grid
from pocketgan_trainer.export.integer_layers import Kernel, Stored, convolved, unpacked
from pocketgan_trainer.export.layers import Convolution, PixelShuffle, TransposedConvolution
from pocketgan_trainer.export.nodes import GraphNotes
from pocketgan_trainer.export.packing import best_packing
from pocketgan_trainer.export.subpixel import Phase, phases, rewrite
from pocketgan_trainer.export.weights import IntegerWeights

# onnxruntime's Transpose moves pieces of so many bytes in one step; all others it copies more slowly than Gather does.
_QUICKLY_TRANSPOSED_BYTES = (1, 2, 4, 8)


def convolution(
    notes: GraphNotes,
    name: str,
    layer: Convolution,
    weights: IntegerWeights,
    shuffle: PixelShuffle | None,
    factor: float,
    current: Stored,
    grid: Grid,
) -> Stored:
    """Emit `factor` times a convolution; if a `shuffle` comes after it, with its output channels in the order of phases."""
    stride = 1 if shuffle is None else shuffle.factor
    order = np.arange(len(weights.bias)).reshape(-1, stride, stride).transpose(1, 2, 0).ravel()
    kernel = Kernel(weights.values[order], weights.scales[order], weights.bias[order])
    return replace(convolved(notes, name, kernel, factor, (layer.padding,) * 4, current, grid), stride=stride)


def pixel_shuffle(notes: GraphNotes, name: str, layer: PixelShuffle, current: Stored) -> Stored:
    """Emit the interleaving of phases. Raises ExportError if the channels are not those of a convolution before it."""
    if current.stride != layer.factor:
        raise ExportError(
            f"cannot export a pixel shuffle by {layer.factor} here: expected it to follow a convolution, with at most an "
            "activation between"
        )
    return _interleaved(notes, name, current)


def transposed_convolution(
    notes: GraphNotes,
    name: str,
    layer: TransposedConvolution,
    weights: IntegerWeights,
    factor: float,
    current: Stored,
    grid: Grid,
) -> Stored:
    """Emit `factor` times a transposed convolution of square images: plain ones, whose `weights` are those of the rewrite.

    One of all phases if that costs less, else one for each phase, of which some have smaller kernels.
    """
    plain = rewrite(layer, current.height)
    whole = Kernel(weights.values, weights.scales, weights.bias)
    parts = list(phases(plain))
    apart = [_part(weights, phase) for phase in parts]
    size = plain.convolved_size
    together, *each = (best_packing(kernel.values.shape, size, size).cost for kernel in (whole, *apart))
    if sum(each) < together:
        images = [
            convolved(notes, f"{name}.phase{number}", kernel, factor, phase.pads, current, grid)
            for number, (kernel, phase) in enumerate(zip(apart, parts, strict=True))
        ]
        larger = _joined(notes, name, images, plain.stride)
    else:
        pads = (plain.pad_before, plain.pad_before, plain.pad_after, plain.pad_after)
        image = convolved(notes, f"{name}.phases", whole, factor, pads, current, grid)
        larger = _interleaved(notes, name, replace(image, stride=plain.stride))
    return _cropped(notes, name, larger, plain.output_size)


def _part(weights: IntegerWeights, phase: Phase) -> Kernel:
    values = weights.values[phase.outputs, :, phase.kernel_rows, phase.kernel_columns]
    return Kernel(values, weights.scales[phase.outputs], weights.bias[phase.outputs])


def _interleaved(notes: GraphNotes, name: str, current: Stored) -> Stored:
    """Emit the image whose phases lie in the channels."""
    stride, height, width = current.stride, current.height, current.width
    if stride == 1:
        return current
    channels = current.channels // stride**2
    # Only the rows' phases are moved: those of the columns lie next to each other already.
    if stride * channels in _QUICKLY_TRANSPOSED_BYTES:
        pieces = notes.reshape(f"{name}.pieces", current.name, [-1, height, width, stride, stride * channels])
        moved = notes.transpose(f"{name}.moved", pieces, [0, 1, 3, 2, 4])
    else:
        pieces = notes.reshape(f"{name}.pieces", current.name, [-1, height * width * stride, stride * channels])
        order = np.arange(height * width * stride, dtype=np.int32).reshape(height, width, stride).transpose(0, 2, 1)
        moved = notes.node("Gather", f"{name}.moved", pieces, notes.constant(f"{name}.order", order.ravel()), axis=1)
    return _reshaped(notes, name, moved, current.grid, height * stride, width * stride, channels)


def _joined(notes: GraphNotes, name: str, images: Sequence[Stored], stride: int) -> Stored:
    """Emit the image whose phases are `images` of their own, in the order of rows and, within these, of columns."""
    first = images[0]
    names = [unpacked(notes, f"{name}.made{number}", image).name for number, image in enumerate(images)]
    rows = []
    for a in range(stride):
        row = notes.node("Concat", f"{name}.row{a}", *names[a * stride : (a + 1) * stride], axis=3)
        rows.append(notes.reshape(f"{name}.row{a}.flat", row, [-1, first.height, 1, first.width * stride * first.channels]))
    joined = notes.node("Concat", f"{name}.joined", *rows, axis=2)
    return _reshaped(notes, name, joined, first.grid, first.height * stride, first.width * stride, first.channels)


def _reshaped(notes: GraphNotes, name: str, tensor: str, grid: Grid, height: int, width: int, channels: int) -> Stored:
    return Stored(notes.reshape(f"{name}.image", tensor, [-1, height, width, channels]), grid, height, width, channels)


def _cropped(notes: GraphNotes, name: str, current: Stored, size: int) -> Stored:
    """Emit the top left corner of a square image."""
    if current.height == size:
        return current
    limits = [np.asarray(values, dtype=np.int64) for values in ([0, 0], [size, size], [1, 2])]
    starts, ends, axes = (
        notes.constant(f"{name}.{part}", values) for part, values in zip(("starts", "ends", "axes"), limits, strict=True)
    )
    unpacked_image = unpacked(notes, name, current)
    cropped = notes.node("Slice", f"{name}.cropped", unpacked_image.name, starts, ends, axes)
    return replace(unpacked_image, name=cropped, height=size, width=size)
