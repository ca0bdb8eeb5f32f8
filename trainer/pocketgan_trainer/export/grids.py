"""Which 8-bit integers stand for which numbers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketgan.latents import LATENT_STEP
from pocketgan_trainer.export.layers import Array

# Beyond this, 255 * sigmoid(x) rounds to 0 or 255, so that a logit's range never needs to be wider.
_LARGEST_LOGIT = 6.24
# Shares of the values that a range may leave out on each side, as candidates: the one with the least error is taken.
_TAILS = (0.0, 1e-6, 1e-5, 1e-4, 5e-4)


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
