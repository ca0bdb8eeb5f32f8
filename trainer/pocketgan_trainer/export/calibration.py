"""Which range each activation gets: calibration on latents of the runtime's own sampler."""

import torch
from torch import Tensor

from pocketgan.latents import latents
from pocketgan_trainer.export.grids import LATENT_GRID, LOGIT_GRID, PIXEL_GRID, Grid, best_grid
from pocketgan_trainer.export.layers import (
    ClassInput,
    GreyLevels,
    Layer,
    PixelShuffle,
    Relu,
    Tanh,
    ToImage,
    feeds,
    labels_in_turn,
)
from pocketgan_trainer.export.reference import activations

CALIBRATION_IMAGES = 512
CALIBRATION_SEED = 2**32 + 1
"""Calibration sees latents that neither the score of an epoch nor a user's small seed uses."""


def calibrate(layers: list[Layer], latent_size: int) -> list[Grid | None]:
    """Return the grid for each layer's output, None where a layer leaves the stored integers as they are.

    The ranges come from CALIBRATION_IMAGES latents of the runtime's own sampler, with the classes in turn. What goes into the
    last tanh or becomes a grey level needs none. What goes into a ReLU is stored from 0 up: storing it is the ReLU.
    """
    latent, label = calibration_sample(layers, latent_size, CALIBRATION_IMAGES)
    with torch.inference_mode():
        outputs = activations(layers, latent, label)
    grids: list[Grid | None] = []
    for position, (layer, output) in enumerate(zip(layers, outputs, strict=True)):
        if isinstance(layer, ToImage | PixelShuffle | Relu | GreyLevels):
            grids.append(None)
        elif isinstance(layer, ClassInput):
            grids.append(LATENT_GRID)
        elif isinstance(layer, Tanh) or feeds(layers, position, GreyLevels):
            grids.append(PIXEL_GRID)
        elif feeds(layers, position, Tanh):
            grids.append(LOGIT_GRID)
        elif feeds(layers, position, Relu):
            grids.append(best_grid(output.clamp(min=0).numpy().ravel()))
        else:
            grids.append(best_grid(output.numpy().ravel()))
    return grids


def calibration_sample(
    layers: list[Layer], latent_size: int, count: int, seed: int = CALIBRATION_SEED
) -> tuple[Tensor, Tensor | None]:
    """Return latents float64 [count, latent_size] to measure on, and the classes in turn, int64 [count], if there are any."""
    latent = torch.from_numpy(latents(seed, 0, count, latent_size)).double()
    label = labels_in_turn(layers, count)
    return latent, None if label is None else torch.from_numpy(label)
