"""The folder that files go to: made where possible, searched for older files, and cleared of what killed runs left."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pocketgan.errors import OutputError
from pocketgan.files import file_names, made_folder, prepare_folder, refuse_overwriting, remove_temporaries


def test_a_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    prepare_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    prepare_folder(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_file_where_the_folder_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "digits").touch()
    with pytest.raises(OutputError) as caught:
        prepare_folder(tmp_path / "digits")
    assert str(caught.value) == (
        f"output {tmp_path / 'digits'} is a file, expected a folder or a free name: choose another --out"
    )


@pytest.mark.parametrize("place", ["link", "link/digits"])
def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "absent")
    said = f"^output {tmp_path / 'link'} is a link that leads nowhere, expected a folder or a free name: "
    with pytest.raises(OutputError, match=said):
        prepare_folder(tmp_path / place)


@pytest.mark.parametrize("place", ["file/digits", "x" * 300])
def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"^cannot make the folder .*; choose another --out$"):
        prepare_folder(tmp_path / place)


def test_a_working_folder_that_is_gone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(OutputError, match=r"^cannot make the folder digits: the working folder is gone; choose another --out$"):
        prepare_folder(Path("digits"))


@pytest.mark.parametrize("place", ["file", "file/digits"])
def test_a_folder_that_cannot_be_made_is_told_by_the_option_it_came_from(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"choose another --cache$"):
        prepare_folder(tmp_path / place, "--cache")


def test_a_folder_is_made_for_a_block_and_stays_when_it_ends_well(tmp_path: Path) -> None:
    with made_folder(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize("error", [OutputError("full"), KeyboardInterrupt(), SystemExit(1)], ids=repr)
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


@pytest.mark.parametrize("place", ["file", "file/digits"])
def test_a_file_in_the_way_of_a_folder_stays(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError), made_folder(tmp_path / place):
        pass
    assert (tmp_path / "file").read_text() == "mine"


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


@pytest.mark.parametrize("can_resume", [False, True])
def test_without_files_nothing_is_refused(can_resume: bool) -> None:
    refuse_overwriting([], can_resume)


@pytest.mark.parametrize(
    ("can_resume", "message"),
    [
        (False, "use --overwrite, or another --out"),
        (True, "use --resume to complete that run, --overwrite, or another --out"),
    ],
)
def test_files_that_exist_are_refused(tmp_path: Path, can_resume: bool, message: str) -> None:
    with pytest.raises(OutputError) as caught:
        refuse_overwriting([tmp_path / "grid.png"], can_resume)
    assert str(caught.value) == f"{tmp_path / 'grid.png'} exists already: {message}"


def test_of_several_files_the_smallest_is_named_and_the_others_counted(tmp_path: Path) -> None:
    indices = [*range(1000, 1500), *range(3, 1000)]
    with pytest.raises(OutputError, match=r"00000003\.png exists already, as do 1,496 more: use"):
        refuse_overwriting((tmp_path / f"{index:08d}.png" for index in indices), can_resume=False)


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
