"""The int8 graph of plain layers on grids of one's own choice, with weights rounded on few latents."""

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from pocketgan.latents import latents
from pocketgan_trainer.export.grids import Grid
from pocketgan_trainer.export.integer_graph import integer_graph
from pocketgan_trainer.export.layers import Layer, labels_in_turn
from pocketgan_trainer.export.rounding import round_weights


def rounded_graph(layers: list[Layer], grids: list[Grid | None], latent: int | NDArray[np.float32]) -> onnx.ModelProto:
    """Return the graph with weights rounded on some latents [N, size], or on a hundred of the runtime's of a size."""
    seen = latents(9, 0, 100, latent) if isinstance(latent, int) else latent
    label = labels_in_turn(layers, len(seen))
    weights = round_weights(layers, grids, torch.from_numpy(seen).double(), None if label is None else torch.from_numpy(label))
    return integer_graph(layers, grids, weights, seen.shape[1])
