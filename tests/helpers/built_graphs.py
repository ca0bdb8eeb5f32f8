"""Builds int8 graphs with weights rounded on few latents; checks the form of any exported graph and runs it."""

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto

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


def assert_valid_graph(model: onnx.ModelProto, latent_size: int, takes_label: bool) -> None:
    """Check that onnx accepts the model, that old runtimes can read it, and that its inputs and output are as promised."""
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    assert model.ir_version == 8
    assert not model.functions
    found = {
        value.name: (value.type.tensor_type.elem_type, [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim])
        for value in (*model.graph.input, *model.graph.output)
    }
    label = {"label": (TensorProto.INT64, ["N"])} if takes_label else {}
    assert found == {"z": (TensorProto.FLOAT, ["N", latent_size]), **label, "images": (TensorProto.UINT8, ["N", 28, 28])}


def drawn(model: onnx.ModelProto, latent: NDArray[np.float32], label: NDArray[np.int64] | None = None) -> NDArray[np.uint8]:
    """Return onnxruntime's images."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (images,) = session.run(["images"], {"z": latent} if label is None else {"z": latent, "label": label})
    assert isinstance(images, np.ndarray)
    return images
