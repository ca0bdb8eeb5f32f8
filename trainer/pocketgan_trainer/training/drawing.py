"""Draws images with a torch generator, from the same latents as the runtime, and computes a discriminator's logits of images."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pocketgan.latents import LARGEST_TICK, LATENT_STEP, latents


def random_latents(count: int, size: int, device: torch.device) -> Tensor:
    """Return latents to train on, float32 [count, size], from torch's random state, rounded to the runtime's grid."""
    ticks = (torch.randn(count, size, device=device) / LATENT_STEP).round()
    return ticks.clamp(-LARGEST_TICK, LARGEST_TICK) * LATENT_STEP


_BATCH_SIZE = 250


def draw(
    generator: nn.Module, latent_size: int, seed: int, start: int, count: int, labels: NDArray[np.int64] | None = None
) -> NDArray[np.uint8]:
    """Return images `start` to `start + count - 1` of `seed`, uint8 [count, S, S], 0 = background.

    `labels` are the classes of these images, int64 [count]; None for a generator that takes latents alone.
    Runs the generator in evaluation mode, in float32, on the device of its weights, and restores its mode; no random state
    changes. Its values from -1 to 1 are rounded to the nearest of the 256 grey levels.
    """
    device = next(generator.parameters()).device
    modes = {module: module.training for module in generator.modules()}
    generator.eval()
    batches = []
    with torch.inference_mode():
        for first in range(start, start + count, _BATCH_SIZE):
            latent = torch.from_numpy(latents(seed, first, min(_BATCH_SIZE, start + count - first), latent_size)).to(device)
            rows = slice(first - start, first - start + _BATCH_SIZE)
            condition = () if labels is None else (torch.from_numpy(labels[rows]).to(device),)
            image = generator(latent, *condition)
            batches.append(((image + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)[:, 0].cpu().numpy())
    for module, was_training in modes.items():
        module.training = was_training
    return np.concatenate(batches)


_LOGITS_BATCH_SIZE = 512


def discriminator_logits(
    discriminator: nn.Module,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64] | None = None,
    view: Callable[[Tensor], Tensor] | None = None,
) -> NDArray[np.float32]:
    """Return the logits, float32 [N], of images uint8 [N, S, S]: the higher, the more real.

    `labels` are their classes, int64 [N]; None for a discriminator that takes images alone. It is shown the images as
    float [N, 1, S, S] in [-1, 1], or the `view` of them. Runs it in evaluation mode, in
    float32, on the device of its weights, and restores its mode; no random state changes. The logits of a discriminator of
    canvases also depend a little on the images before and after one.
    """
    device = next(discriminator.parameters()).device
    was_training = discriminator.training
    discriminator.eval()
    batches = []
    with torch.inference_mode():
        for first in range(0, len(images), _LOGITS_BATCH_SIZE):
            rows = slice(first, first + _LOGITS_BATCH_SIZE)
            pixels = torch.from_numpy(images[rows]).to(device)[:, None].float() / 127.5 - 1
            condition = () if labels is None else (torch.from_numpy(labels[rows]).to(device),)
            output = discriminator(pixels if view is None else view(pixels), *condition)
            # A discriminator that also classifies returns two tensors.
            logits = output[0] if isinstance(output, tuple) else output
            batches.append(logits[:, 0].cpu().numpy())
    discriminator.train(was_training)
    return np.concatenate(batches)
