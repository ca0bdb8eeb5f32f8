"""Writing files whole: the target is complete or as it was, and nothing else stays."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from drawings import contents
from full_disk import small_files_only
from strange_files import LINKS, put

from pocketgan.errors import OutputError
from pocketgan.files import (
    named_file,
    open_new_file,
    open_regular_file,
    open_to_continue,
    remove_temporaries,
    whole_file,
    write_whole_file,
)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "digit.png"


def test_what_was_written_is_the_target_and_nothing_else_is_there(target: Path) -> None:
    target.write_bytes(b"an older and longer file")
    with whole_file(target) as temporary:
        assert temporary == target.parent / f".digit.png.{os.getpid()}.tmp"
        temporary.write_bytes(b"whole")
        assert target.read_bytes() == b"an older and longer file"
    assert target.read_bytes() == b"whole"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_passes_and_leaves_the_target_as_it_was(target: Path, error: type[BaseException]) -> None:
    target.write_bytes(b"old")
    with pytest.raises(error), whole_file(target) as temporary:  # noqa: PT012
        temporary.write_bytes(b"half")
        raise error
    assert target.read_bytes() == b"old"
    assert list(target.parent.iterdir()) == [target]


def write_in_block(target: str, data: bytes) -> None:
    with whole_file(Path(target)) as temporary:
        temporary.write_bytes(data)


@pytest.mark.parametrize("write", [write_in_block, write_whole_file])
def test_a_full_disk_leaves_the_older_file(target: Path, write: Callable[[str, bytes], None]) -> None:
    target.write_bytes(b"old")
    with small_files_only(), pytest.raises(OutputError) as caught:
        write(str(target), bytes(2000))
    assert str(caught.value) == f"cannot write {target}: File too large"
    assert contents(target.parent) == {"digit.png": b"old"}


@pytest.mark.parametrize("write", [write_in_block, write_whole_file])
@pytest.mark.parametrize("place", ["absent/digit.png", "file/digit.png", "folder"])
def test_a_target_that_cannot_be_written_is_an_output_error(
    tmp_path: Path, place: str, write: Callable[[str, bytes], None]
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match=f"^cannot write {re.escape(str(tmp_path / place))}: "):
        write(str(tmp_path / place), b"whole")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_a_file_is_on_the_disk_before_it_gets_its_name(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def fsync(descriptor: int) -> None:
        seen.append((os.fstat(descriptor).st_size, target.read_bytes()))

        if len(seen) == 2:
            raise OSError(28, "No space left on device")

    target.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", fsync)
    write_in_block(str(target), b"whole")
    assert seen == [(5, b"old")]
    with pytest.raises(OutputError, match=r": No space left on device$"):
        write_in_block(str(target), b"newer")
    assert contents(target.parent) == {"digit.png": b"whole"}


def test_a_file_that_is_easily_made_again_does_not_wait_for_the_disk(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(descriptor: int) -> None:
        raise AssertionError

    monkeypatch.setattr(os, "fsync", fsync)
    with whole_file(target, is_synced=False) as temporary:
        temporary.write_bytes(b"whole")
    assert target.read_bytes() == b"whole"
    write_whole_file(str(target), b"new")  # shorter than before
    assert contents(target.parent) == {"digit.png": b"new"}


def test_an_interruption_of_a_small_file_passes_and_leaves_nothing(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(old: str, new: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole_file(str(target), b"whole")
    assert os.listdir(target.parent) == []


def test_what_a_kill_leaves_of_files_written_in_either_way_is_known_by_its_name(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def removed(*_: object) -> None:
        assert len(os.listdir(target.parent)) == 1
        remove_temporaries(target.parent, lambda name: name == target.name, is_alone=True)
        assert os.listdir(target.parent) == []
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), whole_file(target):
        removed()
    monkeypatch.setattr(os, "replace", removed)
    with pytest.raises(KeyboardInterrupt):
        write_whole_file(str(target), b"whole")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file of the user's that nothing in the folder may change."""
    (tmp_path / "outside").mkdir()
    file = tmp_path / "outside" / "letter"
    file.write_bytes(b"dear")
    return file


@pytest.mark.parametrize("kind", LINKS)
def test_a_temporary_file_is_new_whatever_has_its_name(target: Path, outside: Path, kind: str) -> None:
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    put(kind, temporary, outside)
    with whole_file(target) as file:
        file.write_bytes(b"whole")
    put(kind, temporary, outside)
    write_whole_file(str(target), b"another")
    assert target.read_bytes() == b"another"
    assert not target.is_symlink()
    assert [(file.name, file.read_bytes()) for file in outside.parent.iterdir()] == [("letter", b"dear")]
    assert not os.path.lexists(temporary)


@pytest.mark.parametrize("kind", [*LINKS, "named pipe"])
def test_a_new_file_takes_the_place_of_whatever_was_there(target: Path, outside: Path, kind: str) -> None:
    put(kind, target, outside)
    with open_new_file(target) as file:
        file.write(b"new")
    assert (target.read_bytes(), target.is_symlink()) == (b"new", False)
    assert [(file.name, file.read_bytes()) for file in outside.parent.iterdir()] == [("letter", b"dear")]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("symbolic link", "it is a symbolic link: move it away"),
        ("link to nothing", "it is a symbolic link: move it away"),
        ("hard link", "it has another hard link, which would change too: move it away"),
        ("named pipe", "it is a named pipe, not a file"),
        ("socket", "it is a socket, not a file"),
    ],
)
def test_only_a_file_of_its_own_is_continued(target: Path, outside: Path, kind: str, said: str) -> None:
    put(kind, target, outside)
    with pytest.raises(OSError, match=re.escape(said)) as caught:
        open_to_continue(target)
    assert (caught.value.strerror, caught.value.filename) == (said, str(target))
    assert [(file.name, file.read_bytes()) for file in outside.parent.iterdir()] == [("letter", b"dear")]


def test_a_file_is_continued(target: Path) -> None:
    target.write_bytes(b"first second")
    with open_to_continue(target) as file:
        file.write(b"FIRST")
    assert target.read_bytes() == b"FIRST second"


@pytest.mark.parametrize("kind", ["named pipe", "socket", "device", "folder"])
def test_what_is_no_file_is_not_read_and_not_waited_for(target: Path, outside: Path, kind: str) -> None:
    put(kind, target, outside)
    with pytest.raises(OSError, match=f"it is a {kind}, not a file"):
        open_regular_file(target)


def test_a_link_to_a_file_is_read(target: Path, outside: Path) -> None:
    put("symbolic link", target, outside)
    with open_regular_file(target) as file:
        assert file.read() == b"dear"


def test_a_file_that_the_user_names_may_be_a_chain_of_links_and_need_not_be_there(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    (tmp_path / "model.onnx").symlink_to("latest.onnx")
    (tmp_path / "latest.onnx").symlink_to("shared/v1.onnx")
    assert named_file(tmp_path / "model.onnx") == folder / "v1.onnx"
    (folder / "v1.onnx").touch()
    assert named_file(tmp_path / "model.onnx") == folder / "v1.onnx"
    assert named_file(folder / "v1.onnx") == folder / "v1.onnx"
    assert named_file(Path("absent.onnx")) == Path("absent.onnx")


@pytest.mark.parametrize("kind", ["named pipe", "socket", "device", "folder"])
def test_a_file_that_the_user_names_takes_the_place_of_a_file_only(target: Path, outside: Path, kind: str) -> None:
    put(kind, target, outside)
    with pytest.raises(OutputError, match=f"^cannot write {re.escape(str(target))}: it is a {kind}, not a file$"):
        named_file(target)


def test_links_in_a_circle_are_no_file_to_write(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OutputError, match=r"^cannot write .*a: Too many levels of symbolic links$"):
        named_file(tmp_path / "a")
