"""How MNIST's digits became grey, as a layer: a scan in black and white, reduced to the canvas by the area of its ink.

NIST scanned digits in black and white; for MNIST, the box of each, m x m pixels, was reduced to 20x20 pixels, whose grey levels
are the share of ink in them. A generator that paints grey levels itself is given away by them. One that ends in this layer draws
a field, above a threshold where there is ink, which is magnified to a scan of m x m pixels and reduced as MNIST's were. So the
grey levels along its strokes follow MNIST's rule.

Source of the reduction: C. Yadav, L. Bottou, "Cold Case: The Lost MNIST Digits", 2019, and the code that rebuilds MNIST from
NIST's scans (`making_qmnist/xnist.lsh` of QMNIST).
"""

from statistics import NormalDist

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pocketgan_trainer.networks.canvas import CANVAS_SIZES, Placement
from pocketgan_trainer.networks.straight_through import above_zero, rounded, with_loss

SCAN_SIZES = (36, 40, 46, 49, 52, 55, 59, 64)
"""Height and width m of scans in pixels; each is equally frequent. Most of MNIST's are in this range, see docs/experiments.md,
and together they have about its levels of full ink."""
FIELD_FACTOR = 2
"""The points of a field for each pixel of the canvas, along each axis."""
CONTRAST = 4
"""The threshold passes the whole gradient where brightness, 0 to 1, is within 0.5 / CONTRAST of it, and a part elsewhere."""
EDGE_LEVEL = 50
"""How many grey levels above the threshold the largest value at a side should be. A single point of the field may still lie
between two pixels of a small scan."""
THRESHOLD_LEVEL = 128
"""Where a field is above this grey level, there is ink."""
WHITE = 255
"""The weights are whole numbers of 1 / WHITE."""
_WIDTH_OF_SOURCE = 0.99
"""A pixel of a scan through which the edge of a larger pixel cuts was counted as if it were only that wide."""


class Scan(nn.Module):
    """Turns fields into canvases: float [N, 1, F, F] to [N, 1, C, C], both from -1 to 1.

    A standard normal number for each image chooses the size of its scan.
    """

    magnifying: Tensor
    reducing: Tensor
    bounds: Tensor

    def __init__(self, canvas_size: int) -> None:
        super().__init__()
        for name, table in (("magnifying", magnifying_table(canvas_size)), ("reducing", reducing_table(canvas_size))):
            self.register_buffer(name, torch.from_numpy(table).float(), persistent=False)
        self.register_buffer("bounds", torch.tensor(SIZE_BOUNDS), persistent=False)

    def forward(self, field: Tensor, normal: Tensor) -> Tensor:
        """Return the canvases of fields and their normal numbers, float [N].

        All sums are those of whole numbers, as in an exported file; gradients ignore that they are rounded. Fields whose ink does
        not reach two opposite sides also get the gradient of `_missing_at_edges`, with a weight of 1.
        """
        with torch.autocast(field.device.type, enabled=False):
            size = torch.bucketize(normal.float().contiguous(), self.bounds, right=True)
            magnifying, reducing = self.magnifying[size], self.reducing[size]
            levels = rounded((field[:, 0].float() + 1) * (WHITE / 2)) - THRESHOLD_LEVEL
            if levels.requires_grad:
                levels = with_loss(levels, _missing_at_edges(levels).mean())
            magnified = rounded(magnifying @ levels / WHITE)
            scan = above_zero(magnified @ magnifying.mT * (CONTRAST / WHITE**2))
            canvas = rounded(reducing @ scan @ reducing.mT / WHITE)
            return canvas[:, None] * (2 / WHITE) - 1


def _missing_at_edges(levels: Tensor) -> Tensor:
    """Return by how much the ink of fields [N, F, F], above 0, fails to reach two opposite sides, float [N]; 0 where it does.

    MNIST's boxes were as large as their digits. The sides are those which are easier to reach.
    """
    top, bottom, left, right = (
        (1 - side.amax(dim=1) / EDGE_LEVEL).clamp(min=0)
        for side in (levels[:, 0], levels[:, -1], levels[..., 0], levels[..., -1])
    )
    return torch.minimum(top + bottom, left + right)


class ScannedImage(nn.Module):
    """Turns fields float [N, 1, F, F] into images float [N, 1, S, S], both from -1 to 1: scans them and places the canvases."""

    def __init__(self, image_size: int) -> None:
        super().__init__()
        self.image_size = image_size
        self.scan = Scan(CANVAS_SIZES[image_size])
        self.placement = Placement(image_size)

    def forward(self, field: Tensor, latent: Tensor) -> Tensor:
        """Return the images of fields and their latents [N, L], of which the first number chooses the size of the scan."""
        images: Tensor = self.placement(self.scan(field, latent[:, 0]))
        return images


SIZE_BOUNDS = [NormalDist().inv_cdf(place / len(SCAN_SIZES)) for place in range(1, len(SCAN_SIZES))]
"""The least normal number for each size but the first."""


def magnifying_table(canvas_size: int) -> NDArray[np.uint8]:
    """Return the weights that magnify a field along one axis to each of the sizes, uint8 [K, M, F] for K sizes up to M.

    They interpolate linearly. Rows beyond a size are 0.
    """
    field_size = FIELD_FACTOR * canvas_size
    table = np.zeros((len(SCAN_SIZES), SCAN_SIZES[-1], field_size), np.uint8)
    for each, size in zip(table, SCAN_SIZES, strict=True):
        places = ((np.arange(size) + 0.5) * field_size / size - 0.5).clip(0, field_size - 1)
        each[:size] = _whole((1 - np.abs(places[:, None] - np.arange(field_size))).clip(0))
    return table


def reducing_table(canvas_size: int) -> NDArray[np.uint8]:
    """Return the weights that reduce scans of each of the sizes along one axis, uint8 [K, C, M] for K sizes up to M.

    A pixel of a scan that lies within a larger pixel counts with its width. If it is cut, each part counts with its own width,
    and the second one loses a hundredth of the whole. So full ink is white, 255, in rows and columns that begin with a whole
    pixel, and a little darker in all others.
    """
    table = np.zeros((len(SCAN_SIZES), canvas_size, SCAN_SIZES[-1]), np.uint8)
    for each, size in zip(table, SCAN_SIZES, strict=True):
        pixels = np.arange(size)
        width = canvas_size / size
        start = pixels * width
        end = start + _WIDTH_OF_SOURCE * width
        first, last = np.floor(start + 1e-9).astype(int), np.ceil(end - 1e-9).astype(int) - 1
        is_cut = last > first
        weights = np.zeros((canvas_size, size))
        weights[first, pixels] = np.where(is_cut, first + 1 - start, width)
        weights[last[is_cut], pixels[is_cut]] = (end - last)[is_cut]
        each[:, :size] = _whole(weights)
    return table


def _whole(weights: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return weights [R, P] as whole numbers of 1 / WHITE, rounded so that the sums of the rows are right."""
    return np.diff(np.rint(np.cumsum(weights * WHITE, axis=1)), axis=1, prepend=0).astype(np.uint8)
