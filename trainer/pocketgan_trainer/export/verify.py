"""Proof that an exported model is what it says: the kernels that onnxruntime really runs, and the pixels that come out."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import numpy_helper

from pocketgan.card import ParityFacts
from pocketgan.errors import first_line
from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.integer_weights import LARGEST_NEIGHBOURS, LARGEST_WEIGHT, largest_neighbour_sum

PARITY_IMAGES = 1000
PARITY_SEED = 2**32 + 2
"""Parity is measured on latents that calibration has not seen."""

SAME_PIXELS_IMAGES = 64
_BATCH_SIZES = (1, 16, 64)
_THREADS = (1, 2)

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


def kernel_problem(kernels: Kernels, precision: str) -> str | None:
    """Say what is wrong if a model that is called int8 computes in floating point, or not at all."""
    if precision != "int8" or (kernels.integer and not kernels.other):
        return None
    found = ", ".join(kernels.other) or "none"
    return f"not int8: {kernels.integer} integer kernels, and in floating point {found}; expected integers only"


def largest_sum(model: onnx.ModelProto) -> int:
    """Return the largest amount that two neighbouring weights of one sign add up to, over all layers; 0 without int8 weights."""
    return max((largest_neighbour_sum(weights) for _, weights in _integer_weights(model)), default=0)


def sum_problem(model: onnx.ModelProto) -> str | None:
    """Say what is wrong if a processor's 16-bit sum of two products could saturate, see integer_weights.py."""
    for name, weights in _integer_weights(model):
        largest = largest_neighbour_sum(weights)
        if largest > LARGEST_NEIGHBOURS or weights.min() < -LARGEST_WEIGHT:
            return (
                f"{name}: weights from {weights.min()}, of which two neighbours add up to {largest}; expected from "
                f"-{LARGEST_WEIGHT}, and at most {LARGEST_NEIGHBOURS}: some processors would draw other pixels"
            )
    return None


def _integer_weights(model: onnx.ModelProto) -> Iterator[tuple[str, NDArray[np.int8]]]:
    """Yield name and values of every int8 tensor of two or more axes, which is taken for weights [out, in] or [out, in, k, l]."""
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) > 1:
            yield tensor.name, numpy_helper.to_array(tensor)


def same_pixels_problem(contents: bytes, feeds: Mapping[str, NDArray[np.generic]], images: NDArray[np.uint8]) -> str | None:
    """Say what is wrong if the first SAME_PIXELS_IMAGES images depend on their batch or the number of threads.

    `feeds` are the model's inputs by name, at least so many; `images` uint8 [N, H, W] what it drew of them.
    """
    for threads in _THREADS:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(contents, options, providers=["CPUExecutionProvider"])
        for size in _BATCH_SIZES:
            for start in range(0, SAME_PIXELS_IMAGES, size):
                batch = {name: values[start : start + size] for name, values in feeds.items()}
                if not np.array_equal(session.run(["images"], batch)[0], images[start : start + size]):
                    return f"images {start} to {start + size - 1} have other pixels in a batch of {size} on {threads} threads"
    return None


def compare(images: NDArray[np.uint8], reference: NDArray[np.uint8]) -> ParityFacts:
    """Return how far `images` are from `reference`, both uint8 [N, H, W]."""
    difference = np.abs(images.astype(np.int64) - reference)
    mean_square = float(np.mean(difference**2))
    psnr_db = min(_EQUAL_PSNR_DB, 10 * float(np.log10(255**2 / mean_square))) if mean_square else _EQUAL_PSNR_DB
    return ParityFacts(len(images), round(psnr_db, 2), round(float(difference.mean()), 4), int(difference.max()))


def parity_problem(parity: ParityFacts, precision: str, least_psnr_db: float) -> str | None:
    """Say what is wrong if pixels are further from torch's than that."""
    if parity.psnr_db >= least_psnr_db:
        return None
    return f"the {precision} model's pixels differ from torch's: {parity.psnr_db:.1f} dB, expected at least {least_psnr_db:g}"
