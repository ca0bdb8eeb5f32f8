"""Checks an exported model: the kernels that onnxruntime really runs, its sums, and its pixels compared with torch's."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from pocketgan.errors import OutputError, first_line
from pocketgan.model.card import KernelFacts, ParityFacts
from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.placement import PLACEMENT
from pocketgan_trainer.export.scanning import FIELD, SCAN
from pocketgan_trainer.export.weights import LARGEST_NEIGHBOURS, LARGEST_WEIGHT, largest_neighbour_sum
from pocketgan_trainer.networks.scan import ScannedImage
from pocketgan_trainer.training.presets import Preset


@dataclass(frozen=True)
class Check:
    """The result of one check of a model."""

    name: str
    found: str
    """In words for people."""
    problem: str | None
    """What is wrong, None if nothing is."""


class RefusedExportError(ExportError):
    """Nothing was written, because of what the checks found."""

    def __init__(self, checks: Sequence[Check]) -> None:
        problems = "; ".join(check.problem for check in checks if check.problem is not None)
        super().__init__(f"{problems}. Nothing was written; take another checkpoint, or force it (gan-export --force)")
        self.checks = tuple(checks)


# The optimized graph: the kernels that onnxruntime runs, and their weights.

_CONVOLUTION = "QLinearConv"
_INTEGER_KERNELS = {_CONVOLUTION, "QGemm", "QLinearMatMul", "QLinearLeakyRelu", "QLinearSigmoid"}
# The only other operators that an int8 model may have: they move pixels, or store the latent at the very beginning.
_MOVING = {"Reshape", "Transpose", "Slice", "Split", "Identity", "Gather", "Concat", "QuantizeLinear"}
# In a scan and a placement these work on integers.
_PLACING = {"Add", "Cast", "GatherElements", "Max", "Mul", "ReduceMax", "Sign", "Sub"}


def optimized(contents: bytes) -> onnx.ModelProto:
    """Return a model as onnxruntime runs it on this CPU, with constants computed.

    Raises ExportError if onnxruntime does not load the model, OutputError if there is no room for a temporary file.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "optimized.onnx"
            options = onnxruntime.SessionOptions()
            options.optimized_model_filepath = str(target)
            options.log_severity_level = 4
            try:
                onnxruntime.InferenceSession(contents, options, providers=["CPUExecutionProvider"])
            except Exception as error:  # onnxruntime's errors have no public root class
                raise ExportError(f"onnxruntime does not load the exported model: {first_line(error)}") from error
            return onnx.load(target)
    except OSError as error:
        raise OutputError(f"cannot write temporary files to {tempfile.gettempdir()}: {error.strerror}") from error


def count_kernels(model: onnx.ModelProto) -> KernelFacts:
    """Return the kernels of an optimized model."""
    others = [node for node in model.graph.node if not (node.op_type in _PLACING and node.name.startswith((SCAN, PLACEMENT)))]
    integer = sum(node.op_type in _INTEGER_KERNELS for node in others)
    in_float = sorted(node.op_type for node in others if node.op_type not in _INTEGER_KERNELS | _MOVING)
    return KernelFacts(integer, tuple(in_float))


def kernel_weights(model: onnx.ModelProto) -> Iterator[tuple[str, NDArray[np.generic] | None]]:
    """Yield the node's name and the weights, [out, in, k, l], of each integer convolution of an optimized model, in node order.

    They are None if they are not a constant. Matrix products are not among them: they are of uint8 only, so nothing saturates.
    """
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == _CONVOLUTION:
            yield node.name, tensors.get(node.input[3])


def _other_int8_constants(model: onnx.ModelProto) -> list[str]:
    """Return the names of an optimized model's int8 constants of two or more dimensions that no integer kernel uses."""
    known = {node.input[3] for node in model.graph.node if node.op_type == _CONVOLUTION}
    tensors = (tensor for tensor in model.graph.initializer if tensor.name not in known)
    return [tensor.name for tensor in tensors if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) > 1]


def check_kernels(kernels: KernelFacts, precision: str) -> Check:
    """Check that a model that is called int8 computes with integers only."""
    in_float = ", ".join(f"{operator} x{count}" for operator, count in Counter(kernels.floating_point).items()) or "none"
    found = f"{kernels.integer} integer; in floating point: {in_float}"
    is_wrong = precision == "int8" and (kernels.floating_point or not kernels.integer)
    return Check("kernels", found, f"not int8: kernels are {found}; expected integers only" if is_wrong else None)


def check_overflow(model: onnx.ModelProto) -> Check:
    """Check that no processor's 16-bit sum of two products can saturate in an optimized model, see weights.py."""
    name = "overflow"
    largest = []
    for kernel, weights in kernel_weights(model):
        if weights is None or weights.dtype != np.int8:
            found = "not constant" if weights is None else f"of type {weights.dtype}"
            return Check(name, "not known", f"{kernel}: weights are {found}, expected constants of type int8")
        integers = weights.astype(np.int8, copy=False)
        largest.append(largest_neighbour_sum(integers))
        if largest[-1] > LARGEST_NEIGHBOURS or integers.min() < -LARGEST_WEIGHT:
            found = f"{kernel}: weights from {integers.min()}, of which two neighbours add up to {largest[-1]}"
            expected = f"expected from -{LARGEST_WEIGHT}, and at most {LARGEST_NEIGHBOURS}"
            return Check(name, found, f"{found}; {expected}: some processors would draw other pixels")
    missed = _other_int8_constants(model)
    if missed or not largest:
        return Check(name, "not known", f"weights in unknown places: {', '.join(missed) or 'none were found'}")
    return Check(name, f"none: neighbouring weights add up to {max(largest)} at most, limit {LARGEST_NEIGHBOURS}", None)


# The pixels.

PARITY_IMAGES = 1000
PARITY_SEED = 2**32 + 2
"""Parity is measured on latents that calibration has not seen."""
_EQUAL_PSNR_DB = 100.0


def measure_parity(pixels: NDArray[np.uint8], reference: NDArray[np.uint8]) -> ParityFacts:
    """Return how far `pixels` are from `reference`, both uint8 [N, H, W]."""
    difference = np.abs(pixels.astype(np.int64) - reference)
    mean_square = float(np.mean(difference**2))
    psnr_db = min(_EQUAL_PSNR_DB, 10 * float(np.log10(255**2 / mean_square))) if mean_square else _EQUAL_PSNR_DB
    return ParityFacts(len(pixels), round(psnr_db, 2), round(float(difference.mean()), 4), int(difference.max()))


def before_scan(contents: bytes) -> bytes:
    """Return a model that ends before its scan, with its fields as output; a model without a scan as it is.

    The smallest error of a field can turn a pixel of the scan black or white, and move or resize the image. So fields are
    compared with torch's, and what is made of them must be exact.
    """
    model = onnx.load_from_string(contents)
    if any(FIELD in node.output for node in model.graph.node):
        model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info(FIELD, onnx.TensorProto.UINT8, None))
    changed: bytes = model.SerializeToString()
    return changed


_LEAST_FIELD_PSNR_DB = 35.0
"""The limit for int8 fields of a scan. They lack the margin without errors that is half of a whole image, and only errors where
they cross the threshold count: digits of fields with 37.0 dB were as near to real ones as those of the float32 file, see
docs/canvas-experiments.md."""


def usual_least_psnr_db(preset: Preset, precision: str, is_scanned: bool) -> float:
    """Return the limit for a file in one of the precisions of `card.PRECISIONS`; only that for int8 depends on the generator."""
    return {"int8": _LEAST_FIELD_PSNR_DB if is_scanned else preset.least_psnr_db, "fp16": 50.0, "fp32": 60.0}[precision]


def check_parity(parity: ParityFacts, least_psnr_db: float) -> Check:
    """Check that the pixels are as near to torch's as the limit demands."""
    found = f"PSNR {parity.psnr_db:.2f} dB (limit {least_psnr_db:g}) over {parity.images:,} images; mean error "
    found += f"{parity.mean_error:.2f}, largest {parity.largest_error} of 255 grey levels"
    problem = f"pixels differ from torch's: {parity.psnr_db:.2f} dB, expected at least {least_psnr_db:g}"
    return Check("against torch", found, problem if parity.psnr_db < least_psnr_db else None)


def check_scan(scan: ScannedImage, fields: NDArray[np.uint8], latent: NDArray[np.generic], images: NDArray[np.uint8]) -> Check:
    """Check that a file made exactly those images of its fields, uint8 [N, F, F], that torch's layer makes of them.

    The layer runs in float32 on the fields and their latents [N, L]; `images` is uint8 [N, S, S].
    """
    with torch.inference_mode():
        drawn = scan(torch.from_numpy(fields)[:, None].float() / 127.5 - 1, torch.from_numpy(latent))[:, 0]
    others = int((((drawn + 1) * 127.5).round().byte().numpy() != images).any(axis=(1, 2)).sum())
    found = f"{len(images) - others:,} of {len(images):,} images as torch's"
    return Check("scan", found, f"scans differ from torch's: {others:,} of {len(images):,} images" if others else None)


SAME_PIXELS_IMAGES = 64
_BATCH_SIZES = (1, 16, 64)
_THREADS = (1, 2)


def check_same_pixels(contents: bytes, inputs: Mapping[str, NDArray[np.generic]], images: NDArray[np.uint8]) -> Check:
    """Check that the first SAME_PIXELS_IMAGES images depend neither on their batch nor on the number of threads.

    `inputs` are the model's inputs by name, for at least that many images; `images` uint8 [N, H, W] is what it drew from them.
    """
    name = "same pixels"
    for threads in _THREADS:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(contents, options, providers=["CPUExecutionProvider"])
        for size in _BATCH_SIZES:
            for start in range(0, SAME_PIXELS_IMAGES, size):
                batch = {key: values[start : start + size] for key, values in inputs.items()}
                if not np.array_equal(session.run(["images"], batch)[0], images[start : start + size]):
                    problem = f"other pixels from image {start} on in batches of {size}, number of threads: {threads}"
                    return Check(name, "no", problem)
    sizes, threads_tried = (", ".join(map(str, numbers)) for numbers in (_BATCH_SIZES, _THREADS))
    return Check(name, f"in batches of {sizes}; number of threads: {threads_tried}", None)


def require_variety(images: NDArray[np.uint8], classes: int) -> None:
    """Raise ExportError if all images are the same or, where `classes` come in turn, all images of each class."""
    firsts = images[: max(1, classes)]
    if (images == firsts[np.arange(len(images)) % len(firsts)]).all():
        of_class = " of a class" if classes else ""
        raise ExportError(
            f"all images{of_class} among {len(images):,} are the same: the training has collapsed; take another checkpoint"
        )
