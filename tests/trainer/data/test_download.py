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


@pytest.mark.parametrize("answer", [serve, serve_without_length, serve_marked_as_gzip])
def test_a_file_arrives_whole_and_alone_and_nothing_is_printed(
    target: Path, answer: Answer, capfd: pytest.CaptureFixture[str]
) -> None:
    with FakeMirror(CONTENTS, answer) as mirror:
        download([mirror.url], target, DIGEST)
    assert target.read_bytes() == CONTENTS
    assert names_beside(target) == ["digits.gz"]
    assert len(mirror.paths) == 1
    assert capfd.readouterr() == ("", "")


def test_a_file_that_is_there_is_not_fetched_again(target: Path, closed_port_url: str) -> None:
    target.parent.mkdir()
    target.write_bytes(CONTENTS)
    download([closed_port_url], target, DIGEST)
    assert target.read_bytes() == CONTENTS


@pytest.mark.parametrize(
    "failure",
    [break_off, answer_status(503), answer_status(429), hang_up, stall],
    ids=["broken off", "503", "429", "hang up", "silent"],
)
def test_a_failure_that_may_pass_is_tried_again(target: Path, failure: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    if failure is stall:
        monkeypatch.setattr(download_module, "TIMEOUT_SECONDS", 0.3)
    with FakeMirror(CONTENTS, failure, failure, serve) as mirror:
        download([mirror.url], target, DIGEST)
    assert target.read_bytes() == CONTENTS
    assert names_beside(target) == ["digits.gz"]


def test_wrong_bytes_are_deleted_and_the_next_mirror_is_used(target: Path) -> None:
    with FakeMirror(CONTENTS, serve_other_bytes) as first, FakeMirror(CONTENTS) as second:
        download([first.url, second.url], target, DIGEST)
    assert target.read_bytes() == CONTENTS
    assert len(first.paths) == len(second.paths) == 1


@pytest.mark.parametrize(
    ("answer", "largest", "attempts", "reason"),
    [
        (break_off, 2**26, 3, "the connection broke off after 150000 of 300000 bytes, at attempt 3"),
        (answer_status(503), 2**26, 3, "HTTP 503 Service Unavailable, at attempt 3"),
        (answer_status(404), 2**26, 1, "HTTP 404 Not Found"),
        (serve_other_bytes, 2**26, 1, f"the SHA-256 of what it sent is not {DIGEST}"),
        (serve, 1000, 1, "it sent more than 1000 bytes"),
    ],
    ids=["broken off", "503", "404", "other bytes", "too long"],
)
def test_the_error_names_each_mirror_and_nothing_is_left_behind(
    target: Path, monkeypatch: pytest.MonkeyPatch, answer: Answer, largest: int, attempts: int, reason: str
) -> None:
    monkeypatch.setattr(download_module, "LARGEST_DOWNLOAD", largest)
    with pytest.raises(DownloadError) as caught, FakeMirror(CONTENTS, answer) as first, FakeMirror(CONTENTS, answer) as second:
        download([first.url, second.url], target, DIGEST)
    assert str(caught.value) == (
        f"could not download digits.gz ({first.url}: {reason}; {second.url}: {reason}); try again, or fetch digits.gz by hand "
        "and give the folder that holds it with --data DIR"
    )
    assert len(first.paths) == len(second.paths) == attempts
    assert names_beside(target) == []


def test_attempts_at_a_server_that_is_down_have_pauses_that_double(
    target: Path, closed_port_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    monkeypatch.setattr(download_module, "PAUSE_SECONDS", 0.5)
    monkeypatch.setattr(download_module, "ATTEMPTS", 4)
    with pytest.raises(DownloadError, match=f"{closed_port_url}: .*refused, at attempt 4"):
        download([closed_port_url], target, DIGEST)
    assert pauses == [0.5, 1.0, 2.0]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, closed_port_url: str) -> None:
    (tmp_path / "cache").write_text("a file, where a folder should be")
    with pytest.raises(DownloadError, match=f"cannot write {tmp_path}/cache/digits.gz"):
        download([closed_port_url], tmp_path / "cache" / "digits.gz", DIGEST)


def test_two_downloads_at_once_fetch_the_file_once(target: Path) -> None:
    with FakeMirror(CONTENTS, serve_slowly(0.2)) as mirror:
        threads = [threading.Thread(target=download, args=([mirror.url], target, DIGEST)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert target.read_bytes() == CONTENTS
    assert len(mirror.paths) == 1


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
