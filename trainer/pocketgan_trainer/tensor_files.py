"""Reads safetensors files that are not trusted: only files of the expected size, with the expected tensors, are read."""

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from pocketgan_trainer.strict_json import read_json

Form: TypeAlias = tuple[torch.dtype, tuple[int, ...]]
"""The type and the shape of a tensor."""

_LONGEST_HEADER = 2**20
_NEVER_NEGATIVE = ("running_var", "num_batches_tracked", "exp_avg_sq", "step")
"""Endings of the names of tensors that hold variances or counts."""


class UnfitTensorError(ValueError):
    """A file holds an unexpected tensor, or is too large."""


@dataclass(frozen=True)
class Header:
    """The beginning of a safetensors file."""

    raw: bytes
    text: Mapping[str, str]
    """The file's metadata."""


def form_of(tensor: Tensor) -> Form:
    """Return the type and the shape of a tensor."""
    return tensor.dtype, tuple(tensor.shape)


def read_header(file: BinaryIO) -> Header:
    """Read the header of a safetensors file, which must be open at its start. Raises ValueError, in one line, if it has none."""
    length = file.read(8)
    (count,) = struct.unpack("<Q", length) if len(length) == 8 else (0,)
    raw = file.read(count) if 0 < count <= _LONGEST_HEADER else b""
    if not raw or len(raw) < count:
        raise ValueError("it does not begin like a safetensors file")
    try:
        values = read_json(raw)
    except ValueError as error:
        raise ValueError(f"its header is not JSON: {error}") from error
    text = values.get("__metadata__", {}) if isinstance(values, dict) else None
    if not isinstance(text, dict) or not all(isinstance(value, str) for value in text.values()):
        raise ValueError("its header is not that of a safetensors file")
    return Header(length + raw, text)


def read_tensors(file: BinaryIO, header: Header, forms: Mapping[str, frozenset[Form]]) -> tuple[bytes, dict[str, Tensor]]:
    """Read the rest of a file and return its whole contents and its tensors, on the CPU.

    `forms` maps the name of each tensor that the file may hold to the forms that the tensor may have. A file that is larger than
    these tensors is not read. Raises ValueError, in one line, if the file is damaged, and UnfitTensorError if it holds
    another tensor or is too large.
    """
    most = len(header.raw) + sum(max(map(_bytes_of, choices)) for choices in forms.values())
    found = os.fstat(file.fileno()).st_size
    if found > most:
        raise UnfitTensorError(f"it has {found:,} bytes, expected at most {most:,}")
    contents = header.raw + file.read(most)
    try:
        tensors = dict(sorted(load(contents).items()))  # sorted, so that the same file gives the same error
    # For types and sizes that torch does not know, these are not SafetensorErrors.
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(" ".join(str(error).split())) from error
    for name, tensor in tensors.items():
        if form_of(tensor) not in forms.get(name, ()):
            expected = " or ".join(f"{dtype} {list(shape)}" for dtype, shape in forms.get(name, ())) or "no such tensor"
            raise UnfitTensorError(f"{name[:80]!r} is {tensor.dtype} {list(tensor.shape)}, expected {expected}")
    return contents, tensors


def check_values(tensors: Mapping[str, Tensor]) -> None:
    """Raise UnfitTensorError, in one line, if a tensor holds values that are not finite, or negative variances or counts."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise UnfitTensorError(f"{name!r} has values that are not finite")
        if name.endswith(_NEVER_NEGATIVE) and (tensor < 0).any():
            raise UnfitTensorError(f"{name!r} has values below 0")


def _bytes_of(form: Form) -> int:
    dtype, shape = form
    return int(dtype.itemsize * torch.Size(shape).numel())
