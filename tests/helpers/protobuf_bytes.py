"""Protocol buffers written by hand, to damage ONNX files in ways that no library would."""


def number(value: int) -> bytes:
    """Return an integer of variable length."""
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])


def integer_field(field: int, value: int) -> bytes:
    """Return a field with an integer."""
    return number(field << 3) + number(value)


def bytes_field(field: int, value: bytes) -> bytes:
    """Return a field with bytes, a text or a message."""
    return number(field << 3 | 2) + number(len(value)) + value


def metadata_entry(key: str, value: str) -> bytes:
    """Return a metadata entry of an ONNX model: appended to a model file, it replaces an earlier one of that key."""
    return bytes_field(14, bytes_field(1, key.encode()) + bytes_field(2, value.encode()))
