"""torch's own export: an independent file of the same generator, to compare ours with. gan-gen does not read it."""

import tempfile
import warnings
from pathlib import Path

import torch
from torch import nn


def torch_export(generator: nn.Module, latent_size: int, takes_label: bool) -> bytes:
    """Return the float32 ONNX file that torch.onnx.export makes of a generator in evaluation mode.

    Inputs are those of our files; the output `images` is the generator's own, float32 [N, 1, 28, 28] from -1 to 1.
    """
    names = ["z", "label"] if takes_label else ["z"]
    example = (torch.zeros(2, latent_size), torch.zeros(2, dtype=torch.int64))[: len(names)]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        target = Path(folder) / "model.onnx"
        # The older of torch's two exporters needs no further packages, and warns at length that there is a newer one.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            generator,
            example,
            target,
            dynamo=False,
            opset_version=17,
            input_names=names,
            output_names=["images"],
            dynamic_axes={name: {0: "N"} for name in (*names, "images")},
        )
        return target.read_bytes()
