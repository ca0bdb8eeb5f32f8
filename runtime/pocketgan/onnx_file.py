"""What must be known of a model file before onnxruntime sees it: the metadata, and that it stands alone.

An ONNX file is a protocol buffer. Two facts are read from its wire format here, so that neither the onnx package nor a session
is needed: the metadata entries, and whether any tensor keeps its data in another file, which onnxruntime would open.
Format: https://protobuf.dev/programming-guides/encoding; field numbers: onnx.proto of the ONNX specification.
"""

from collections.abc import Iterator
from pathlib import Path

from pocketgan.errors import ModelError

LARGEST_FILE_BYTES = 256 * 2**20
"""Larger files are refused unread."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIELD_LIMIT = 2**29

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
        size = path.stat().st_size
        if not path.is_file():
            raise ModelError(f"model {path} is not a file: expected an .onnx file made by gan-export")
        if size > LARGEST_FILE_BYTES:
            raise ModelError(f"model {path} has {size:,} bytes: expected at most {LARGEST_FILE_BYTES:,}")
        contents = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read model {path}: {error.strerror}; make one with gan-export, or leave --model out") from error
    if not contents:
        raise ModelError(f"model {path} is empty: expected an .onnx file made by gan-export")
    return contents


def read_metadata(contents: bytes) -> dict[str, str]:
    """Return the metadata entries of an ONNX file. Raises ModelError if the bytes are not an ONNX file or use external data."""
    metadata: dict[str, str] = {}
    has_graph = False
    try:
        for field, value in _fields(memoryview(contents)):
            if field == _MODEL_GRAPH and isinstance(value, memoryview):
                has_graph = True
                _refuse_external_data("graph", value, 0)
            elif field == _MODEL_FUNCTIONS and isinstance(value, memoryview):
                _refuse_external_data("function", value, 0)
            elif field == _MODEL_METADATA and isinstance(value, memoryview):
                entry = {number: bytes(part).decode() for number, part in _fields(value) if isinstance(part, memoryview)}
                metadata[entry.get(_ENTRY_KEY, "")] = entry.get(_ENTRY_VALUE, "")
    except ValueError as error:
        raise ModelError(f"not an ONNX file, or a damaged one: {error}") from error
    if not has_graph:
        raise ModelError("not an ONNX file: it holds no graph")
    return metadata


def _refuse_external_data(kind: str, message: memoryview, depth: int) -> None:
    """Raise ModelError if a tensor anywhere below a message says that its data is in another file."""
    if depth > _DEEPEST_NESTING:
        raise ModelError(f"its graphs are nested more than {_DEEPEST_NESTING} deep")
    for field, value in _fields(message):
        if kind == "tensor" and (field == _TENSOR_EXTERNAL_DATA or (field == _TENSOR_DATA_LOCATION and value != 0)):
            raise ModelError("it keeps weights in another file (external data): expected one file with everything inside")
        child = _CHILDREN.get(kind, {}).get(field)
        if child is not None and isinstance(value, memoryview):
            _refuse_external_data(child, value, depth + 1)


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield number and value of each field of a message. Raises ValueError if the bytes are not one."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        number, wire_type = key >> 3, key & 7
        # Protocol buffers' own reader cuts keys to 32 bits: a longer one would be another field there than here.
        if not 0 < number < _FIELD_LIMIT:
            raise ValueError(f"field number {number} at byte {position}")
        if wire_type == _VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        if wire_type == _BYTES:
            length, position = _varint(message, position)
        elif wire_type in (_FIXED64, _FIXED32):
            length = 8 if wire_type == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire_type} at byte {position}")
        if position + length > len(message):
            raise ValueError(f"a field at byte {position} runs past the end")
        yield number, message[position : position + length]
        position += length


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return the integer of variable length at `position`, and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise ValueError("it ends in the middle of a number")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError(f"a number at byte {position} is too long")
