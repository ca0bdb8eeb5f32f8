"""The folder that files go to: made where possible, searched for older files, and cleared of what killed runs left."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pocketgan.errors import OutputError
from pocketgan.files import file_names, made_folder, prepare_folder, refuse_overwriting, remove_temporaries


def test_a_folder_is_made_with_its_parents_and_then_stays_as_it_is(tmp_path: Path) -> None:
    prepare_folder(tmp_path / "a" / "b")
    (tmp_path / "a" / "b" / "notes.txt").write_text("mine")
    prepare_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("file", "output {}/file is a file, expected a folder or a free name: choose another --cache"),
        ("file/digits", "cannot make the folder {}/file/digits: Not a directory; choose another --cache"),
        ("link", "output {}/link is a link that leads nowhere, expected a folder or a free name: choose another --cache"),
        ("link/digits", "output {}/link is a link that leads nowhere, expected a folder or a free name: choose another --cache"),
        ("x" * 300, "cannot make the folder {}/" + "x" * 300 + ": File name too long; choose another --cache"),
    ],
    ids=["file", "below a file", "link", "below a link", "long name"],
)
def test_a_folder_that_cannot_be_made_is_refused_and_what_is_there_stays(tmp_path: Path, place: str, message: str) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "absent")
    with pytest.raises(OutputError) as caught:
        prepare_folder(tmp_path / place, "--cache")
    assert str(caught.value) == message.format(tmp_path)
    with pytest.raises(OutputError, match=r"choose another --out$"), made_folder(tmp_path / place):
        pass
    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["file", "link"]


def test_a_working_folder_that_is_gone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(OutputError, match=r"^cannot make the folder digits: the working folder is gone; choose another --out$"):
        prepare_folder(Path("digits"))


def test_a_folder_is_made_for_a_block_and_stays_when_it_ends_well(tmp_path: Path) -> None:
    with made_folder(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize("error", [OutputError("full"), KeyboardInterrupt()], ids=repr)
def test_a_folder_that_was_made_goes_when_its_block_fails_and_its_parents_that_were_made(
    tmp_path: Path, error: BaseException
) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(type(error)) as caught, made_folder(tmp_path / "there" / "a" / "b"):
        raise error
    assert caught.value is error
    assert os.listdir(tmp_path) == ["there"]
    assert os.listdir(tmp_path / "there") == []


def test_a_folder_that_was_there_stays_when_its_block_fails(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(OutputError), made_folder(tmp_path / "there"):
        raise OutputError("full")
    assert os.listdir(tmp_path) == ["there"]


@pytest.mark.parametrize("place", ["a/b/image.png", "a/image.png"])
def test_folders_that_hold_something_stay_when_their_block_fails(tmp_path: Path, place: str) -> None:
    with pytest.raises(OutputError), made_folder(tmp_path / "a" / "b"):  # noqa: PT012
        (tmp_path / place).touch()
        raise OutputError("full")
    assert (tmp_path / place).exists()
    assert (tmp_path / "a" / "b").exists() == (place == "a/b/image.png")


def test_the_names_in_a_folder_are_those_of_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("a.png", ".hidden", "folder/b.png"):
        (tmp_path / name).touch()
    assert sorted(file_names(tmp_path)) == [".hidden", "a.png", "folder"]


@pytest.mark.parametrize("place", ["absent", "absent/digits", "file", "file/digits"])
def test_where_no_folder_is_there_are_no_names(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    assert list(file_names(tmp_path / place)) == []


@pytest.mark.parametrize("look", [file_names, lambda folder: remove_temporaries(folder, lambda name: True, is_alone=True)])
def test_a_folder_that_cannot_be_read_is_an_output_error(tmp_path: Path, look: Callable[[Path], object]) -> None:
    with pytest.raises(OutputError, match=r"^cannot read the folder .*: File name too long; choose another --out$"):
        list(look(tmp_path / ("x" * 300)))  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("can_resume", "differences", "message"),
    [
        (False, [], ": use --overwrite, or another --out"),
        (True, [], ": use --resume to complete that run, --overwrite, or another --out"),
        (True, ["a is 1 there", "b"], " (of another run: a is 1 there; b): use --overwrite, or another --out"),
    ],
)
def test_files_that_exist_are_refused(tmp_path: Path, can_resume: bool, differences: list[str], message: str) -> None:
    refuse_overwriting([], can_resume, differences)
    with pytest.raises(OutputError) as caught:
        refuse_overwriting([tmp_path / "grid.png"], can_resume, differences)
    assert str(caught.value) == f"{tmp_path / 'grid.png'} exists already{message}"


def test_of_several_files_the_smallest_is_named_and_the_others_counted(tmp_path: Path) -> None:
    indices = [*range(1000, 1500), *range(3, 1000)]
    with pytest.raises(OutputError, match=r"00000003\.png exists already, as do 1,496 more: use"):
        refuse_overwriting((tmp_path / f"{index:08d}.png" for index in indices), can_resume=False, differences=[])


@pytest.mark.parametrize(
    ("name", "is_removed"),
    [
        (".digits.npz.123.tmp", True),
        (".digits.npz.99999999999999999999.tmp", True),
        (".digits.npz.part", False),
        (".digits.npz.tmp", False),
        (".digits.npz.12x.tmp", False),
        (".digits.npz.\u0661.tmp", False),
        ("..digits.npz.1.tmp", False),
        (".digits.npz.123.tmp.bak", False),
        ("digits.npz.123.tmp", False),
        (".other.npz.123.tmp", False),
        (".digits.npz", False),
        ("digits.npz", False),
    ],
)
def test_only_our_own_half_written_files_are_removed(tmp_path: Path, name: str, is_removed: bool) -> None:
    (tmp_path / name).touch()
    remove_temporaries(tmp_path, lambda whole: whole == "digits.npz", is_alone=True)
    assert os.listdir(tmp_path) == [name] * (not is_removed)


def test_temporary_files_of_processes_that_run_stay_unless_nobody_else_can_be_writing(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    running = f".digits.npz.{os.getpid()}.tmp"
    for number in (process.pid, os.getpid(), 99999999999999999999):
        (tmp_path / f".digits.npz.{number}.tmp").touch()
    remove_temporaries(tmp_path, lambda whole: whole == "digits.npz", is_alone=False)
    assert os.listdir(tmp_path) == [running]
    remove_temporaries(tmp_path, lambda whole: whole == "digits.npz", is_alone=True)
    assert os.listdir(tmp_path) == []


def test_a_leftover_that_cannot_be_removed_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / ".digits.npz.123.tmp").mkdir()
    with pytest.raises(OutputError, match=r"^cannot remove .*\.tmp, a file that a killed run left unfinished: "):
        remove_temporaries(tmp_path, lambda whole: True, is_alone=True)
