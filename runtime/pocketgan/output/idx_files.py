"""IDX files, the format of MNIST: one file with images, one with labels.

Format: Y. LeCun, "The MNIST database", section "File formats": two zero bytes, the type (8 for uint8), the number of dimensions,
then each dimension as a big-endian 32-bit integer, then the data.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgan.drawing import Drawing
from pocketgan.errors import OutputError
from pocketgan.generator import Batch
from pocketgan.output.array_files import ArrayFile, ArrayFiles, image_pixels

LARGEST_COUNT = 2**32 - 1
MOST_CLASSES = 256
_UINT8 = 8
_IMAGES_NAME = "images-idx3-ubyte"
_LABELS_NAME, _ROW_LABELS_NAME = "labels-idx1-ubyte", "labels-idx2-ubyte"


def idx_files(folder: Path, drawing: Drawing) -> ArrayFiles:
    """Return the files that hold a drawing: images, and labels of images or of rows if the model has classes.

    Raises OutputError if the format does not hold so many images or classes.
    """
    count, classes = drawing.selection.count, drawing.generator.card.classes
    if count > LARGEST_COUNT:
        raise OutputError(f"{count:,} images do not fit into an IDX file: expected at most {LARGEST_COUNT:,}; use --shard")
    if len(classes) > MOST_CLASSES:
        raise OutputError(
            f"{len(classes)} classes do not fit into an IDX file: expected at most {MOST_CLASSES}; use --format npz"
        )
    height, width = drawing.size
    files = [ArrayFile(_IMAGES_NAME, _header(count, height, width), height * width, image_pixels)]
    if classes and drawing.selection.text is None:
        files.append(ArrayFile(_LABELS_NAME, _header(count), 1, _labels))
    elif classes:
        files.append(ArrayFile(_ROW_LABELS_NAME, _header(count, drawing.characters), drawing.characters, _labels))
    # Readers take labels for those of the images that they lie beside.
    others = {_LABELS_NAME, _ROW_LABELS_NAME} - {file.name for file in files}
    return ArrayFiles(folder, drawing.selection.indices, tuple(files), tuple(sorted(others)))


def _header(*sizes: int) -> bytes:
    return bytes([0, 0, _UINT8, len(sizes)]) + np.array(sizes, ">u4").tobytes()


def _labels(batch: Batch) -> NDArray[np.uint8]:
    assert batch.labels is not None, "a model with classes has labels"
    return batch.labels.astype(np.uint8)
