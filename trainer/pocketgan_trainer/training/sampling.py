"""Drawing images with a torch generator, from the same addresses that the runtime uses."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pocketgan.latents import latents

_BATCH_SIZE = 250


def draw(generator: nn.Module, latent_size: int, seed: int, start: int, count: int) -> NDArray[np.uint8]:
    """Return images `start` to `start + count - 1` of `seed`, uint8 [count, 28, 28], 0 = background.

    The generator is used in evaluation mode, in float32, on the device where its weights are, and left in the mode it was in;
    no random state is touched. Its values from -1 to 1 are rounded to the nearest of the 256 grey levels.
    """
    device = next(generator.parameters()).device
    was_training = generator.training
    generator.eval()
    batches = []
    with torch.inference_mode():
        for first in range(start, start + count, _BATCH_SIZE):
            latent = latents(seed, first, min(_BATCH_SIZE, start + count - first), latent_size)
            image = generator(torch.from_numpy(latent).to(device))
            batches.append(((image + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)[:, 0].cpu().numpy())
    generator.train(was_training)
    return np.concatenate(batches)
