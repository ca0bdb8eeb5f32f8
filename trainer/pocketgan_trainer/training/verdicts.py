"""What a discriminator says of images as they are saved."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

_BATCH_SIZE = 500


def verdicts(discriminator: nn.Module, images: NDArray[np.uint8], labels: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
    """Return the logits, float32 [N], of images uint8 [N, S, S]: the higher, the more real.

    `labels` are their classes, int64 [N]; None for a discriminator that is told none. It is used in evaluation mode, in float32,
    on the device where its weights are, and left in the mode it was in; no random state is touched.
    """
    device = next(discriminator.parameters()).device
    was_training = discriminator.training
    discriminator.eval()
    found = []
    with torch.inference_mode():
        for first in range(0, len(images), _BATCH_SIZE):
            rows = slice(first, first + _BATCH_SIZE)
            pixels = torch.from_numpy(images[rows]).to(device)[:, None].float() / 127.5 - 1
            said = discriminator(pixels) if labels is None else discriminator(pixels, torch.from_numpy(labels[rows]).to(device))
            # One that names classes as well returns two tensors.
            logits = said[0] if isinstance(said, tuple) else said
            found.append(logits[:, 0].cpu().numpy())
    discriminator.train(was_training)
    return np.concatenate(found)
