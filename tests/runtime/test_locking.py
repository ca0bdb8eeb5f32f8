"""Locks between processes: one holder at a time, and nothing left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pocketgan.locking import locked_or_refused


def test_a_lock_has_one_holder_and_is_gone_after_it(tmp_path: Path) -> None:
    with locked_or_refused(tmp_path / "lock"):
        with pytest.raises(BlockingIOError, match="lock is locked"), locked_or_refused(tmp_path / "lock"):
            pass
        assert os.listdir(tmp_path) == ["lock"]
    assert os.listdir(tmp_path) == []
    with locked_or_refused(tmp_path / "lock"):
        pass


def test_a_lock_is_free_again_when_its_holder_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="half-way"), locked_or_refused(tmp_path / "lock"):
        raise ValueError("half-way")
    assert os.listdir(tmp_path) == []


def test_a_killed_holder_leaves_a_file_that_locks_nobody_out(tmp_path: Path) -> None:
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
    # As if the last holder removed it between the opening and the locking here, and a third one made it anew.
    from pocketgan import locking

    def replaced(file: object) -> bool:
        (tmp_path / "lock").unlink()
        (tmp_path / "lock").touch()
        return True

    monkeypatch.setattr(locking, "_is_lock_taken_now", replaced)
    with pytest.raises(BlockingIOError), locked_or_refused(tmp_path / "lock"):
        pass
    assert os.listdir(tmp_path) == ["lock"]


def test_a_place_that_cannot_be_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), locked_or_refused(tmp_path / "absent" / "lock"):
        pass
