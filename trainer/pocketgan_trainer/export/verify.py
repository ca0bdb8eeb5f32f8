"""Proof that an exported model is what it says: the kernels that onnxruntime really runs, and the pixels that come out."""

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import numpy_helper

from pocketgan.card import ParityFacts
from pocketgan.errors import first_line
from pocketgan.latents import latents
from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.integer_weights import LARGEST_NEIGHBOURS, LARGEST_WEIGHT, largest_neighbour_sum

PARITY_IMAGES = 1000
PARITY_SEED = 2**32 + 2
"""Parity is measured on latents that calibration has not seen."""

LEAST_PSNR_DB = {"int8": 32.0, "fp16": 50.0, "fp32": 60.0}
"""A file whose pixels differ more from torch's is refused.

32 dB is a root mean square error of 6.4 of 255 grey levels. In int8, by this exporter, the DCGAN reaches 48 dB; generators whose
images have steeper edges less: pocket 39 dB, nano and the MLP 37.
"""

_EQUAL_PSNR_DB = 100.0
_INTEGER_KERNELS = {"QGemm", "QLinearConv", "QLinearLeakyRelu", "QLinearSigmoid"}
# All that may stand beside them in an int8 model: moving pixels about, and storing the latent at the very beginning.
_MOVING = {"Reshape", "Transpose", "Slice", "Identity", "Gather", "Concat", "QuantizeLinear"}


@dataclass(frozen=True)
class Kernels:
    """What onnxruntime made of a graph, counted after its optimization."""

    integer: int
    """Nodes that compute with integers."""
    other: tuple[str, ...]
    """Operators of the nodes that compute with floating-point numbers, sorted."""


def count_kernels(contents: bytes) -> Kernels:
    """Return the kernels of a model as onnxruntime runs it on the CPU.

    Raises ExportError if onnxruntime does not load the model.
    """
    with tempfile.TemporaryDirectory() as folder:
        optimized = Path(folder) / "optimized.onnx"
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(optimized)
        options.log_severity_level = 4
        try:
            onnxruntime.InferenceSession(contents, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no public root class
            raise ExportError(f"onnxruntime does not load the exported model: {first_line(error)}") from error
        operators = Counter(node.op_type for node in onnx.load(optimized).graph.node)
    integer = sum(count for operator, count in operators.items() if operator in _INTEGER_KERNELS)
    other = sorted(operator for operator in operators.elements() if operator not in _INTEGER_KERNELS | _MOVING)
    return Kernels(integer, tuple(other))


def check_kernels(kernels: Kernels, precision: str) -> None:
    """Raise ExportError if a model that is called int8 computes in floating point, or not at all."""
    if precision == "int8" and (kernels.other or not kernels.integer):
        found = ", ".join(kernels.other) or "none"
        raise ExportError(f"not int8: {kernels.integer} integer kernels, and in floating point {found}; expected integers only")


def check_sums(model: onnx.ModelProto) -> None:
    """Raise ExportError if a processor's 16-bit sum of two products could saturate, see integer_weights.py.

    Every int8 tensor of two or more axes is taken for weights, [out, in] or [out, in, k, l].
    """
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) > 1:
            weights = numpy_helper.to_array(tensor)
            largest = largest_neighbour_sum(weights)
            if largest > LARGEST_NEIGHBOURS or weights.min() < -LARGEST_WEIGHT:
                raise ExportError(
                    f"{tensor.name}: weights from {weights.min()}, of which two neighbours add up to {largest}; expected from "
                    f"-{LARGEST_WEIGHT}, and at most {LARGEST_NEIGHBOURS}: some processors would draw other pixels"
                )


def parity_latents(latent_size: int) -> NDArray[np.float32]:
    """Return the latents of the images that parity is measured on, float32 [PARITY_IMAGES, latent_size]."""
    return latents(PARITY_SEED, 0, PARITY_IMAGES, latent_size)


def compare(images: NDArray[np.uint8], reference: NDArray[np.uint8], precision: str) -> ParityFacts:
    """Return how far `images` are from `reference`, both uint8 [N, H, W].

    Raises ExportError if the difference is above what LEAST_PSNR_DB allows.
    """
    difference = np.abs(images.astype(np.int64) - reference)
    mean_square = float(np.mean(difference**2))
    psnr_db = min(_EQUAL_PSNR_DB, 10 * float(np.log10(255**2 / mean_square))) if mean_square else _EQUAL_PSNR_DB
    if psnr_db < LEAST_PSNR_DB[precision]:
        raise ExportError(
            f"the {precision} model's pixels differ from torch's: {psnr_db:.1f} dB, expected at least "
            f"{LEAST_PSNR_DB[precision]:.0f}; try --precision fp16 or fp32"
        )
    return ParityFacts(len(images), round(psnr_db, 2), round(float(difference.mean()), 4), int(difference.max()))
