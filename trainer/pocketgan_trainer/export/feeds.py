"""What an exported model is given to draw from."""

import numpy as np
from numpy.typing import NDArray

from pocketgan.latents import latents


def draw_feeds(latent_size: int, class_count: int, seed: int, count: int) -> dict[str, NDArray[np.generic]]:
    """Return a model's inputs by name: latents of a seed, and the classes in turn if it has any."""
    feeds: dict[str, NDArray[np.generic]] = {"z": latents(seed, 0, count, latent_size)}
    return {**feeds, "label": np.arange(count) % class_count} if class_count else feeds
