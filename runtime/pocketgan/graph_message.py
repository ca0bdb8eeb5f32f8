"""A message of an ONNX file, by the names of its fields: only those that gan-export writes, each as it writes it."""

from collections.abc import Iterator, Mapping, Set

from pocketgan.wire_format import BYTES, FIXED32, VARINT, WireReader

_INTEGERS = -1  # integers, each in a field of its own or all in one
_ONCE, _OFTEN = False, True
# {kind of message: {field: its name, how it is written, whether it may come more than once}}. Of several values, protocol buffers
# take the last, and they merge several messages: what is to come once is refused if it comes twice, so nothing is left to judge.
_LAYOUT: Mapping[str, Mapping[int, tuple[str, int, bool]]] = {
    "model": {
        1: ("ir_version", VARINT, _ONCE),
        2: ("producer_name", BYTES, _ONCE),
        7: ("graph", BYTES, _ONCE),
        8: ("opset_import", BYTES, _OFTEN),
        14: ("metadata_props", BYTES, _OFTEN),
    },
    "operator set": {1: ("domain", BYTES, _ONCE), 2: ("version", VARINT, _ONCE)},
    "graph": {
        1: ("node", BYTES, _OFTEN),
        2: ("name", BYTES, _ONCE),
        5: ("initializer", BYTES, _OFTEN),
        11: ("input", BYTES, _OFTEN),
        12: ("output", BYTES, _OFTEN),
    },
    "node": {
        1: ("input", BYTES, _OFTEN),
        2: ("output", BYTES, _OFTEN),
        3: ("name", BYTES, _ONCE),
        4: ("op_type", BYTES, _ONCE),
        5: ("attribute", BYTES, _OFTEN),
        7: ("domain", BYTES, _ONCE),
    },
    "attribute": {
        1: ("name", BYTES, _ONCE),
        2: ("f", FIXED32, _ONCE),
        3: ("i", VARINT, _ONCE),
        4: ("s", BYTES, _ONCE),
        8: ("ints", _INTEGERS, _OFTEN),
        20: ("type", VARINT, _ONCE),
    },
    "tensor": {
        1: ("dims", _INTEGERS, _OFTEN),
        2: ("data_type", VARINT, _ONCE),
        8: ("name", BYTES, _ONCE),
        9: ("raw_data", BYTES, _ONCE),
    },
    "input or output": {1: ("name", BYTES, _ONCE), 2: ("type", BYTES, _ONCE)},
    "type": {1: ("tensor_type", BYTES, _ONCE)},
    "tensor type": {1: ("elem_type", VARINT, _ONCE), 2: ("shape", BYTES, _ONCE)},
    "shape": {1: ("dim", BYTES, _OFTEN)},
    "dimension": {1: ("dim_value", VARINT, _ONCE), 2: ("dim_param", BYTES, _ONCE)},
}
_LONGEST_TEXT = 512


class Message:
    """One message. What is absent counts as 0 or empty; all methods raise ValueError if it is not as gan-export writes it."""

    def __init__(self, reader: WireReader, kind: str, contents: memoryview) -> None:
        self._reader = reader
        self._kind = kind
        self._numbers: dict[str, list[int]] = {}
        self._pieces: dict[str, list[memoryview]] = {}
        layout = _LAYOUT[kind]
        for number, wire_type, value in reader.fields(contents):
            name, expected, may_repeat = layout.get(number, ("", None, False))
            is_as_expected = wire_type == expected or (expected == _INTEGERS and wire_type in (VARINT, BYTES))
            if not is_as_expected or (not may_repeat and self.has(name)):
                raise ValueError(f"its {kind} has a field {number} that gan-export does not write, or not so")
            if isinstance(value, int):
                self._numbers.setdefault(name, []).append(_signed(value))
            elif expected == _INTEGERS:
                self._numbers.setdefault(name, []).extend(map(_signed, reader.integers(value)))
            else:
                self._pieces.setdefault(name, []).append(value)

    @property
    def fields(self) -> Set[str]:
        """Names of the fields that are there."""
        return self._numbers.keys() | self._pieces.keys()

    def has(self, name: str) -> bool:
        """Return whether a field is there."""
        return name in self._numbers or name in self._pieces

    def integer(self, name: str) -> int:
        """Return an integer."""
        return self._numbers.get(name, [0])[0]

    def integers(self, name: str) -> tuple[int, ...]:
        """Return integers."""
        return tuple(self._numbers.get(name, ()))

    def piece(self, name: str) -> memoryview:
        """Return bytes."""
        return self._pieces[name][0] if name in self._pieces else memoryview(b"")

    def text(self, name: str) -> str:
        """Return a text."""
        return self._decoded(self.piece(name))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return texts."""
        return tuple(map(self._decoded, self._pieces.get(name, ())))

    def message(self, name: str, kind: str) -> "Message":
        """Return a message within this one."""
        return Message(self._reader, kind, self.piece(name))

    def messages(self, name: str, kind: str) -> Iterator["Message"]:
        """Yield the messages within this one that a field holds."""
        for piece in self._pieces.get(name, ()):
            yield Message(self._reader, kind, piece)

    def _decoded(self, piece: memoryview) -> str:
        if len(piece) > _LONGEST_TEXT:
            raise ValueError(f"its {self._kind} has a text of {len(piece):,} bytes, expected at most {_LONGEST_TEXT}")
        text = bytes(piece).decode(errors="replace")
        # Nor are a NUL, at which C ends a name, and what could command a terminal.
        if not text.isprintable() or "\N{REPLACEMENT CHARACTER}" in text:
            raise ValueError(f"its {self._kind} has a name that is not printable text")
        return text


def _signed(value: int) -> int:
    """Return the 64 bits of an integer as a signed one."""
    if value >= 2**64:
        raise ValueError(f"the number {value} has more than 64 bits")
    return value - 2**64 if value >= 2**63 else value
