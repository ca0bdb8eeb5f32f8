"""Texts that are listed: in turn, from a file or a stream, and refused if they cannot be drawn."""

from io import BytesIO
from pathlib import Path

import pytest

from pocketgan.errors import RequestError
from pocketgan.write import texts as texts_module
from pocketgan.write.texts import checked_texts, read_texts


def test_listed_texts_come_in_turn() -> None:
    texts = checked_texts(["12 ", " 345 6"])
    assert [texts.text(number) for number in (0, 1, 2, 2**40 + 1)] == ["12", "345 6", "12", "345 6"]
    assert (texts.longest, texts.characters) == (5, frozenset("123456 "))


def test_a_file_has_a_text_in_each_line(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_bytes(b"\xef\xbb\xbf12\r\n\r\n7 8\n9")
    assert read_texts(path).texts == ("12", "7 8", "9")
    assert read_texts(BytesIO(b"12\n7 8\n")).texts == ("12", "7 8")


@pytest.mark.parametrize("text", ["", " ", "   ", "1" * 33])
def test_a_text_that_cannot_be_drawn_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match=r"has \d+ characters: expected 1 to 32$"):
        checked_texts(["12", text])


def test_a_text_that_is_not_a_string_is_refused() -> None:
    with pytest.raises(RequestError, match=r"^the text 2026 is not text: expected a string$"):
        checked_texts(["12", 2026])  # type: ignore[list-item]


def test_files_that_cannot_be_used_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "texts.txt"
    with pytest.raises(
        RequestError, match=r"^cannot read .*texts.txt: No such file or directory; expected a file with a text in each line$"
    ):
        read_texts(path)
    path.write_bytes(b"\xff\xfe1")
    with pytest.raises(RequestError, match=r"texts.txt is not text in UTF-8: expected a text in each line$"):
        read_texts(path)
    path.write_text("12\n" + "1" * 33)
    with pytest.raises(RequestError, match=r"texts.txt, line 2: expected at most 32 characters, found 33$"):
        read_texts(path)
    path.write_text("\n  \n")
    with pytest.raises(RequestError, match=r"texts.txt: 0 texts: expected 1 to 1,000,000$"):
        read_texts(path)
    monkeypatch.setattr(texts_module, "_MOST_BYTES", 3)
    with pytest.raises(RequestError, match=r"^standard input has more than 3 bytes: expected a text in each line$"):
        read_texts(BytesIO(b"1234"))
