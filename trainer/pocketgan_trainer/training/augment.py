"""Images moved a little, so that the discriminator cannot learn the training images by heart."""

import torch
from torch import Tensor
from torch.nn import functional

from pocketgan_trainer.processes import ALONE, Processes

LARGEST_SHIFT_PIXELS = 2
BACKGROUND = -1.0


def shifted(images: Tensor, share: float, processes: Processes = ALONE) -> Tensor:
    """Return images [N, 1, H, W], about `share` of them moved by up to LARGEST_SHIFT_PIXELS, the others as they are.

    Each is moved on its own, by whole pixels along both axes, all distances alike likely; what leaves the image is lost, and
    background follows. No pixel's grey level changes, and gradients flow back to where it came from. Draws from torch's random
    state, for the images of all `processes` that share a batch, unless `share` is 0. This is shown to the discriminator in place
    of real and of generated images alike. So that the generator cannot learn to draw moved images, one that stays must be more
    frequent than any one move, which here are 25; so it is for every share below 1. Source: T. Karras et al., "Training
    Generative Adversarial Networks with Limited Data", 2020, sections 2.2 and 3; S. Zhao et al., "Differentiable Augmentation for
    Data-Efficient GAN Training", 2020.
    """
    if not share:
        return images
    count, _, height, width = images.shape
    reach = LARGEST_SHIFT_PIXELS
    in_all = processes.count * count
    moves = processes.own(torch.rand(in_all, 1, device=images.device)) < share
    distances = processes.own(torch.randint(2 * reach + 1, (in_all, 2), device=images.device))
    offsets = torch.where(moves, distances, reach)
    rows = offsets[:, 0, None] + torch.arange(height, device=images.device)  # [N, H]
    columns = offsets[:, 1, None] + torch.arange(width, device=images.device)  # [N, W]
    padded = functional.pad(images, (reach, reach, reach, reach), value=BACKGROUND).flatten(1)
    places = rows[:, :, None] * (width + 2 * reach) + columns[:, None, :]  # [N, H, W]
    return padded.gather(1, places.flatten(1)).view_as(images)
