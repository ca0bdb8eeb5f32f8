"""Convolves several columns at once where there are few channels and moving data would cost more than the products."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.export.nodes import GraphNotes


@dataclass(frozen=True)
class Packing:
    """How a convolution is best put down."""

    columns: int
    """So many columns of the result are made at once; its width is a multiple of it."""
    cost: int
    """For one image."""


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


_OUTPUTS_AT_A_TIME = 16
# So many multiply-adds take about the time of one copy, and of calling one kernel: on a Zen 5 with AVX512-VNNI, measured on
# pocket's and nano's layers, and on transposed convolutions of some sizes.
_COPY = 1500
_CALL = 400_000


def convolution_cost(places: int, outputs: int, inputs: int, kernel_rows: int, kernel_columns: int) -> int:
    """Return about what a convolution costs for one image, in multiply-adds, whose kernel is put down at so many `places`.

    `outputs` and `inputs` are channels.
    """
    products = inputs * kernel_rows * kernel_columns
    multiplied = -(-outputs // _OUTPUTS_AT_A_TIME) * _OUTPUTS_AT_A_TIME * products
    # A kernel of one place needs no surroundings.
    copied = 0 if kernel_rows == kernel_columns == 1 else kernel_rows * _COPY
    return _CALL + places * (multiplied + copied)
