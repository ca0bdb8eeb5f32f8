"""Finding, reading and checking a model file: what is returned, and which files are refused with which message."""

import hashlib
import os
import random
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import onnxruntime
import pytest
from hostile_files import harmless, with_constant
from onnx_bytes import constant
from protobuf_bytes import bytes_field, integer_field, metadata_entry, number

from pocketgan.errors import CardError, ModelError
from pocketgan.model import checked
from pocketgan.model.card import CARD_KEY
from pocketgan.model.checked import (
    LARGEST_FILE_BYTES,
    LARGEST_METADATA_BYTES,
    CheckedModel,
    Location,
    UnusableModel,
    inspect_model,
    read_card,
    read_metadata,
    read_model,
)
from pocketgan.model.limits import check_graph

GRAPH, METADATA = 7, 14
EMPTY_GRAPH = bytes_field(GRAPH, b"")
DATA_LOCATION = 14
LOCATION = bytes_field(1, b"location") + bytes_field(2, b"/etc/passwd")
EXTERNAL = bytes_field(13, LOCATION) + integer_field(DATA_LOCATION, 1)


def refusal(contents: bytes) -> str:
    """Return the one-line error for bytes whose metadata and graph are read."""
    with pytest.raises(ModelError) as caught:  # noqa: PT012
        read_metadata(contents)
        check_graph(contents)
    message = str(caught.value)
    assert "\n" not in message
    return message


def file_refusal(path: Path) -> str:
    """Return the one-line error for a file, without its path."""
    with pytest.raises(ModelError) as caught:
        read_model(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"model {path}: ")
    return message.removeprefix(f"model {path}: ")


def test_a_valid_file_is_returned_with_all_its_facts(models: Path) -> None:
    path = models / "tiny.onnx"
    contents = path.read_bytes()
    sha256 = hashlib.sha256(contents).hexdigest()
    expected = CheckedModel(Location(path, "as named"), contents, sha256, read_card(contents), check_graph(contents))
    assert read_model(path) == inspect_model(path) == expected


@pytest.mark.parametrize(
    ("name", "has_card", "message"),
    [
        ("no_card", False, "it has no pocketgan model card"),
        ("card_of_schema_2", False, "the model card has schema 2"),
        ("external_initializer", True, "it keeps weights in another file"),
        ("draws_twice_as_many", True, "its output 'images' has the shape"),
    ],
)
def test_an_unusable_file_is_returned_with_what_could_be_read(models: Path, name: str, has_card: bool, message: str) -> None:
    path = models / f"{name}.onnx"
    found = inspect_model(path)
    assert isinstance(found, UnusableModel)
    assert (found.location, found.contents) == (Location(path, "as named"), path.read_bytes())
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (found.card is not None) == has_card
    assert isinstance(found.error, ModelError if has_card else CardError)
    assert file_refusal(path).startswith(message)


@pytest.mark.parametrize("name", ["tiny", "tiny_conditional", "no_card"])
def test_metadata_is_the_same_as_in_onnxruntime_and_the_last_entry_of_a_key_counts(models: Path, name: str) -> None:
    contents = (models / f"{name}.onnx").read_bytes()
    for more in (b"", metadata_entry("a", "1") + metadata_entry("b", "é") + metadata_entry("a", "2") + metadata_entry("", "")):
        session = onnxruntime.InferenceSession(contents + more, providers=["CPUExecutionProvider"])
        assert read_metadata(contents + more) == session.get_modelmeta().custom_metadata_map


def test_metadata_is_found_among_unknown_and_incomplete_fields() -> None:
    unknown = integer_field(99, 2**63) + number(98 << 3 | 1) + bytes(8) + bytes_field(97, b"?") + number(96 << 3 | 5) + bytes(4)
    entries = metadata_entry("a", "1") + bytes_field(METADATA, bytes_field(1, b"key")) + bytes_field(METADATA, b"")
    assert read_metadata(unknown + bytes_field(GRAPH, unknown) + entries + unknown) == {"a": "1", "key": "", "": ""}


def test_too_much_metadata_is_refused() -> None:
    most = EMPTY_GRAPH + metadata_entry("a", "x" * (LARGEST_METADATA_BYTES - 7))
    assert len(read_metadata(most)["a"]) == LARGEST_METADATA_BYTES - 7
    assert refusal(most + metadata_entry("b", "")) == "it has more than 1,048,576 bytes of metadata, expected a model card"


def test_a_card_is_read_whatever_the_graph_is(models: Path) -> None:
    contents = (models / "tiny.onnx").read_bytes()
    assert read_card(contents) == read_card(contents.replace(b"QuantizeLinear", b"QuantizeCircle"))


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (metadata_entry(CARD_KEY, "{}"), "it has no graph"),
        (integer_field(GRAPH, 1), "it has no graph"),
        (EMPTY_GRAPH + bytes_field(METADATA, bytes_field(1, b"\xff\xfe")), "or a damaged one: 'utf-8' codec"),
        (b"", ""),
        (b"\n", ""),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), ""),
        (b"PK\x03\x04" + bytes(30), ""),
        (b"<html>", ""),
    ],
)
def test_bytes_that_are_not_onnx_are_refused(contents: bytes, message: str) -> None:
    assert refusal(contents).startswith("not an ONNX file")
    assert message in refusal(contents)


EXTERNAL_DATA = "it keeps weights in another file (external data): expected one file with everything inside"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (EXTERNAL, EXTERNAL_DATA),
        (bytes_field(13, LOCATION), EXTERNAL_DATA),
        (integer_field(DATA_LOCATION, 1), EXTERNAL_DATA),
        (integer_field(DATA_LOCATION, 2**32 + 1), EXTERNAL_DATA),
        (integer_field(DATA_LOCATION, 0), "its tensor has a field 14 that gan-export does not write"),
        # The official C++ reader keeps 32 bits of a key, and would read these as the fields 13 and 14 of external data.
        (number(2**32 | 13 << 3 | 2) + number(len(LOCATION)) + LOCATION, "not an ONNX file, or a damaged one: field number"),
        (number(2**32 | 14 << 3) + number(1), "not an ONNX file, or a damaged one: field number"),
    ],
)
def test_a_constant_in_another_file_is_refused(more: bytes, message: str) -> None:
    assert refusal(with_constant(constant("extra", [1]) + more)).startswith(message)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("initializer", EXTERNAL_DATA),
        ("subgraph", "its attribute has a field 6"),
        ("attribute", "its attribute has a field 5"),
        ("function", "its model has a field 25"),
    ],
)
def test_external_data_anywhere_in_a_real_file_is_refused(models: Path, name: str, message: str) -> None:
    assert refusal((models / f"external_{name}.onnx").read_bytes()).startswith(message)


def metadata_or_refusal(contents: bytes) -> dict[str, str] | None:
    """Return the metadata, or None if the bytes are refused. Fails for any error but ModelError, also from the graph's reader."""
    with suppress(ModelError):
        check_graph(contents)
    try:
        return read_metadata(contents)
    except ModelError:
        return None


def test_a_truncated_file_is_refused_or_lacks_its_metadata(models: Path) -> None:
    contents = (models / "tiny_conditional.onnx").read_bytes()
    for length in range(len(contents)):
        assert metadata_or_refusal(contents[:length]) in (None, {})


def test_damaged_and_random_bytes_are_read_or_refused() -> None:
    contents = harmless("{}")
    noise = random.Random(1)
    for position in range(len(contents)):
        metadata_or_refusal(contents[:position] + bytes([contents[position] ^ 0xFF]) + contents[position + 1 :])
    for _ in range(1000):
        damaged = bytearray(contents)
        for _ in range(noise.randrange(1, 20)):
            damaged[noise.randrange(len(damaged))] = noise.randrange(256)
        metadata_or_refusal(bytes(damaged))
        metadata_or_refusal(noise.randbytes(noise.randrange(60)))
        metadata_or_refusal(bytes_field(GRAPH, noise.randbytes(noise.randrange(60))))


def test_a_path_that_is_not_a_readable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    (tmp_path / "empty.onnx").touch()
    assert "it is a folder, not a file" in file_refusal(tmp_path)
    assert "it is a named pipe, not a file" in file_refusal(tmp_path / "pipe.onnx")
    assert "it is a device, not a file" in file_refusal(Path("/dev/zero"))
    assert file_refusal(tmp_path / "empty.onnx").startswith("it is empty")

    def deny(path: Path) -> BinaryIO:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(checked, "open_regular_file", deny)
    assert "Permission denied" in file_refusal(tmp_path / "empty.onnx")


def test_a_file_at_the_size_limit_is_read_and_a_larger_one_refused(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "sparse.onnx").open("wb") as file:
        file.truncate(2**30)
    assert file_refusal(tmp_path / "sparse.onnx") == f"it has 1,073,741,824 bytes: expected at most {LARGEST_FILE_BYTES:,}"
    path = models / "tiny.onnx"
    size = path.stat().st_size
    monkeypatch.setattr(checked, "LARGEST_FILE_BYTES", size)
    assert len(read_model(path).contents) == size
    monkeypatch.setattr(checked, "LARGEST_FILE_BYTES", size - 1)
    assert file_refusal(path).startswith(f"it has {size:,} bytes")
