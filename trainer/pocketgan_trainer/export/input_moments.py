"""What goes into a layer's weights, as far as rounding them needs to know: means and second moments.

Two values that come together often and large make the errors of their two weights add up; errors at values that hardly vary are
no more than a constant, which the bias takes back. So the covariance of a layer's inputs says what an error costs. Inputs are
looked at twice: as they are stored in the integer model, with all that went wrong before, and as they ought to be.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pocketgan_trainer.export.layers import Array

_BLOCK_IMAGES = 32


@dataclass(frozen=True)
class InputMoments:
    """Means and covariances of the values that meet a layer's weights, in the order of multiplication."""

    stored_mean: Array
    """Of the values as integers hold them, [products]."""
    true_mean: Array
    """Of the values as they ought to be, [products]."""
    stored: Array
    """Covariance of the stored values, [products, products]."""
    crossed: Array
    """Covariance of each true value with each stored one, [products, products]."""


def input_moments(stored: Tensor, true: Tensor, kernel_size: int = 1, pads: tuple[int, int] = (0, 0)) -> InputMoments:
    """Return the moments of a layer's inputs, float64 [N, in] or [N, in, H, W], of which `true` are those of the exact model.

    For images, `pads` are the rows and columns of zeros before and after, and each place of the kernel counts as one sample;
    the order of the values is then by row and column in the kernel, and at each by channel.
    """
    totals: list[Tensor] = []
    samples = 0
    for one, other in zip(torch.split(stored, _BLOCK_IMAGES), torch.split(true, _BLOCK_IMAGES), strict=True):
        met, ought = _met(one, kernel_size, pads), _met(other, kernel_size, pads)
        found = [met.sum(dim=0), ought.sum(dim=0), met.T @ met, ought.T @ met]
        totals = [total + more for total, more in zip(totals, found, strict=True)] if totals else found
        samples += len(met)
    stored_mean, true_mean, squares, products = (total / samples for total in totals)
    return InputMoments(
        stored_mean=stored_mean.numpy(),
        true_mean=true_mean.numpy(),
        stored=(squares - torch.outer(stored_mean, stored_mean)).numpy(),
        crossed=(products - torch.outer(true_mean, stored_mean)).numpy(),
    )


def _met(values: Tensor, kernel_size: int, pads: tuple[int, int]) -> Tensor:
    """Return the values that meet the weights, [samples, products]."""
    if values.ndim == 2:
        return values
    channels = values.shape[1]
    around = functional.pad(values, pads + pads)
    windows = functional.unfold(around, kernel_size)
    by_place = windows.reshape(len(values), channels, kernel_size**2, -1)
    return by_place.permute(0, 3, 2, 1).reshape(-1, kernel_size**2 * channels)
