"""Downloading from a server on this machine that fails in every way that real ones do."""

import hashlib
import io
import random
import threading
from pathlib import Path

import pytest
from fake_mirror import (
    Answer,
    FakeMirror,
    answer_status,
    break_off,
    hang_up,
    serve,
    serve_marked_as_gzip,
    serve_other_bytes,
    serve_slowly,
    serve_without_length,
    stall,
)

from pocketgan_trainer.data import download as download_module
from pocketgan_trainer.data.download import download
from pocketgan_trainer.errors import DownloadError

CONTENTS = random.Random(1).randbytes(300_000)
DIGEST = hashlib.sha256(CONTENTS).hexdigest()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_module, "PAUSE_SECONDS", 0.0)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "digits.gz"


def names_beside(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir() if path.name != ".lock")


def refusal(urls: list[str], target: Path) -> str:
    """Return the one line with which the download fails; nothing may lie at the target then."""
    with pytest.raises(DownloadError) as caught:
        download(urls, target, DIGEST)
    assert not target.exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_arrives_whole_and_alone(target: Path) -> None:
    with FakeMirror(CONTENTS) as mirror:
        download([mirror.url], target, DIGEST)
    assert target.read_bytes() == CONTENTS
    assert names_beside(target) == ["digits.gz"]
    assert len(mirror.paths) == 1


def test_a_file_that_is_there_is_not_fetched_again(target: Path, closed_port_url: str) -> None:
    target.parent.mkdir()
    target.write_bytes(CONTENTS)
    download([closed_port_url], target, DIGEST)
    assert target.read_bytes() == CONTENTS


@pytest.mark.parametrize(
    "failure",
    [break_off, answer_status(503), answer_status(429), hang_up],
    ids=["broken off", "503", "429", "hang up"],
)
def test_a_failure_that_may_pass_is_tried_again(target: Path, failure: Answer) -> None:
    with FakeMirror(CONTENTS, failure, failure, serve) as mirror:
        download([mirror.url], target, DIGEST)
    assert target.read_bytes() == CONTENTS
    assert names_beside(target) == ["digits.gz"]


def test_a_connection_that_falls_silent_is_tried_again(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_module, "TIMEOUT_SECONDS", 0.3)
    with FakeMirror(CONTENTS, stall, serve) as mirror:
        download([mirror.url], target, DIGEST)
    assert target.read_bytes() == CONTENTS


def test_a_connection_that_always_breaks_off_leaves_nothing_behind(target: Path) -> None:
    with FakeMirror(CONTENTS, break_off) as mirror:
        assert "the connection broke off after 150000 of 300000 bytes, at attempt 3" in refusal([mirror.url], target)
    assert names_beside(target) == []


@pytest.mark.parametrize("answer", [serve_without_length, serve_marked_as_gzip])
def test_the_very_bytes_of_the_body_are_taken(target: Path, answer: Answer) -> None:
    with FakeMirror(CONTENTS, answer) as mirror:
        download([mirror.url], target, DIGEST)
    assert target.read_bytes() == CONTENTS


def test_wrong_bytes_are_deleted_and_the_next_mirror_is_used(target: Path) -> None:
    with FakeMirror(CONTENTS, serve_other_bytes) as first, FakeMirror(CONTENTS) as second:
        download([first.url, second.url], target, DIGEST)
    assert target.read_bytes() == CONTENTS
    assert len(first.paths) == len(second.paths) == 1


def test_wrong_bytes_everywhere_leave_nothing_behind(target: Path) -> None:
    with FakeMirror(CONTENTS, serve_other_bytes) as mirror:
        message = refusal([mirror.url, mirror.url], target)
    assert message.count(f"the SHA-256 of what it sent is not {DIGEST}") == 2
    assert names_beside(target) == []


def test_a_body_without_end_is_cut_off(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_module, "LARGEST_DOWNLOAD", 1000)
    with FakeMirror(CONTENTS) as mirror:
        assert "it sent more than 1000 bytes" in refusal([mirror.url], target)
    assert names_beside(target) == []


def test_a_404_everywhere_names_each_mirror_after_one_attempt(target: Path) -> None:
    with FakeMirror(CONTENTS, answer_status(404)) as first, FakeMirror(CONTENTS, answer_status(404)) as second:
        message = refusal([first.url, second.url], target)
    assert f"{first.url}: HTTP 404 Not Found; {second.url}: HTTP 404 Not Found" in message
    assert "fetch digits.gz by hand and give the folder that holds it with --data DIR" in message
    assert len(first.paths) == len(second.paths) == 1


def test_a_failure_that_does_not_pass_says_how_often_it_was_tried(target: Path) -> None:
    with FakeMirror(CONTENTS, answer_status(503)) as mirror:
        assert "HTTP 503 Service Unavailable, at attempt 3" in refusal([mirror.url], target)
    assert len(mirror.paths) == 3


def test_a_server_that_is_down_is_said_to_refuse_connections(target: Path, closed_port_url: str) -> None:
    message = refusal([closed_port_url], target)
    assert closed_port_url in message
    assert "refused" in message


def test_pauses_double_from_attempt_to_attempt(target: Path, closed_port_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    monkeypatch.setattr(download_module, "PAUSE_SECONDS", 0.5)
    monkeypatch.setattr(download_module, "ATTEMPTS", 4)
    refusal([closed_port_url], target)
    assert pauses == [0.5, 1.0, 2.0]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, closed_port_url: str) -> None:
    (tmp_path / "cache").write_text("a file, where a folder should be")
    message = refusal([closed_port_url], tmp_path / "cache" / "digits.gz")
    assert f"cannot write {tmp_path / 'cache' / 'digits.gz'}" in message


def test_two_downloads_at_once_fetch_the_file_once(target: Path) -> None:
    with FakeMirror(CONTENTS, serve_slowly(0.2)) as mirror:
        threads = [threading.Thread(target=download, args=([mirror.url], target, DIGEST)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert target.read_bytes() == CONTENTS
    assert len(mirror.paths) == 1


def test_nothing_is_said_where_stderr_is_no_terminal(target: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with FakeMirror(CONTENTS) as mirror:
        download([mirror.url], target, DIGEST)
    assert capfd.readouterr() == ("", "")


def test_a_terminal_gets_a_progress_bar_on_stderr(
    target: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", terminal)
    with FakeMirror(CONTENTS) as mirror:
        download([mirror.url], target, DIGEST)
    assert "digits.gz" in terminal.getvalue()
    assert capfd.readouterr().out == ""
