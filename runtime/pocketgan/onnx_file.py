"""What must be known of a model file before onnxruntime sees it: what it says of itself, and that it stands alone.

Both are read from the bytes, so that neither the onnx package nor a session is needed: the metadata entries with the model card,
and whether any tensor keeps its data in another file, which onnxruntime would open. What its graph asks for is another question,
see `graph_limits`. Field numbers: onnx.proto of the ONNX specification.
"""

import os
from pathlib import Path

from pocketgan.card import CARD_KEY, ModelCard
from pocketgan.errors import CardError, ModelError
from pocketgan.files import open_regular_file
from pocketgan.wire_format import WireReader

LARGEST_FILE_BYTES = 32 * 2**20
"""Larger files are refused unread: onnxruntime holds several copies of a file while it opens it."""

LARGEST_METADATA_BYTES = 2**20
"""Of all entries together."""

_MODEL_GRAPH, _MODEL_METADATA, _MODEL_FUNCTIONS = 7, 14, 25
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_TENSOR_EXTERNAL_DATA, _TENSOR_DATA_LOCATION = 13, 14
# Where a message of one kind holds messages that may, further down, hold tensors: {field: kind of message}.
_CHILDREN = {
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
}
_DEEPEST_NESTING = 32


def read_model_file(path: Path) -> bytes:
    """Return the contents of a model file. Raises ModelError if it is absent, not a file, empty or too large."""
    try:
        with open_regular_file(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > LARGEST_FILE_BYTES:
                raise ModelError(f"it has {size:,} bytes: expected at most {LARGEST_FILE_BYTES:,}")
            contents = file.read()
    except OSError as error:
        raise ModelError(f"it cannot be read ({error.strerror}): expected an .onnx file made by gan-export") from error
    if not contents:
        raise ModelError("it is empty: expected an .onnx file made by gan-export")
    return contents


def read_metadata(contents: bytes) -> dict[str, str]:
    """Return the metadata entries of an ONNX file. Raises ModelError if the bytes are not an ONNX file or use external data."""
    reader = WireReader()
    metadata: dict[str, str] = {}
    metadata_bytes = 0
    has_graph = False
    try:
        for field, _, value in reader.fields(memoryview(contents)):
            if field == _MODEL_GRAPH and isinstance(value, memoryview):
                has_graph = True
                _refuse_external_data(reader, "graph", value, 0)
            elif field == _MODEL_FUNCTIONS and isinstance(value, memoryview):
                _refuse_external_data(reader, "function", value, 0)
            elif field == _MODEL_METADATA and isinstance(value, memoryview):
                metadata_bytes += len(value)
                if metadata_bytes > LARGEST_METADATA_BYTES:
                    raise ModelError(f"it has more than {LARGEST_METADATA_BYTES:,} bytes of metadata, expected a model card")
                entry = {number: bytes(part).decode() for number, _, part in reader.fields(value) if isinstance(part, memoryview)}
                metadata[entry.get(_ENTRY_KEY, "")] = entry.get(_ENTRY_VALUE, "")
    except ValueError as error:
        raise ModelError(f"not an ONNX file, or a damaged one: {error}") from error
    if not has_graph:
        raise ModelError("not an ONNX file: it holds no graph")
    return metadata


def read_card(contents: bytes) -> ModelCard:
    """Return the model card in an ONNX file. Raises ModelError as `read_metadata` does, CardError if there is none to be used."""
    metadata = read_metadata(contents)
    if CARD_KEY not in metadata:
        raise CardError("it has no pocketgan model card: expected a file made by gan-export")
    return ModelCard.from_json(metadata[CARD_KEY])


def _refuse_external_data(reader: WireReader, kind: str, message: memoryview, depth: int) -> None:
    """Raise ModelError if a tensor anywhere below a message says that its data is in another file."""
    if depth > _DEEPEST_NESTING:
        raise ModelError(f"its graphs are nested more than {_DEEPEST_NESTING} deep")
    for field, _, value in reader.fields(message):
        if kind == "tensor" and (field == _TENSOR_EXTERNAL_DATA or (field == _TENSOR_DATA_LOCATION and value != 0)):
            raise ModelError("it keeps weights in another file (external data): expected one file with everything inside")
        child = _CHILDREN.get(kind, {}).get(field)
        if child is not None and isinstance(value, memoryview):
            _refuse_external_data(reader, child, value, depth + 1)
