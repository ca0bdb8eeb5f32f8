"""Proof that an exported model is what it says: the kernels that onnxruntime really runs, and the pixels that come out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from pocketgan.card import KernelFacts, ParityFacts
from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.integer_weights import LARGEST_NEIGHBOURS, LARGEST_WEIGHT, largest_neighbour_sum
from pocketgan_trainer.export.optimized import convolution_weights, other_int8_constants

PARITY_IMAGES = 1000
PARITY_SEED = 2**32 + 2
"""Parity is measured on latents that calibration has not seen."""

SAME_PIXELS_IMAGES = 64
_BATCH_SIZES = (1, 16, 64)
_THREADS = (1, 2)

_EQUAL_PSNR_DB = 100.0


@dataclass(frozen=True)
class Check:
    """One thing that was looked at before a file was written."""

    name: str
    found: str
    """In words for people."""
    problem: str | None
    """What is wrong, None if nothing is."""


class RefusedExportError(ExportError):
    """Nothing was written, for what the checks found."""

    def __init__(self, checks: Sequence[Check]) -> None:
        problems = "; ".join(check.problem for check in checks if check.problem is not None)
        super().__init__(f"{problems}. Nothing was written; take another checkpoint, or force it (gan-export --force)")
        self.checks = tuple(checks)


def check_kernels(kernels: KernelFacts, precision: str) -> Check:
    """Look whether a model that is called int8 computes in floating point, or not at all."""
    in_float = ", ".join(f"{operator} x{count}" for operator, count in Counter(kernels.floating_point).items()) or "none"
    found = f"{kernels.integer} integer; in floating point: {in_float}"
    is_wrong = precision == "int8" and (kernels.floating_point or not kernels.integer)
    return Check("kernels", found, f"not int8: kernels are {found}; expected integers only" if is_wrong else None)


def check_sums(model: onnx.ModelProto) -> Check:
    """Look whether a processor's 16-bit sum of two products could saturate in an optimized model, see integer_weights.py."""
    name = "overflow"
    largest = []
    for kernel, weights in convolution_weights(model):
        if weights is None or weights.dtype != np.int8:
            found = "not constant" if weights is None else f"of type {weights.dtype}"
            return Check(name, "not known", f"{kernel}: weights are {found}, expected constants of type int8")
        integers = weights.astype(np.int8, copy=False)
        largest.append(largest_neighbour_sum(integers))
        if largest[-1] > LARGEST_NEIGHBOURS or integers.min() < -LARGEST_WEIGHT:
            found = f"{kernel}: weights from {integers.min()}, of which two neighbours add up to {largest[-1]}"
            expected = f"expected from -{LARGEST_WEIGHT}, and at most {LARGEST_NEIGHBOURS}"
            return Check(name, found, f"{found}; {expected}: some processors would draw other pixels")
    missed = other_int8_constants(model)
    if missed or not largest:
        return Check(name, "not known", f"weights in unknown places: {', '.join(missed) or 'none were found'}")
    return Check(name, f"none: neighbouring weights add up to {max(largest)} at most, limit {LARGEST_NEIGHBOURS}", None)


def check_parity(parity: ParityFacts, least_psnr_db: float) -> Check:
    """Look whether pixels are nearer to torch's than the limit."""
    found = f"PSNR {parity.psnr_db:.2f} dB (limit {least_psnr_db:g}) over {parity.images:,} images; mean error "
    found += f"{parity.mean_error:.2f}, largest {parity.largest_error} of 255 grey levels"
    problem = f"pixels differ from torch's: {parity.psnr_db:.2f} dB, expected at least {least_psnr_db:g}"
    return Check("against torch", found, problem if parity.psnr_db < least_psnr_db else None)


def check_batches(contents: bytes, feeds: Mapping[str, NDArray[np.generic]], images: NDArray[np.uint8]) -> Check:
    """Look whether the first SAME_PIXELS_IMAGES images depend on their batch or the number of threads.

    `feeds` are the model's inputs by name, at least so many; `images` uint8 [N, H, W] what it drew of them.
    """
    name = "same pixels"
    for threads in _THREADS:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(contents, options, providers=["CPUExecutionProvider"])
        for size in _BATCH_SIZES:
            for start in range(0, SAME_PIXELS_IMAGES, size):
                batch = {key: values[start : start + size] for key, values in feeds.items()}
                if not np.array_equal(session.run(["images"], batch)[0], images[start : start + size]):
                    problem = f"other pixels from image {start} on in batches of {size}, number of threads: {threads}"
                    return Check(name, "no", problem)
    sizes, threads_tried = (", ".join(map(str, numbers)) for numbers in (_BATCH_SIZES, _THREADS))
    return Check(name, f"in batches of {sizes}; number of threads: {threads_tried}", None)


def check_variety(images: NDArray[np.uint8], class_count: int) -> None:
    """Raise ExportError if all images, of which the classes come in turn, are the same, or all of a class."""
    firsts = images[: max(1, class_count)]
    if (images == firsts[np.arange(len(images)) % len(firsts)]).all():
        of_class = " of a class" if class_count else ""
        raise ExportError(
            f"all images{of_class} among {len(images):,} are the same: the training has collapsed; take another checkpoint"
        )


def compare(images: NDArray[np.uint8], reference: NDArray[np.uint8]) -> ParityFacts:
    """Return how far `images` are from `reference`, both uint8 [N, H, W]."""
    difference = np.abs(images.astype(np.int64) - reference)
    mean_square = float(np.mean(difference**2))
    psnr_db = min(_EQUAL_PSNR_DB, 10 * float(np.log10(255**2 / mean_square))) if mean_square else _EQUAL_PSNR_DB
    return ParityFacts(len(images), round(psnr_db, 2), round(float(difference.mean()), 4), int(difference.max()))
