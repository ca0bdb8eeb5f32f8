"""Convolving several columns at once, for convolutions of so few channels that moving them about is most of the work.

A kernel that is f - 1 columns wider, put down at every f-th column, can make f columns of the result as so many more channels:
the sums are the same, with some products by zero among them. Channels last, that result is byte for byte the one that was wanted.
What it saves are copies, and outputs left empty where onnxruntime computes 16 at a time. The file keeps the narrow kernel, and a
column of zeros, of which onnxruntime makes the wide one when it opens the file.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.export.convolution_cost import convolution_cost
from pocketgan_trainer.export.nodes import GraphNotes


@dataclass(frozen=True)
class Packing:
    """How a convolution is best put down."""

    columns: int
    """So many columns of the result are made at once; its width is a multiple of it."""
    cost: int
    """For one image, see convolution_cost.py."""


def best_packing(kernel_shape: tuple[int, ...], height: int, width: int) -> Packing:
    """Return the packing that costs least for a kernel [out, in, k, l] and a result of `height` x `width`."""
    outputs, inputs, rows, size = kernel_shape
    packings = [
        Packing(columns, convolution_cost(height * width // columns, columns * outputs, inputs, rows, size + columns - 1))
        for columns in range(1, width + 1)
        if width % columns == 0
    ]
    return min(packings, key=lambda packing: packing.cost)


def widened(notes: GraphNotes, name: str, values: NDArray[np.int8], columns: int) -> str:
    """Emit the kernel that makes so many columns at once of the one that makes each, `values` [out, in, k, l].

    Its shape is [columns*out, in, k, l + columns - 1]; neighbouring weights stay neighbours, or get zeros between them.
    """
    outputs, inputs, rows, size = values.shape
    narrow = notes.constant(f"{name}.narrow", np.pad(values, ((0, 0), (0, 0), (0, 0), (0, 1))))
    step = np.arange(size + columns - 1) - np.arange(columns)[:, None]
    # [columns, l + columns - 1]: which column of the narrow kernel; of these the one more than l is zero.
    chosen = np.where((step >= 0) & (step < size), step, size).astype(np.int32)
    gathered = notes.node("Gather", f"{name}.gathered", narrow, notes.constant(f"{name}.chosen", chosen), axis=3)
    wide = notes.transpose(f"{name}.wide", gathered, [3, 0, 1, 2, 4])
    return notes.reshape(f"{name}.integers", wide, [columns * outputs, inputs, rows, size + columns - 1])
