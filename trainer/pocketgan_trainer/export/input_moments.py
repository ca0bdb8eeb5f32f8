"""What goes into a layer's weights, as far as rounding them needs to know: means and covariances.

Two inputs that come together often and large make the errors of their two weights add up; errors at inputs that hardly vary are
no more than a constant, which the bias takes back. So the covariance of a layer's inputs says what an error costs. Inputs are
looked at twice: as they are stored in the integer model, with all that went wrong before, and as they ought to be.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pocketgan_trainer.export.layers import Array

# Convolutions meet each pixel as often as their kernels have places: that many copies are in memory for so many images at a time.
_BLOCK_IMAGES = 32


@dataclass(frozen=True)
class InputMoments:
    """Of the inputs that meet a layer's weights, in the order of multiplication, see `integer_weights.py`."""

    stored_mean: Array
    """Mean of the inputs as integers hold them, [products]."""
    true_mean: Array
    """Mean of the inputs as they ought to be, [products]."""
    covariance: Array
    """Of the stored inputs, [products, products]."""
    cross_covariance: Array
    """Of each true input with each stored one, [products, products]."""

    def of(self, chosen: NDArray[np.int64]) -> "InputMoments":
        """Return the moments of some of the inputs, by their places in the order of multiplication."""
        block = np.ix_(chosen, chosen)
        return InputMoments(
            self.stored_mean[chosen], self.true_mean[chosen], self.covariance[block], self.cross_covariance[block]
        )


def input_moments(stored: Tensor, true: Tensor, kernel_size: int = 1, pads: tuple[int, int] = (0, 0)) -> InputMoments:
    """Return the moments of a layer's inputs, float64 [N, in] or [N, in, H, W], of which `true` are those of the exact model.

    For images, `pads` are the rows and columns of zeros before and after, and each place of the kernel counts as one sample.
    """
    totals: list[Tensor] = []
    samples = 0
    for stored_block, true_block in zip(torch.split(stored, _BLOCK_IMAGES), torch.split(true, _BLOCK_IMAGES), strict=True):
        stored_patches, true_patches = _patches(stored_block, kernel_size, pads), _patches(true_block, kernel_size, pads)
        sums = [stored_patches.sum(dim=0), true_patches.sum(dim=0)]
        sums += [stored_patches.T @ stored_patches, true_patches.T @ stored_patches]
        totals = [total + more for total, more in zip(totals, sums, strict=True)] if totals else sums
        samples += len(stored_patches)
    stored_mean, true_mean, squares, products = (total / samples for total in totals)
    return InputMoments(
        stored_mean=stored_mean.numpy(),
        true_mean=true_mean.numpy(),
        covariance=(squares - torch.outer(stored_mean, stored_mean)).numpy(),
        cross_covariance=(products - torch.outer(true_mean, stored_mean)).numpy(),
    )


def _patches(inputs: Tensor, kernel_size: int, pads: tuple[int, int]) -> Tensor:
    """Return what meets the weights at each place, [samples, products]: by row and column in the kernel, then by channel."""
    if inputs.ndim == 2:
        return inputs
    count, channels = inputs.shape[:2]
    patches = functional.unfold(functional.pad(inputs, pads + pads), kernel_size)
    by_place = patches.reshape(count, channels, kernel_size**2, -1)
    return by_place.permute(0, 3, 2, 1).reshape(-1, kernel_size**2 * channels)
