"""How MNIST's digits became grey, as a layer: a scan in black and white, reduced to the canvas by the area of its ink.

NIST scanned digits in black and white; for MNIST, the box of each, m x m pixels, was reduced to 20x20 pixels, whose grey levels
are the share of ink in them. A generator that paints grey levels itself is given away by them. One that ends in this layer draws
a field, above a threshold where there is ink. It is magnified to a scan in black and white, and the box of the ink is reduced as
MNIST's were. So the grey levels along its strokes follow MNIST's rule.

Source of the reduction: C. Yadav, L. Bottou, "Cold Case: The Lost MNIST Digits", 2019, and the code that rebuilds MNIST from
NIST's scans (`making_qmnist/xnist.lsh` of QMNIST).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pocketgan_trainer.networks.canvas import CANVAS_SIZES, Placement
from pocketgan_trainer.networks.straight_through import above_zero, leaky_clip, rounded

SCAN_SIZES = range(28, 48)
"""Heights and widths of scans in pixels. If the ink fills them, they are distributed like those of MNIST's boxes, normally, with
MEAN_SIZE and SIZE_DEVIATION, but for the largest ones: all above 47 are 47, which saves 11 to 18 % of an image's time and hardly
shows, see docs/canvas-experiments.md."""
MEAN_SIZE = 46.5
SIZE_DEVIATION = 8
THRESHOLD_LEVEL = 128
"""Where a field is above this grey level, there is ink."""
SOFT_SLOPE = 3
"""A soft scan goes from black to white within 1 / SOFT_SLOPE of the field's range, with the threshold in the middle."""
SIZE_LATENT = 3
"""Which latent chooses the size of the scan: that after the ones of traits, see `training.trait_latents`."""
WHITE = 255
"""The weights are whole numbers of 1 / WHITE."""


class Scan(nn.Module):
    """Turns fields into canvases: float [N, 1, F, F] to [N, 1, C, C], both from -1 to 1.

    A standard normal number for each image chooses the size of its scan. In training, the whole scan is reduced instead of the
    box of its ink: gradients do not know that a point of ink beyond the edge of the box would move all others. And every second
    scan is soft in training, grey near its edges. Otherwise a field could drift unnoticed, deep within ink or far from it, until
    it crosses the threshold and leaves a hole or a speck.
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
            chosen = torch.bucketize(normal.float().contiguous(), self.bounds, right=True)
            magnifying = self.magnifying[chosen]
            levels = functional.pad(rounded((field[:, 0].float() + 1) * (WHITE / 2)), (0, 1, 0, 1)) - THRESHOLD_LEVEL
            magnified = rounded(magnifying @ levels / WHITE)
            above = magnified @ magnifying.transpose(1, 2) * (1 / WHITE**2)
            scan = above_zero(above)
            if self.training:
                scan[1::2] = leaky_clip(above[1::2] * SOFT_SLOPE + 0.5)
                rows = columns = self.reducing[SCAN_SIZES[0] + chosen - self.reducing.shape[2]]
            else:
                rows, columns = self._box(scan)
            canvas = rounded(rows.transpose(1, 2) @ scan @ columns / WHITE)
            return canvas[:, None] * (2 / WHITE) - 1

    def _box(self, scan: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weights that reduce the box of the ink of scans [N, M, M] to canvases, [N, M, C] for rows and columns.

        The box is a square as large as the longer side of the ink but at least C, with the ink in its middle.
        """
        size, canvas_size = self.reducing.shape[1:]
        places = torch.arange(size, device=scan.device)
        with_ink = torch.stack([scan.amax(dim=2), scan.amax(dim=1)], dim=1)  # [N, 2, M]
        to_end = (with_ink * (size - places)).amax(dim=2).long()  # from where the ink begins to the end of the scan
        from_start = (with_ink * (places + 1)).amax(dim=2).long()
        length = to_end + from_start - size
        side = length.amax(dim=1, keepdim=True).clamp(min=canvas_size)
        begin = size - to_end - (side - length) // 2  # [N, 2]
        within = places - begin[:, :, None]  # [N, 2, M]
        is_within = (within >= 0) & (within < size)
        weights = self.reducing[side[:, :, None] - canvas_size, within.clamp(0, size - 1)] * is_within[..., None]
        return weights[:, 0], weights[:, 1]


class ScannedImage(nn.Module):
    """Turns fields float [N, 1, F, F] into images float [N, 1, S, S], both from -1 to 1: scans them and places the canvases."""

    def __init__(self, field_size: int, image_size: int) -> None:
        super().__init__()
        self.field_size, self.image_size = field_size, image_size
        self.scan = Scan(field_size, CANVAS_SIZES[image_size])
        self.placement = Placement(image_size)

    def forward(self, field: Tensor, latent: Tensor) -> Tensor:
        """Return the images of fields and their latents [N, L]; in training the canvases, float [N, 1, C, C]."""
        canvases = self.scan(field, latent[:, SIZE_LATENT])
        images: Tensor = canvases if self.training else self.placement(canvases)
        return images


SIZE_BOUNDS = [(size - 0.5 - MEAN_SIZE) / SIZE_DEVIATION for size in SCAN_SIZES[1:]]
"""The least normal number for each size but the first."""


def magnifying_table(field_size: int) -> NDArray[np.uint8]:
    """Return the weights that magnify a field along one axis to each of the sizes, uint8 [K, M, F + 1] for K sizes up to M.

    They interpolate linearly between the middles of points; the last weight is that of what lies around the field, which is
    black. Rows beyond a size are 0.
    """
    middles = _places(SCAN_SIZES, field_size, halves=1) - WHITE // 2
    within = np.arange(SCAN_SIZES[-1])[:, None] < np.array(SCAN_SIZES)[:, None, None]
    shares = (WHITE - np.abs(middles - WHITE * np.arange(field_size))).clip(0)
    around = np.abs(middles - middles.clip(0, WHITE * (field_size - 1)))
    weights: NDArray[np.int64] = np.concatenate([shares, around], axis=2) * within
    return weights.astype(np.uint8)


def reducing_table(canvas_size: int) -> NDArray[np.uint8]:
    """Return the weights that reduce boxes of each size from C to the largest scan, along one axis: uint8 [K, M, C].

    K is the number of these sizes and M the largest one. A pixel of a scan that lies within a larger pixel counts with its width.
    If it is cut, each part counts with its own width, and the second one loses 1 / WHITE, about a hundredth of the whole. So full
    ink is white, 255, in rows and columns that begin with a whole pixel, and a little darker in all others. Rows beyond a size
    are 0.
    """
    larger = WHITE * np.arange(canvas_size)
    begins, ends = (_places(range(canvas_size, SCAN_SIZES[-1] + 1), canvas_size, halves) - larger for halves in (0, 2))
    shares: NDArray[np.int64] = (ends.clip(0, WHITE) - np.abs(begins.clip(-1, WHITE))).clip(0)
    return shares.astype(np.uint8)


def _places(sizes: range, points: int, halves: int) -> NDArray[np.int64]:
    """Return where `halves` of a pixel's width after its start lies, int64 [K, M, 1], in 1 / WHITE of one of `points` points.

    That is for each of K sizes, and for M pixels.
    """
    places: NDArray[np.int64] = (
        WHITE * points * (2 * np.arange(SCAN_SIZES[-1])[:, None] + halves) // (2 * np.array(sizes)[:, None, None])
    )
    return places
