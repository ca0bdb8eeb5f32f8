"""What onnxruntime's own quantizer makes of a float model with its default settings: the thing to be better than."""

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

from pocketgan.errors import OutputError

NAIVE_IMAGES = 128
"""On so many images it measures ranges."""


def naive_int8(model: onnx.ModelProto, feeds: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Return the file that `quantize_static` makes of a float model, with ranges from what it computes of the inputs `feeds`.

    Raises OutputError if there is no room for its temporary files.
    """
    try:
        with tempfile.TemporaryDirectory() as folder, _quiet():
            source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
            onnx.save(model, source)
            quantize_static(source, target, _OneBatch(feeds), quant_format=QuantFormat.QDQ)
            return target.read_bytes()
    except OSError as error:
        raise OutputError(f"cannot write temporary files to {tempfile.gettempdir()}: {error.strerror}") from error


class _OneBatch(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, feeds: Mapping[str, NDArray[np.generic]]) -> None:
        self._batches = iter([dict(feeds)])

    def get_next(self) -> dict[str, NDArray[np.generic]] | None:
        return next(self._batches, None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep its advice to optimize the model first off the terminal: users of gan-export cannot follow it."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
