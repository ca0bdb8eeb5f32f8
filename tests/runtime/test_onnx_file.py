"""Reading metadata from the bytes of an ONNX file: as onnxruntime reads it, and safe with bytes of any kind."""

import os
import random
from pathlib import Path
from typing import BinaryIO

import onnxruntime
import pytest
from protobuf_bytes import bytes_field, integer_field, metadata_entry, number

from pocketgan.errors import CardError, ModelError
from pocketgan.model import checked
from pocketgan.model.card import CARD_KEY
from pocketgan.model.checked import LARGEST_FILE_BYTES, LARGEST_METADATA_BYTES, read_card, read_metadata, read_model_file

GRAPH, FUNCTIONS, METADATA = 7, 25, 14
NODE, ATTRIBUTE, INITIALIZER, SPARSE_INITIALIZER = 1, 5, 5, 15
TENSOR_NAME = bytes_field(8, b"weights")
ELSEWHERE = bytes_field(13, bytes_field(1, b"location") + bytes_field(2, b"/etc/passwd")) + integer_field(14, 1)


def file_refusal(path: Path) -> str:
    """Return what reading the file is refused with: one line."""
    with pytest.raises(ModelError) as caught:
        read_model_file(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def refusal(contents: bytes) -> str:
    """Return what reading the metadata is refused with: one line."""
    with pytest.raises(ModelError) as caught:
        read_metadata(contents)
    message = str(caught.value)
    assert "\n" not in message
    return message


def metadata_or_refusal(contents: bytes) -> dict[str, str] | None:
    """Return the metadata, or None if the bytes are refused; any other error passes."""
    try:
        return read_metadata(contents)
    except ModelError:
        return None


@pytest.mark.parametrize("name", ["tiny", "tiny_conditional", "tiny_float", "no_card"])
def test_metadata_is_what_onnxruntime_says(models: Path, name: str) -> None:
    contents = (models / f"{name}.onnx").read_bytes()
    session = onnxruntime.InferenceSession(contents, providers=["CPUExecutionProvider"])
    assert read_metadata(contents) == session.get_modelmeta().custom_metadata_map


def test_several_entries_are_read_and_the_last_of_a_key_holds_as_in_onnxruntime(models: Path) -> None:
    contents = (models / "no_card.onnx").read_bytes()
    contents += metadata_entry("a", "1") + metadata_entry("b", "é") + metadata_entry("a", "2") + metadata_entry("", "")
    session = onnxruntime.InferenceSession(contents, providers=["CPUExecutionProvider"])
    assert read_metadata(contents) == {"a": "2", "b": "é", "": ""} == session.get_modelmeta().custom_metadata_map


def test_an_entry_without_a_value_is_empty() -> None:
    contents = bytes_field(GRAPH, b"") + bytes_field(METADATA, bytes_field(1, b"key")) + bytes_field(METADATA, b"")
    assert read_metadata(contents) == {"key": "", "": ""}


def test_more_metadata_than_a_card_needs_is_refused() -> None:
    most = metadata_entry("a", "x" * (LARGEST_METADATA_BYTES - 9))
    assert len(read_metadata(bytes_field(GRAPH, b"") + most)["a"]) == LARGEST_METADATA_BYTES - 9
    message = refusal(bytes_field(GRAPH, b"") + most + metadata_entry("b", ""))
    assert message == "it has more than 1,048,576 bytes of metadata, expected a model card"


def test_a_card_is_read_whatever_the_graph_is(models: Path) -> None:
    contents = (models / "tiny.onnx").read_bytes()
    assert read_card(contents) == read_card(contents.replace(b"QuantizeLinear", b"QuantizeCircle"))
    assert read_card(contents).name == "tiny"


def test_a_file_without_a_card_is_told_so(models: Path) -> None:
    with pytest.raises(CardError, match="it has no pocketgan model card: expected a file made by gan-export"):
        read_card((models / "no_card.onnx").read_bytes())


def test_metadata_that_is_not_text_is_refused() -> None:
    assert "not an ONNX file" in refusal(bytes_field(GRAPH, b"") + bytes_field(METADATA, bytes_field(1, b"\xff\xfe")))


def test_fields_of_every_kind_that_are_not_known_are_passed_over() -> None:
    unknown = integer_field(99, 2**63) + number(98 << 3 | 1) + bytes(8) + bytes_field(97, b"?") + number(96 << 3 | 5) + bytes(4)
    assert read_metadata(unknown + bytes_field(GRAPH, unknown) + metadata_entry("a", "1") + unknown) == {"a": "1"}


@pytest.mark.parametrize("name", ["initializer", "subgraph", "attribute", "function"])
def test_external_data_is_found_in_real_files(models: Path, name: str) -> None:
    message = refusal((models / f"external_{name}.onnx").read_bytes())
    assert message == "it keeps weights in another file (external data): expected one file with everything inside"


def wrapped(message: bytes, *fields: int) -> bytes:
    """Return the message inside messages inside messages, the innermost field first."""
    for field in fields:
        message = bytes_field(field, message)
    return message


@pytest.mark.parametrize(
    "path",
    [
        (INITIALIZER, GRAPH),
        (1, SPARSE_INITIALIZER, GRAPH),
        (2, SPARSE_INITIALIZER, GRAPH),
        (5, ATTRIBUTE, NODE, GRAPH),
        (10, ATTRIBUTE, NODE, GRAPH),
        (1, 22, ATTRIBUTE, NODE, GRAPH),
        (2, 23, ATTRIBUTE, NODE, GRAPH),
        (INITIALIZER, 6, ATTRIBUTE, NODE, GRAPH),
        (INITIALIZER, 11, ATTRIBUTE, NODE, GRAPH),
        (5, ATTRIBUTE, NODE, 6, ATTRIBUTE, NODE, 11, ATTRIBUTE, NODE, GRAPH),
        (5, ATTRIBUTE, 7, FUNCTIONS),
        (5, 11, FUNCTIONS),
        (INITIALIZER, 6, 11, FUNCTIONS),
    ],
    ids=lambda path: "-".join(map(str, path)),
)
@pytest.mark.parametrize(
    "tensor",
    [TENSOR_NAME + ELSEWHERE, ELSEWHERE[:-2] + TENSOR_NAME, integer_field(14, 1), integer_field(14, 2**32 + 1)],
    ids=["whole", "unmarked", "no place", "long number"],
)
def test_external_data_is_found_wherever_a_tensor_may_be(path: tuple[int, ...], tensor: bytes) -> None:
    graph_before = bytes_field(GRAPH, bytes_field(2, b"harmless"))
    assert "external data" in refusal(graph_before + wrapped(tensor, *path) + metadata_entry("a", "1"))
    assert metadata_or_refusal(graph_before + wrapped(TENSOR_NAME + integer_field(14, 0), *path)) == {}


def test_a_field_number_that_other_readers_cut_short_is_refused() -> None:
    # Protocol buffers' C++ reader keeps 32 bits of a key: to it, these are the fields 13 and 14 of external data.
    location = bytes_field(1, b"location") + bytes_field(2, b"/etc/passwd")
    disguised = number(2**32 | 13 << 3 | 2) + number(len(location)) + location + number(2**32 | 14 << 3) + number(1)
    assert "field number" in refusal(wrapped(disguised, INITIALIZER, GRAPH))


def test_the_field_number_nought_is_refused() -> None:
    assert "field number 0" in refusal(b"\0\0" + bytes_field(GRAPH, b""))


@pytest.mark.parametrize("wire_type", [3, 4, 6, 7])
def test_groups_and_unknown_wire_types_are_refused(wire_type: int) -> None:
    assert f"wire type {wire_type}" in refusal(bytes_field(GRAPH, b"") + number(50 << 3 | wire_type))


def test_a_number_without_end_is_refused() -> None:
    assert "too long" in refusal(b"\xff" * 100)


def test_a_length_beyond_the_end_is_refused() -> None:
    assert "runs past the end" in refusal(number(GRAPH << 3 | 2) + number(2**62) + b"graph")


def test_graphs_within_graphs_are_followed_only_so_deep() -> None:
    deep = b""
    for _ in range(2000):
        deep = wrapped(deep, 6, ATTRIBUTE, NODE)
    assert refusal(bytes_field(GRAPH, deep)) == "its graphs are nested more than 32 deep"


def test_a_file_without_a_graph_is_refused() -> None:
    assert refusal(metadata_entry(CARD_KEY, "{}")) == "not an ONNX file: it holds no graph"


@pytest.mark.parametrize(
    "contents",
    [
        b"",
        b"\n",
        b"onnx",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"PK\x03\x04" + bytes(30),
        b"%PDF-1.7\n",
        b'{"schema": 1}',
        b"<html>",
    ],
)
def test_other_kinds_of_file_are_refused(contents: bytes) -> None:
    assert "not an ONNX file" in refusal(contents)


@pytest.mark.parametrize("name", ["tiny", "tiny_conditional", "external_subgraph"])
def test_a_file_cut_off_anywhere_is_refused_or_lacks_what_was_cut(models: Path, name: str) -> None:
    contents = (models / f"{name}.onnx").read_bytes()
    for kept in range(len(contents)):
        assert metadata_or_refusal(contents[:kept]) in (None, {})


def test_a_file_with_any_byte_changed_is_read_or_refused(models: Path) -> None:
    contents = (models / "tiny_conditional.onnx").read_bytes()
    for position in range(len(contents)):
        damaged = bytearray(contents)
        damaged[position] ^= 0xFF
        metadata_or_refusal(bytes(damaged))


def test_random_bytes_are_read_or_refused() -> None:
    noise = random.Random(1)
    for _ in range(3000):
        metadata_or_refusal(noise.randbytes(noise.randrange(60)))
        metadata_or_refusal(bytes_field(GRAPH, noise.randbytes(noise.randrange(60))))


def test_a_file_with_several_bytes_changed_is_read_or_refused(models: Path) -> None:
    contents = (models / "external_subgraph.onnx").read_bytes()
    noise = random.Random(2)
    for _ in range(1000):
        damaged = bytearray(contents)
        for _ in range(noise.randrange(1, 20)):
            damaged[noise.randrange(len(damaged))] = noise.randrange(256)
        metadata_or_refusal(bytes(damaged))


def test_a_file_is_read_whole(models: Path) -> None:
    path = models / "tiny.onnx"
    assert read_model_file(path) == path.read_bytes()


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    assert "No such file" in file_refusal(tmp_path / "absent.onnx")


def test_a_file_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    assert "Not a directory" in file_refusal(tmp_path / "file" / "model.onnx")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "it is a folder, not a file" in file_refusal(tmp_path)


def test_a_named_pipe_that_nobody_writes_into_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    assert "it is a named pipe, not a file" in file_refusal(tmp_path / "pipe.onnx")


def test_an_endless_device_is_refused_unread() -> None:
    assert "it is a device, not a file" in file_refusal(Path("/dev/zero"))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").touch()
    assert "is empty" in file_refusal(tmp_path / "empty.onnx")


def test_a_file_that_may_not_be_read_is_refused(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> BinaryIO:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(checked, "open_regular_file", refuse)
    assert "Permission denied" in file_refusal(models / "tiny.onnx")


def test_a_file_at_the_size_limit_is_read_and_a_larger_one_refused(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = models / "tiny.onnx"
    size = path.stat().st_size
    monkeypatch.setattr(checked, "LARGEST_FILE_BYTES", size)
    assert len(read_model_file(path)) == size
    monkeypatch.setattr(checked, "LARGEST_FILE_BYTES", size - 1)
    assert f"has {size:,} bytes: expected at most {size - 1:,}" in file_refusal(path)


def test_a_file_of_a_gigabyte_of_nothing_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "sparse.onnx"
    with path.open("wb") as file:
        file.truncate(2**30)
    assert f"expected at most {LARGEST_FILE_BYTES:,}" in file_refusal(path)
