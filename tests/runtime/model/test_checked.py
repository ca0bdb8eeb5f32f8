"""The one door for a model file: what is read of it, in one pass, and what is refused with which words."""

import hashlib
import os
import random
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import onnxruntime
import pytest
from hostile_files import CONSTANTS, IMAGES, NODES, Z, harmless
from onnx_bytes import FLOAT, constant, model
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
DATA_LOCATION = 14
ELSEWHERE = bytes_field(13, bytes_field(1, b"location") + bytes_field(2, b"/etc/passwd")) + integer_field(DATA_LOCATION, 1)


def refusal(contents: bytes) -> str:
    """Return what reading metadata and graph is refused with: one line."""

    def read() -> None:
        read_metadata(contents)
        check_graph(contents)

    with pytest.raises(ModelError) as caught:
        read()
    message = str(caught.value)
    assert "\n" not in message
    return message


def file_refusal(path: Path) -> str:
    """Return what the file is refused with: one line that begins with its path."""
    with pytest.raises(ModelError) as caught:
        read_model(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"model {path}: ")
    return message


def metadata_or_refusal(contents: bytes) -> dict[str, str] | None:
    """Return the metadata, or None if the bytes are refused. Any other error passes, also one of the graph's reader."""
    try:
        metadata = read_metadata(contents)
    except ModelError:
        metadata = None
    with suppress(ModelError):
        check_graph(contents)
    return metadata


def test_a_good_file_comes_with_all_that_was_learned_of_it(models: Path) -> None:
    path = models / "tiny.onnx"
    contents = path.read_bytes()
    sha256 = hashlib.sha256(contents).hexdigest()
    expected = CheckedModel(Location(path, "as named"), contents, sha256, read_card(contents), check_graph(contents))
    assert read_model(path) == inspect_model(path) == expected


@pytest.mark.parametrize(
    ("name", "has_card", "said"),
    [
        ("no_card", False, "it has no pocketgan model card"),
        ("card_of_schema_2", False, "the model card has schema 2"),
        ("external_initializer", True, "it keeps weights in another file"),
        ("draws_twice_as_many", True, "its output 'images' has the shape"),
    ],
)
def test_of_a_bad_file_is_kept_what_was_learned_before_it_was_refused(models: Path, name: str, has_card: bool, said: str) -> None:
    path = models / f"{name}.onnx"
    found = inspect_model(path)
    assert isinstance(found, UnusableModel)
    assert (found.location, found.contents) == (Location(path, "as named"), path.read_bytes())
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (found.card is not None) == has_card
    assert str(found.error).startswith(f"model {path}: {said}")
    with pytest.raises(type(found.error), match=said):
        read_model(path)


@pytest.mark.parametrize("name", ["tiny", "tiny_conditional", "no_card"])
def test_metadata_is_what_onnxruntime_says(models: Path, name: str) -> None:
    contents = (models / f"{name}.onnx").read_bytes()
    session = onnxruntime.InferenceSession(contents, providers=["CPUExecutionProvider"])
    assert read_metadata(contents) == session.get_modelmeta().custom_metadata_map


def test_the_last_metadata_entry_of_a_key_counts_as_in_onnxruntime(models: Path) -> None:
    contents = (models / "no_card.onnx").read_bytes()
    contents += metadata_entry("a", "1") + metadata_entry("b", "é") + metadata_entry("a", "2") + metadata_entry("", "")
    session = onnxruntime.InferenceSession(contents, providers=["CPUExecutionProvider"])
    assert read_metadata(contents) == {"a": "2", "b": "é", "": ""} == session.get_modelmeta().custom_metadata_map


def test_an_entry_without_a_value_is_empty() -> None:
    contents = bytes_field(GRAPH, b"") + bytes_field(METADATA, bytes_field(1, b"key")) + bytes_field(METADATA, b"")
    assert read_metadata(contents) == {"key": "", "": ""}


def test_more_metadata_than_a_card_needs_is_refused() -> None:
    most = metadata_entry("a", "x" * (LARGEST_METADATA_BYTES - 7))
    assert len(read_metadata(bytes_field(GRAPH, b"") + most)["a"]) == LARGEST_METADATA_BYTES - 7
    message = refusal(bytes_field(GRAPH, b"") + most + metadata_entry("b", ""))
    assert message == "it has more than 1,048,576 bytes of metadata, expected a model card"


def test_a_card_is_read_whatever_the_graph_is(models: Path) -> None:
    contents = (models / "tiny.onnx").read_bytes()
    assert read_card(contents) == read_card(contents.replace(b"QuantizeLinear", b"QuantizeCircle"))
    assert read_card(contents).name == "tiny"


def test_a_file_without_a_card_is_a_card_error(models: Path) -> None:
    with pytest.raises(CardError, match="it has no pocketgan model card: expected a file made by gan-export"):
        read_card((models / "no_card.onnx").read_bytes())


def test_metadata_that_is_not_text_is_refused() -> None:
    assert "not an ONNX file" in refusal(bytes_field(GRAPH, b"") + bytes_field(METADATA, bytes_field(1, b"\xff\xfe")))


def test_fields_of_every_kind_that_are_not_known_are_passed_over_in_search_of_the_card() -> None:
    unknown = integer_field(99, 2**63) + number(98 << 3 | 1) + bytes(8) + bytes_field(97, b"?") + number(96 << 3 | 5) + bytes(4)
    assert read_metadata(unknown + bytes_field(GRAPH, unknown) + metadata_entry("a", "1") + unknown) == {"a": "1"}


def with_constant(more: bytes) -> bytes:
    """Return a harmless model with one more constant, that has these further fields."""
    return model(NODES, [*CONSTANTS, constant("extra", [1], FLOAT) + more], [Z], [IMAGES], "{}")


@pytest.mark.parametrize(
    "more", [ELSEWHERE, ELSEWHERE[:-2], integer_field(DATA_LOCATION, 1), integer_field(DATA_LOCATION, 2**32 + 1)]
)
def test_a_constant_that_is_kept_in_another_file_is_refused_as_such(more: bytes) -> None:
    assert refusal(with_constant(more)) == (
        "it keeps weights in another file (external data): expected one file with everything inside"
    )


def test_a_constant_that_says_that_it_is_kept_here_is_not_what_gan_export_writes() -> None:
    assert "its tensor has a field 14 that gan-export does not write" in refusal(with_constant(integer_field(DATA_LOCATION, 0)))


@pytest.mark.parametrize("name", ["initializer", "subgraph", "attribute", "function"])
def test_external_data_anywhere_in_real_files_is_refused(models: Path, name: str) -> None:
    contents = (models / f"external_{name}.onnx").read_bytes()
    assert refusal(contents)
    assert ("external data" in refusal(contents)) == (name == "initializer")


def test_a_field_number_that_other_readers_cut_short_is_refused() -> None:
    # Protocol buffers' C++ reader keeps 32 bits of a key: to it, these are the fields 13 and 14 of external data.
    location = bytes_field(1, b"location") + bytes_field(2, b"/etc/passwd")
    disguised = number(2**32 | 13 << 3 | 2) + number(len(location)) + location + number(2**32 | 14 << 3) + number(1)
    assert "not an ONNX file, or a damaged one: field number" in refusal(with_constant(disguised))


def test_a_file_without_a_graph_is_refused() -> None:
    assert refusal(metadata_entry(CARD_KEY, "{}")) == "not an ONNX file: it holds no graph"
    assert refusal(integer_field(GRAPH, 1)) == "not an ONNX file: it holds no graph"


@pytest.mark.parametrize("contents", [b"", b"\n", b"\x89PNG\r\n\x1a\n" + bytes(100), b"PK\x03\x04" + bytes(30), b"<html>"])
def test_other_kinds_of_file_are_refused(contents: bytes) -> None:
    assert "not an ONNX file" in refusal(contents)


def test_a_file_cut_off_anywhere_is_refused_or_lacks_what_was_cut(models: Path) -> None:
    contents = (models / "tiny_conditional.onnx").read_bytes()
    for kept in range(len(contents)):
        assert metadata_or_refusal(contents[:kept]) in (None, {})


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


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link.onnx").symlink_to("absent.onnx")
    (tmp_path / "file").write_bytes(b"x")
    for name in ("link.onnx", "absent.onnx", "file/model.onnx"):
        with pytest.raises(ModelError, match=r"^no model .*: expected a file, or the name of a bundled model"):
            read_model(tmp_path / name)


def test_a_folder_a_device_and_a_pipe_that_nobody_writes_into_are_refused_unread(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    assert "it is a folder, not a file" in file_refusal(tmp_path)
    assert "it is a named pipe, not a file" in file_refusal(tmp_path / "pipe.onnx")
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
    assert len(read_model(path).contents) == size
    monkeypatch.setattr(checked, "LARGEST_FILE_BYTES", size - 1)
    assert f"has {size:,} bytes: expected at most {size - 1:,}" in file_refusal(path)


def test_a_file_of_a_gigabyte_of_nothing_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "sparse.onnx"
    with path.open("wb") as file:
        file.truncate(2**30)
    assert f"expected at most {LARGEST_FILE_BYTES:,}" in file_refusal(path)
