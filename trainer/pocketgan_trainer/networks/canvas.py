"""MNIST's layout as layers: a generator draws only the ink, on a canvas, and its last layer places it by its centre of mass.

MNIST's digits were scaled to a box of 20x20 pixels and moved by whole pixels, so that the centre of mass lies in the middle of
28x28 (Y. LeCun et al., "Gradient-based learning applied to document recognition", 1998, section III.A). A generator that draws
only the box need not learn that rule, obeys it exactly, and computes half as many pixels.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

BACKGROUND = -1.0
CANVAS_SIZES = {28: 20, 32: 24}
"""Height and width of the canvas by those of the image: a multiple of 4 that holds MNIST's box of 20/28 of the image's side."""
LEAST_LAID_OUT = 0.95
"""Images count as laid out if at least this share of them is. Of MNIST's it is 99.95 %."""
_LEAST_FULL_INK = 240 / 127.5 - 1
"""A scan draws nothing but full ink, so each image must have some: all of MNIST's have a pixel of 254 or 255 grey levels."""
_MOST_CHECKED = 1_000


class Placement(nn.Module):
    """Lays canvases [N, 1, C, C] of grey levels, from -1 to 1, into images [N, 1, S, S].

    Each is moved down and to the right by 0 to S - C whole pixels, so it stays within the image. If that is enough, its centre
    of mass ends up at least at S / 2 - 0.5 and below S / 2 + 0.5, where 0 is the centre of the first pixel. The sums are exact.
    """

    def __init__(self, image_size: int) -> None:
        super().__init__()
        self.image_size = image_size

    def forward(self, canvas: Tensor) -> Tensor:
        """Return the images; gradients flow back to where a pixel came from, not into the move."""
        most = self.image_size - canvas.shape[-1]
        return window(canvas, most - _moves(canvas.detach(), self.image_size), most, self.image_size, self.image_size)


class Cropping(nn.Module):
    """Cuts the box of the ink out of images [N, 1, S, S]: canvases [N, 1, C, C]; a smaller box is centred.

    Images that are canvases already stay as they are.
    """

    def __init__(self, image_size: int) -> None:
        super().__init__()
        self.size = CANVAS_SIZES[image_size]

    def forward(self, images: Tensor) -> Tensor:
        """Return the canvases; gradients flow back to where a pixel came from."""
        if images.shape[-1] == self.size:
            return images
        ink = images.detach()[:, 0] > BACKGROUND
        middles = torch.stack([_middle(ink.any(dim=2), self.size), _middle(ink.any(dim=1), self.size)], dim=1)
        reach = self.size
        return window(images, reach + middles, reach, self.size, self.size)


def _middle(has_ink: Tensor, size: int) -> Tensor:
    """Return the first of `size` places in whose middle the ink lies, int64 [N], of rows bool [N, S]."""
    length = has_ink.shape[1]
    first = has_ink.byte().argmax(dim=1)
    extent = length - has_ink.byte().flip(1).argmax(dim=1) - first
    extent = torch.where(has_ink.any(dim=1), extent, 0)
    return first - (size - extent).div(2, rounding_mode="floor")


def _moves(canvas: Tensor, image_size: int) -> Tensor:
    """Return by how many rows and columns canvases [N, 1, C, C] are moved down and right, int64 [N, 2].

    Moved by d, the centre of mass s / m lies at s / m + d, which must be at least (S - 1) / 2; so d is the number of whole k
    from 0 on with m (S - 1 - 2k) - 2s > 0. That is how the ONNX file computes it, too: without a division.
    """
    levels = ((canvas[:, 0] + 1) * 127.5).round().long()
    size = levels.shape[-1]
    places = torch.arange(size, device=levels.device)
    mass = levels.sum(dim=(1, 2))[:, None]
    moments = torch.stack([(levels.sum(dim=axis) * places).sum(dim=1) for axis in (2, 1)], dim=1)  # rows, columns
    steps = torch.arange(image_size - size, device=levels.device)
    distances = mass[:, :, None] * (image_size - 1 - 2 * steps) - 2 * moments[:, :, None]
    return (distances > 0).sum(dim=2)


def window(images: Tensor, first: Tensor, padding: int, height: int, width: int) -> Tensor:
    """Return a part [N, 1, height, width] of each of images [N, 1, H, W], whose first row and column are `first`, int64 [N, 2].

    These count from the corner of the images with `padding` rows and columns of background on all sides.
    """
    padded = functional.pad(images, (padding,) * 4, value=BACKGROUND)
    rows, columns = (first[:, axis, None] + torch.arange(size, device=images.device) for axis, size in enumerate((height, width)))
    places = rows[:, :, None] * padded.shape[-1] + columns[:, None, :]
    return padded.flatten(1).gather(1, places.flatten(1)).view(-1, 1, height, width)


def share_laid_out(images: NDArray[np.uint8]) -> float:
    """Return which share of images uint8 [N, S, S] is laid out like MNIST's.

    Their ink fills the canvas in one direction, some of it is full, and cropping and placing gives them back. Of many images,
    1,000 from the whole set are checked.
    """
    size = images.shape[-1]
    pixels = torch.tensor(images[:: -(-len(images) // _MOST_CHECKED)])[:, None].float() / 127.5 - 1
    with torch.inference_mode():
        canvases = Cropping(size)(pixels)
        ink = canvases[:, 0] > BACKGROUND
        fills_canvas = ink[:, [0, -1]].any(dim=2).all(dim=1) | ink[:, :, [0, -1]].any(dim=1).all(dim=1)
        is_full = (canvases >= _LEAST_FULL_INK).any(dim=3).any(dim=2).any(dim=1)
        is_given_back = (Placement(size)(canvases) == pixels).all(dim=(1, 2, 3))
    return float((fills_canvas & is_full & is_given_back).float().mean())


def is_laid_out(images: NDArray[np.uint8]) -> bool:
    """Return whether enough of images uint8 [N, S, S] are laid out like MNIST's for a canvas."""
    return share_laid_out(images) >= LEAST_LAID_OUT
