"""Locks between processes: one holder at a time, also of several users, and nothing left behind."""

import errno
import fcntl
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from strange_files import put

from pocketgan.locking import locked, locked_or_refused

ANOTHER_USER = 65534


def test_a_lock_has_one_holder_and_is_gone_after_it(tmp_path: Path) -> None:
    with locked_or_refused(tmp_path / "lock"):
        with pytest.raises(BlockingIOError, match="lock is locked"), locked_or_refused(tmp_path / "lock"):
            pass
        assert os.listdir(tmp_path) == ["lock"]
    assert os.listdir(tmp_path) == []
    with pytest.raises(ValueError, match="half-way"), locked_or_refused(tmp_path / "lock"):
        raise ValueError("half-way")
    assert os.listdir(tmp_path) == []


def test_a_lock_is_free_again_when_its_holder_is_killed(tmp_path: Path) -> None:
    script = """if True:
        import sys, time
        from pathlib import Path
        from pocketgan.locking import locked_or_refused
        with locked_or_refused(Path("lock")):
            print("held", flush=True)
            time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(BlockingIOError), locked_or_refused(tmp_path / "lock"):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    assert os.listdir(tmp_path) == ["lock"]
    with locked_or_refused(tmp_path / "lock"):
        pass
    assert os.listdir(tmp_path) == []


def test_a_lock_file_that_its_last_holder_removed_meanwhile_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As if the last holder removed it after it was opened here, and a third process created it again.
    from pocketgan import locking

    def replaced(file: object) -> bool:
        (tmp_path / "lock").unlink()
        (tmp_path / "lock").touch()
        return True

    monkeypatch.setattr(locking, "_try_lock", replaced)
    with pytest.raises(BlockingIOError), locked_or_refused(tmp_path / "lock"):
        pass
    assert os.listdir(tmp_path) == ["lock"]


def test_a_missing_folder_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), locked_or_refused(tmp_path / "absent" / "lock"):
        pass


@pytest.mark.parametrize("lock", [locked, locked_or_refused])
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("symbolic link", "it is a symbolic link: move it away"),
        ("link to nothing", "it is a symbolic link: move it away"),
        ("named pipe", "it is a named pipe, not a file"),
        ("socket", "it is a socket, not a file"),
    ],
)
def test_only_regular_files_are_locked(
    tmp_path: Path, lock: Callable[[Path], AbstractContextManager[None]], kind: str, message: str
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "letter").touch()
    put(kind, tmp_path / "lock", tmp_path / "outside" / "letter")
    with pytest.raises(OSError, match=message), lock(tmp_path / "lock"):
        pass
    assert os.listdir(tmp_path / "outside") == ["letter"]
    assert os.path.lexists(tmp_path / "lock")


def test_a_lock_that_is_a_hard_link_leaves_the_other_file_as_it_is(tmp_path: Path) -> None:
    letter = tmp_path / "letter"
    letter.touch(0o600)
    (tmp_path / "lock").hardlink_to(letter)
    with locked_or_refused(tmp_path / "lock"):
        pass
    assert letter.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["letter"]


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that everybody may write into, which pytest's own are not."""
    if os.geteuid() != 0:
        pytest.skip("needs to be root, to become another user")
    with TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


@contextmanager
def another_user() -> Iterator[None]:
    os.seteuid(ANOTHER_USER)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture(params=[0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.parametrize("mode", [0o777, 0o1777], ids=["shared", "sticky"])
@pytest.mark.usefixtures("umask")
def test_a_lock_that_was_left_can_be_taken_by_another_user(shared_folder: Path, mode: int) -> None:
    shared_folder.chmod(mode)
    lock = shared_folder / "lock"
    with locked(lock):
        pass  # whose file stays, as if it had been killed
    for _ in range(2):
        with another_user(), locked_or_refused(lock):
            with pytest.raises(BlockingIOError), locked_or_refused(lock):
                pass
            assert lock.exists()
    assert lock.exists() == (mode == 0o1777)  # where nobody may remove what is another's


@pytest.mark.usefixtures("umask")
def test_another_users_lock_is_respected(shared_folder: Path) -> None:
    lock = shared_folder / "lock"
    with locked_or_refused(lock):
        with pytest.raises(BlockingIOError), another_user(), locked_or_refused(lock):
            pass
        assert lock.exists()


def test_another_users_lock_that_may_not_be_opened_is_named(shared_folder: Path) -> None:
    (shared_folder / "lock").touch(0o600)
    with pytest.raises(PermissionError) as caught, another_user(), locked_or_refused(shared_folder / "lock"):
        pass
    assert caught.value.strerror == "the lock lock belongs to another user, who holds it or has to remove it"


def test_where_only_writable_files_can_be_locked_another_users_lock_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_writing(*_: object) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(fcntl, "flock", no_writing)
    with (
        pytest.raises(PermissionError, match="the lock lock belongs to another user"),
        locked_or_refused(tmp_path / "lock"),
    ):
        pass


def test_a_folder_without_permission_to_write_is_an_os_error(shared_folder: Path) -> None:
    shared_folder.chmod(0o755)
    message = re.escape(os.strerror(errno.EACCES))
    with pytest.raises(PermissionError, match=message), another_user(), locked_or_refused(shared_folder / "lock"):
        pass
