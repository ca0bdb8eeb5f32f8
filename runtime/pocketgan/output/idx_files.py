"""IDX files, the format of MNIST: one file with images, one with labels.

Format: Y. LeCun, "The MNIST database", section "File formats": two zero bytes, the type (8 for uint8, 12 for int32), the number
of dimensions, then each dimension as a big-endian 32-bit integer, then the data, big-endian too.
"""

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgan.drawing import Drawing
from pocketgan.errors import OutputError
from pocketgan.generator import Batch
from pocketgan.output.array_files import ArrayFile, ArrayFiles, image_pixels

LARGEST_COUNT = 2**32 - 1
_IMAGES_NAME = "images-idx3-ubyte"
_UINT8, _INT32 = (8, "u1", "ubyte"), (12, ">i4", "int")  # the number of a type, numpy's name of it, and how files are named by it


def idx_files(folder: Path, drawing: Drawing) -> ArrayFiles:
    """Return the files that hold a drawing: images, and labels of images or of rows if the model has classes.

    Labels above 255, which uint8 does not hold, are int32, and the name says so: `labels-idx1-int`. Raises OutputError if the
    format does not hold that number of images.
    """
    count, labels = drawing.selection.count, drawing.generator.card.labels
    if count > LARGEST_COUNT:
        raise OutputError(f"{count:,} images do not fit into an IDX file: expected at most {LARGEST_COUNT:,}; use --shard")
    height, width = drawing.size
    files = [ArrayFile(_IMAGES_NAME, _header(_UINT8[0], count, height, width), height * width, image_pixels)]
    if labels:
        number, dtype, _ = kind = _UINT8 if max(labels) <= np.iinfo(np.uint8).max else _INT32
        sizes = (count,) if drawing.selection.text is None else (count, drawing.characters)
        label_bytes = np.dtype(dtype).itemsize * drawing.characters
        files.append(
            ArrayFile(_labels_name(len(sizes), kind), _header(number, *sizes), label_bytes, partial(_labels, dtype=dtype))
        )
    # Readers take labels for those of the images that they lie beside.
    others = {_labels_name(dimensions, kind) for dimensions in (1, 2) for kind in (_UINT8, _INT32)} - {
        file.name for file in files
    }
    return ArrayFiles(folder, drawing.selection.indices, tuple(files), tuple(sorted(others)))


def _labels_name(dimensions: int, kind: tuple[int, str, str]) -> str:
    return f"labels-idx{dimensions}-{kind[2]}"


def _header(number: int, *sizes: int) -> bytes:
    return bytes([0, 0, number, len(sizes)]) + np.array(sizes, ">u4").tobytes()


def _labels(batch: Batch, dtype: str) -> NDArray[np.integer]:
    assert batch.labels is not None, "a model with classes has labels"
    return batch.labels.astype(dtype)
