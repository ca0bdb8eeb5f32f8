"""Which integers stand for which numbers: weights in 7 bits, activations in 8."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pocketgan.latents import LATENT_STEP, latents
from pocketgan_trainer.export.layers import (
    Array,
    ClassInput,
    GreyLevels,
    Layer,
    PixelShuffle,
    Relu,
    Tanh,
    ToImage,
    feeds,
    labels_in_turn,
)
from pocketgan_trainer.export.reference import activations

CALIBRATION_IMAGES = 512
CALIBRATION_SEED = 2**32 + 1
"""Calibration sees latents that neither the score of an epoch nor a user's small seed uses."""

_LARGEST_WEIGHT = 63
_LARGEST_BIAS = 2**30
# Shares of the values that a range may leave out on each side, as candidates: the one with the least error is taken.
_TAILS = (0.0, 1e-6, 1e-5, 1e-4, 5e-4)
# Beyond this, 255 * sigmoid(x) rounds to 0 or 255, so that a logit's range never needs to be wider.
_LARGEST_LOGIT = 6.24


@dataclass(frozen=True)
class Grid:
    """A number x is stored as the uint8 round(x / scale) + zero_point, or the nearest that there is."""

    scale: float
    zero_point: int

    def store(self, values: Array) -> NDArray[np.uint8]:
        """Return the integers for `values`, any shape."""
        integers: NDArray[np.uint8] = np.clip(np.rint(values / self.scale) + self.zero_point, 0, 255).astype(np.uint8)
        return integers

    def load(self, integers: NDArray[np.uint8]) -> Array:
        """Return the numbers that integers stand for."""
        return (integers.astype(np.float64) - self.zero_point) * self.scale


LATENT_GRID = Grid(scale=LATENT_STEP, zero_point=128)
"""Latents are multiples of this scale within its range: storing them loses nothing."""

LOGIT_GRID = Grid(scale=float(np.float32(_LARGEST_LOGIT / 127)), zero_point=128)
"""For twice the input of the last tanh, since (tanh(x) + 1) / 2 = sigmoid(2x)."""

PIXEL_GRID = Grid(scale=float(np.float32(1 / 255)), zero_point=0)
"""Grey levels from 0 to 1: the stored integer is the pixel."""


@dataclass(frozen=True)
class IntegerWeights:
    """Weights as integers, with one scale for each output channel; output r is of channel r modulo their number."""

    values: NDArray[np.int8]
    """[out, ...], from -63 to 63."""
    scales: NDArray[np.float32]
    """[channels]"""
    bias: NDArray[np.int32]
    """[out], in units of the input's scale times `scales`."""


def integer_weights(weight: Array, bias: Array, input_grid: Grid, channels: int | None = None) -> IntegerWeights:
    """Return weights [out, ...] and their bias [out] for inputs on `input_grid`; each output is a channel, unless told otherwise.

    Seven bits, because x86 processors without VNNI add two products of a uint8 and an int8 in 16 bits and saturate:
    2 * 255 * 63 stays within them. Beside weights that are almost nothing, it is the bias that must fit, into 32 bits.
    """
    largest = np.abs(weight.reshape(len(weight), -1)).max(axis=1)
    least = np.maximum(largest / _LARGEST_WEIGHT, np.abs(bias) / (_LARGEST_BIAS * input_grid.scale))
    least = least.reshape(-1, channels or len(least)).max(axis=0)
    scales = np.where(least >= np.finfo(np.float32).tiny, least, 1.0).astype(np.float32)
    per_output = np.tile(scales.astype(np.float64), len(weight) // len(scales))
    return IntegerWeights(
        values=np.rint(weight / per_output.reshape(-1, *[1] * (weight.ndim - 1))).astype(np.int8),
        scales=scales,
        bias=np.rint(bias / (per_output * input_grid.scale)).astype(np.int32),
    )


def calibrate(layers: list[Layer], latent_size: int) -> list[Grid | None]:
    """Return the grid for each layer's output, None where a layer leaves the stored integers as they are.

    The ranges come from CALIBRATION_IMAGES latents of the runtime's own sampler, with the classes in turn. What goes into the
    last tanh or becomes a grey level needs none. What goes into a ReLU is stored from 0 up: storing it is the ReLU.
    """
    latent = torch.from_numpy(latents(CALIBRATION_SEED, 0, CALIBRATION_IMAGES, latent_size)).double()
    labels = labels_in_turn(layers, CALIBRATION_IMAGES)
    with torch.inference_mode():
        outputs = activations(layers, latent, None if labels is None else torch.from_numpy(labels))
    grids: list[Grid | None] = []
    for position, (layer, output) in enumerate(zip(layers, outputs, strict=True)):
        if isinstance(layer, ToImage | PixelShuffle | Relu | GreyLevels):
            grids.append(None)
        elif isinstance(layer, ClassInput):
            grids.append(LATENT_GRID)
        elif isinstance(layer, Tanh) or feeds(layers, position, GreyLevels):
            grids.append(PIXEL_GRID)
        elif feeds(layers, position, Tanh):
            grids.append(LOGIT_GRID)
        elif feeds(layers, position, Relu):
            grids.append(best_grid(output.clamp(min=0).numpy().ravel()))
        else:
            grids.append(best_grid(output.numpy().ravel()))
    return grids


def best_grid(values: Array) -> Grid:
    """Return the grid for a sample of values that loses least, by mean squared error, among a few ways to cut off the tails."""
    candidates = [_grid_without_tails(values, tail) for tail in _TAILS]
    errors = [float(np.mean((grid.load(grid.store(values)) - values) ** 2)) for grid in candidates]
    return candidates[int(np.argmin(errors))]


def _grid_without_tails(values: Array, tail: float) -> Grid:
    """Return the grid that spans all but a share `tail` of the values on each side, and 0, which must be storable exactly."""
    low, high = (float(limit) for limit in np.quantile(values, [tail, 1 - tail]))
    low, high = min(low, 0.0), max(high, 0.0)
    # In float32, the type in which the file holds it.
    scale = float(np.float32((high - low) / 255)) or 1.0
    return Grid(scale, round(-low / scale))
