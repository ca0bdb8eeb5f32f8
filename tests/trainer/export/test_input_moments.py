"""Moments of a layer's inputs: those of numpy, in the order in which weights are multiplied."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pocketgan_trainer.export.weights import input_moments


def samples(values: NDArray[np.float64], kernel_size: int, before: int, after: int) -> NDArray[np.float64]:
    """Return what meets the weights, sample by sample: for each place, the pixels under the kernel, channels last."""
    padded = np.pad(values, ((0, 0), (0, 0), (before, after), (before, after)))
    found = []
    for image in padded:
        for row in range(padded.shape[2] - kernel_size + 1):
            for column in range(padded.shape[3] - kernel_size + 1):
                window = image[:, row : row + kernel_size, column : column + kernel_size]
                found.append(window.transpose(1, 2, 0).ravel())
    return np.array(found)


@pytest.mark.parametrize("count", [2, 32, 77])
def test_moments_of_features_are_numpys(count: int) -> None:
    random = np.random.default_rng(0)
    stored = random.normal(size=(count, 5)) + 3
    true = stored @ random.normal(size=(5, 5)) - 1
    moments = input_moments(torch.from_numpy(stored), torch.from_numpy(true))
    np.testing.assert_allclose(moments.stored_mean, stored.mean(axis=0))
    np.testing.assert_allclose(moments.true_mean, true.mean(axis=0))
    together = np.cov(np.hstack([stored, true]).T, bias=True)
    np.testing.assert_allclose(moments.covariance, together[:5, :5], atol=1e-12)
    np.testing.assert_allclose(moments.cross_covariance, together[5:, :5], atol=1e-12)


@pytest.mark.parametrize(("kernel_size", "pads"), [(1, (0, 0)), (3, (1, 1)), (2, (1, 0)), (3, (1, 2)), (5, (2, 2))])
def test_moments_of_images_are_those_of_what_lies_under_the_kernel(kernel_size: int, pads: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    true = random.normal(size=(40, 3, 4, 6)) + 1
    stored = np.rint(true * 4) / 4
    moments = input_moments(torch.from_numpy(stored), torch.from_numpy(true), kernel_size, pads)
    met, ought = samples(stored, kernel_size, *pads), samples(true, kernel_size, *pads)
    count = kernel_size**2 * 3
    np.testing.assert_allclose(moments.stored_mean, met.mean(axis=0))
    np.testing.assert_allclose(moments.true_mean, ought.mean(axis=0))
    together = np.cov(np.hstack([met, ought]).T, bias=True)
    np.testing.assert_allclose(moments.covariance, together[:count, :count], atol=1e-12)
    np.testing.assert_allclose(moments.cross_covariance, together[count:, :count], atol=1e-12)
