"""Arrays of numpy, uncompressed, which `numpy.load` opens, also memory-mapped; and the same pixels without any header."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgan.drawing import Drawing
from pocketgan.generator import Batch
from pocketgan.output.array_files import ArrayFile, ArrayFiles, image_pixels

_LABELS_NAME = "labels.npy"


def npy_files(folder: Path, drawing: Drawing) -> ArrayFiles:
    """Return the files that hold a drawing: `images.npy` uint8 [count, H, W] and, if the model has classes, `labels.npy`.

    Labels are int64 [count], or int64 [count, characters] for rows of text.
    """
    count, (height, width) = drawing.selection.count, drawing.size
    files = [ArrayFile("images.npy", npy_header("|u1", (count, height, width)), height * width, image_pixels)]
    if drawing.generator.card.classes:
        shape = (count,) if drawing.selection.text is None else (count, drawing.characters)
        files.append(ArrayFile(_LABELS_NAME, npy_header("<i8", shape), 8 * drawing.characters, _labels))
    # Readers take labels for those of the images that they lie beside.
    others = {_LABELS_NAME} - {file.name for file in files}
    return ArrayFiles(folder, drawing.selection.indices, tuple(files), tuple(others))


def raw_files(folder: Path, drawing: Drawing) -> ArrayFiles:
    """Return the file that holds nothing but the pixels of a drawing, image after image, a byte each: `images.raw`."""
    height, width = drawing.size
    file = ArrayFile("images.raw", b"", height * width, image_pixels)
    return ArrayFiles(folder, drawing.selection.indices, (file,), holds_labels=False)


def npy_header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """Return what stands before the data in a file of numpy (numpy.lib.format, version 1.0)."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": dtype, "fortran_order": False, "shape": shape})
    return header.getvalue()


def _labels(batch: Batch) -> NDArray[np.int64]:
    assert batch.labels is not None, "a model with classes has labels"
    return np.ascontiguousarray(batch.labels, dtype="<i8")
