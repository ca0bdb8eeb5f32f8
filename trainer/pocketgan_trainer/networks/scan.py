"""How MNIST's digits became grey, as a layer: a scan in black and white, reduced to the canvas by the area of its ink.

NIST scanned digits in black and white; for MNIST, the box of each, m x m pixels, was reduced to 20x20 pixels, whose grey levels
are the share of ink in them. A generator that paints grey levels itself is given away by them. One that ends in this layer draws
a field, above a threshold where there is ink, which is magnified to a scan of m x m pixels and reduced as MNIST's were. So the
grey levels along its strokes follow MNIST's rule.

Source of the reduction: C. Yadav, L. Bottou, "Cold Case: The Lost MNIST Digits", 2019, and the code that rebuilds MNIST from
NIST's scans (`making_qmnist/xnist.lsh` of QMNIST).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pocketgan_trainer.networks.canvas import CANVAS_SIZES, Placement
from pocketgan_trainer.networks.straight_through import above_zero, rounded

SCAN_SIZES = range(28, 65)
"""Heights and widths m of scans in pixels. They are distributed like those of MNIST's digits, see docs/experiments.md: normally,
with MEAN_SIZE and SIZE_DEVIATION."""
MEAN_SIZE = 46.5
SIZE_DEVIATION = 8
BOX_LEVEL = 6
"""When images are drawn, only points more than this many grey levels above the threshold make the box of the ink larger, since
small scans can miss weaker ones. At the start of a training all ink does: fields that are still weak would be cut."""
LARGEST_STRETCH = 2
"""A box of ink is stretched at most this many times, so that a few points do not become a block."""
THRESHOLD_LEVEL = 128
"""Where a field is above this grey level, there is ink."""
WHITE = 255
"""The weights are whole numbers of 1 / WHITE."""


class Scan(nn.Module):
    """Turns fields into canvases: float [N, 1, F, F] to [N, 1, C, C], both from -1 to 1.

    A standard normal number for each image chooses the size of its scan.
    """

    magnifying: Tensor
    reducing: Tensor
    bounds: Tensor

    def __init__(self, field_size: int, canvas_size: int) -> None:
        super().__init__()
        for name, table in (("magnifying", magnifying_table(field_size)), ("reducing", reducing_table(canvas_size))):
            self.register_buffer(name, torch.from_numpy(table).float(), persistent=False)
        self.register_buffer("bounds", torch.tensor(SIZE_BOUNDS), persistent=False)

    def forward(self, field: Tensor, normal: Tensor) -> Tensor:
        """Return the canvases of fields and their normal numbers, float [N].

        All sums are those of whole numbers, as in an exported file; gradients ignore that they are rounded.
        """
        with torch.autocast(field.device.type, enabled=False):
            size = torch.bucketize(normal.float().contiguous(), self.bounds, right=True)
            magnifying, reducing = self.magnifying[size], self.reducing[size]
            levels = rounded((field[:, 0].float() + 1) * (WHITE / 2)) - THRESHOLD_LEVEL
            magnified = rounded(magnifying @ _stretched(levels, 0 if self.training else BOX_LEVEL) / WHITE)
            scan = above_zero(magnified @ magnifying.mT * (1 / WHITE**2))
            canvas = rounded(reducing.mT @ scan @ reducing / WHITE)
            return canvas[:, None] * (2 / WHITE) - 1


def _stretched(levels: Tensor, box_level: int) -> Tensor:
    """Return fields [N, F, F], with ink above 0, in which the box of the ink reaches two opposite sides, as in MNIST.

    The square that begins where the box begins, as large as its longer side but at least F // LARGEST_STRETCH, is stretched over
    the whole field by repeating rows and columns. What is above BOX_LEVEL at its sides is ink even in a small scan.
    """
    size = levels.shape[1]
    numbers = torch.arange(size, device=levels.device)
    # 1 for rows and columns with ink.
    with_ink = (levels.detach() > box_level).float()
    with_ink = torch.stack([with_ink.amax(dim=2), with_ink.amax(dim=1)], dim=1)  # [N, 2, F]
    to_end = (with_ink * (size - numbers)).amax(dim=2, keepdim=True)  # from where the box begins to the end of the field
    from_start = (with_ink * (numbers + 1)).amax(dim=2, keepdim=True)
    side = (to_end + from_start - size).amax(dim=1, keepdim=True).clamp(min=size // LARGEST_STRETCH)  # [N, 1, 1]
    places = (size - torch.maximum(to_end, side) + numbers * side // size).long()  # [N, 2, F]
    points = size * places[:, 0, :, None] + places[:, 1, None]
    return levels.flatten(1).gather(1, points.flatten(1)).view_as(levels)


class ScannedImage(nn.Module):
    """Turns fields float [N, 1, F, F] into images float [N, 1, S, S], both from -1 to 1: scans them and places the canvases."""

    def __init__(self, field_size: int, image_size: int) -> None:
        super().__init__()
        self.field_size, self.image_size = field_size, image_size
        self.scan = Scan(field_size, CANVAS_SIZES[image_size])
        self.placement = Placement(image_size)

    def forward(self, field: Tensor, latent: Tensor) -> Tensor:
        """Return the images of fields and their latents [N, L], of which the first number chooses the size of the scan."""
        images: Tensor = self.placement(self.scan(field, latent[:, 0]))
        return images


SIZE_BOUNDS = [(size - 0.5 - MEAN_SIZE) / SIZE_DEVIATION for size in SCAN_SIZES[1:]]
"""The least normal number for each size but the first."""


def magnifying_table(field_size: int) -> NDArray[np.uint8]:
    """Return the weights that magnify a field along one axis to each of the sizes, uint8 [K, M, F] for K sizes up to M.

    They interpolate linearly between the middles of points. Rows beyond a size are not 0; those of `reducing_table`
    discard what comes of them.
    """
    middles = (_places(field_size, halves=1) - WHITE // 2).clip(0, WHITE * (field_size - 1))
    distances = np.abs(middles - WHITE * np.arange(field_size))
    shares: NDArray[np.int64] = (WHITE - distances).clip(0)
    return shares.astype(np.uint8)


def reducing_table(canvas_size: int) -> NDArray[np.uint8]:
    """Return the weights that reduce scans of each of the sizes along one axis, uint8 [K, M, C] for K sizes up to M.

    A pixel of a scan that lies within a larger pixel counts with its width. If it is cut, each part counts with its own width,
    and the second one loses 1 / WHITE, about a hundredth of the whole. So full ink is white, 255, in rows and columns that begin
    with a whole pixel, and a little darker in all others. Rows beyond a size are 0.
    """
    larger = WHITE * np.arange(canvas_size)
    begins, ends = (_places(canvas_size, halves) - larger for halves in (0, 2))
    shares: NDArray[np.int64] = (ends.clip(0, WHITE) - np.abs(begins.clip(-1, WHITE))).clip(0)
    return shares.astype(np.uint8)


def _places(points: int, halves: int) -> NDArray[np.int64]:
    """Return where `halves` of a pixel's width after its start lies, int64 [K, M, 1], in 1 / WHITE of one of `points` points."""
    sizes = np.array(SCAN_SIZES)[:, None, None]
    places: NDArray[np.int64] = WHITE * points * (2 * np.arange(SCAN_SIZES[-1])[:, None] + halves) // (2 * sizes)
    return places
