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
    ignore_range,
    serve,
    serve_another_range,
    serve_other_bytes,
    serve_slowly,
    serve_without_length,
    stall,
)

from pocketgan_trainer.data import download as download_module
from pocketgan_trainer.data.download import Patience, download
from pocketgan_trainer.errors import DownloadError

CONTENTS = random.Random(1).randbytes(300_000)
DIGEST = hashlib.sha256(CONTENTS).hexdigest()
HASTE = Patience(attempts=3, pause_seconds=0.0, timeout_seconds=10.0)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "digits.gz"


@pytest.fixture
def part(target: Path) -> Path:
    """Where the unfinished download lies; its folder exists."""
    target.parent.mkdir()
    return target.with_name("digits.gz.part")


def names_beside(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir() if path.name != ".lock")


def refusal(urls: list[str], target: Path, patience: Patience = HASTE) -> str:
    """Return the one line with which the download fails; nothing may lie at the target then."""
    with pytest.raises(DownloadError) as caught:
        download(urls, target, DIGEST, patience)
    assert not target.exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_arrives_whole_and_alone(target: Path) -> None:
    with FakeMirror(CONTENTS) as mirror:
        download([mirror.url], target, DIGEST, HASTE)
    assert target.read_bytes() == CONTENTS
    assert names_beside(target) == ["digits.gz"]
    assert mirror.ranges == [None]


def test_a_file_that_is_there_is_not_fetched_again(target: Path, part: Path, closed_port_url: str) -> None:
    target.write_bytes(CONTENTS)
    download([closed_port_url], target, DIGEST, HASTE)
    assert target.read_bytes() == CONTENTS


def test_a_broken_connection_is_resumed_where_it_broke(target: Path) -> None:
    with FakeMirror(CONTENTS, break_off, serve) as mirror:
        download([mirror.url], target, DIGEST, HASTE)
    assert target.read_bytes() == CONTENTS
    assert mirror.ranges == [None, "bytes=150000-"]
    assert mirror.bytes_sent == len(CONTENTS)


def test_a_connection_that_falls_silent_is_resumed(target: Path) -> None:
    with FakeMirror(CONTENTS, stall, serve) as mirror:
        download([mirror.url], target, DIGEST, Patience(attempts=5, pause_seconds=0.0, timeout_seconds=0.5))
    assert target.read_bytes() == CONTENTS
    assert mirror.ranges[:2] == [None, "bytes=150000-"]


def test_another_mirror_resumes_what_the_first_left(target: Path) -> None:
    with FakeMirror(CONTENTS, break_off, answer_status(404)) as first, FakeMirror(CONTENTS) as second:
        download([first.url, second.url], target, DIGEST, HASTE)
    assert target.read_bytes() == CONTENTS
    assert second.ranges == ["bytes=150000-"]


def test_a_later_run_resumes_what_an_earlier_one_left(target: Path) -> None:
    with FakeMirror(CONTENTS, break_off) as mirror:
        message = refusal([mirror.url], target, Patience(attempts=1))
    assert "the connection broke off after 150000 of 300000 bytes" in message
    assert names_beside(target) == ["digits.gz.part"]
    with FakeMirror(CONTENTS) as mirror:
        download([mirror.url], target, DIGEST, HASTE)
    assert target.read_bytes() == CONTENTS
    assert mirror.ranges == ["bytes=150000-"]


def test_a_server_that_ignores_the_range_is_taken_from_its_start(target: Path) -> None:
    with FakeMirror(CONTENTS, break_off, ignore_range) as mirror:
        download([mirror.url], target, DIGEST, HASTE)
    assert target.read_bytes() == CONTENTS
    assert mirror.ranges == [None, "bytes=150000-"]


def test_a_server_that_sends_another_range_is_asked_afresh(target: Path) -> None:
    with FakeMirror(CONTENTS, break_off, serve_another_range, serve) as mirror:
        download([mirror.url], target, DIGEST, HASTE)
    assert target.read_bytes() == CONTENTS
    assert mirror.ranges == [None, "bytes=150000-", None]


def test_a_part_that_is_too_long_is_dropped_after_a_416(target: Path, part: Path) -> None:
    part.write_bytes(CONTENTS + b"more")
    with FakeMirror(CONTENTS, answer_status(416), serve) as mirror:
        download([mirror.url], target, DIGEST, HASTE)
    assert target.read_bytes() == CONTENTS
    assert mirror.ranges == ["bytes=300004-", None]


def test_a_whole_part_needs_no_server(target: Path, part: Path, closed_port_url: str) -> None:
    part.write_bytes(CONTENTS)
    download([closed_port_url], target, DIGEST, HASTE)
    assert target.read_bytes() == CONTENTS
    assert names_beside(target) == ["digits.gz"]


def test_a_part_of_something_else_is_dropped_and_the_same_mirror_asked_again(target: Path, part: Path) -> None:
    part.write_bytes(b"<html>")
    with FakeMirror(CONTENTS) as mirror:
        download([mirror.url], target, DIGEST, HASTE)
    assert target.read_bytes() == CONTENTS
    assert mirror.ranges == ["bytes=6-", None]


def test_a_body_of_unsaid_length_is_taken(target: Path) -> None:
    with FakeMirror(CONTENTS, serve_without_length) as mirror:
        download([mirror.url], target, DIGEST, HASTE)
    assert target.read_bytes() == CONTENTS


def test_wrong_bytes_are_deleted_and_the_next_mirror_is_used(target: Path) -> None:
    with FakeMirror(CONTENTS, serve_other_bytes) as first, FakeMirror(CONTENTS) as second:
        download([first.url, second.url], target, DIGEST, HASTE)
    assert target.read_bytes() == CONTENTS
    assert first.ranges == second.ranges == [None]


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
    assert first.ranges == second.ranges == [None]


@pytest.mark.parametrize("failure", [answer_status(503), answer_status(429), hang_up], ids=["503", "429", "hang up"])
def test_a_failure_that_may_pass_is_tried_again(target: Path, failure: Answer) -> None:
    with FakeMirror(CONTENTS, failure, failure, serve) as mirror:
        download([mirror.url], target, DIGEST, HASTE)
    assert target.read_bytes() == CONTENTS


def test_a_failure_that_does_not_pass_says_how_often_it_was_tried(target: Path) -> None:
    with FakeMirror(CONTENTS, answer_status(503)) as mirror:
        assert "HTTP 503 Service Unavailable, at attempt 3" in refusal([mirror.url], target)
    assert len(mirror.ranges) == 3


def test_a_server_that_is_down_is_said_to_refuse_connections(target: Path, closed_port_url: str) -> None:
    message = refusal([closed_port_url], target)
    assert closed_port_url in message
    assert "refused" in message


def test_pauses_double_from_attempt_to_attempt(target: Path, closed_port_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    refusal([closed_port_url], target, Patience(attempts=4, pause_seconds=0.5))
    assert pauses == [0.5, 1.0, 2.0]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, closed_port_url: str) -> None:
    (tmp_path / "cache").write_text("a file, where a folder should be")
    message = refusal([closed_port_url], tmp_path / "cache" / "digits.gz")
    assert f"cannot write {tmp_path / 'cache' / 'digits.gz'}" in message


def test_two_downloads_at_once_fetch_the_file_once(target: Path) -> None:
    with FakeMirror(CONTENTS, serve_slowly(0.2)) as mirror:
        threads = [threading.Thread(target=download, args=([mirror.url], target, DIGEST, HASTE)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert target.read_bytes() == CONTENTS
    assert mirror.ranges == [None]


def test_nothing_is_said_where_stderr_is_no_terminal(target: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with FakeMirror(CONTENTS) as mirror:
        download([mirror.url], target, DIGEST, HASTE)
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
        download([mirror.url], target, DIGEST, HASTE)
    assert "digits.gz" in terminal.getvalue()
    assert capfd.readouterr().out == ""
