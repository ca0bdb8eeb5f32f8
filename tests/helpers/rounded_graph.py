"""The int8 graph of plain layers with given quantizations, and weights rounded on few latents."""

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from pocketgan_trainer.export.calibration import Quantization, calibration_sample
from pocketgan_trainer.export.integer_graph import integer_graph
from pocketgan_trainer.export.layers import Layer
from pocketgan_trainer.export.rounding import round_weights


def rounded_graph(layers: list[Layer], quantizations: list[Quantization | None], latent_size: int) -> onnx.ModelProto:
    """Return the graph with weights rounded on a hundred of the runtime's latents."""
    return integer_graph(
        layers, quantizations, round_weights(layers, quantizations, *calibration_sample(layers, latent_size, 100)), latent_size
    )


def graph_rounded_on(
    layers: list[Layer], quantizations: list[Quantization | None], latent: NDArray[np.float32]
) -> onnx.ModelProto:
    """Return the graph of layers without a class input, with weights rounded on the latents [N, size]."""
    return integer_graph(
        layers, quantizations, round_weights(layers, quantizations, torch.from_numpy(latent).double()), latent.shape[1]
    )
