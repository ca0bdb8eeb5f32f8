"""What numbers say and how they look, as Python values: the same as the command's, and wrong ones are named."""

from pathlib import Path

import numpy as np
import pytest

from pocketgan.errors import RequestError
from pocketgan.write.options import DEFAULT_COUNT, DEFAULT_SIZE, Ruling
from pocketgan.write.request import writing_request


def test_without_arguments_numbers_are_those_of_the_command() -> None:
    request = writing_request()
    assert (len(request.images.indices), request.style.size, request.texts.longest) == (DEFAULT_COUNT, DEFAULT_SIZE, 6)
    assert request.options == {
        "length": "3..6",
        "numbers": 1,
        "size": 28,
        "spacing": 4,
        "jitter": 0.5,
        "canvas": "134x35",
        "background": "0",
        "noise": 0,
        "ink": "100",
        "consistency": 179 / 256,
        "truncation": 1.0,
    }


def test_numbers_of_numpy_are_whole_numbers() -> None:
    request = writing_request(length=np.int64(4), count=np.uint8(2), canvas=(np.int32(200), 60), ink=(np.int8(40), 90), seed=5)
    assert (request.texts.longest, len(request.images.indices), request.style.canvas, request.paper.ink_percent) == (
        4,
        2,
        (200, 60),
        (40, 90),
    )
    assert type(request.style.canvas[0]) is int


def test_texts_are_a_sequence_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("12\n3 4\n")
    for texts, spelled in ((("12", "3 4"), "-"), (path, str(path))):
        request = writing_request(texts=texts)
        assert [request.texts.text(number) for number in range(3)] == ["12", "3 4", "12"]
        assert request.options["texts"] == spelled
        assert len(request.images.indices) == 2
    assert len(writing_request(texts=["1", "2", "3"], numbers=2, canvas=(200, 100)).images.indices) == 2
    assert len(writing_request(texts=["1", "2", "3"], count=7).images.indices) == 7
    assert len(writing_request(texts=["1"]).images.indices) == DEFAULT_COUNT


def test_the_case_of_printed_paper_does_not_matter() -> None:
    request = writing_request(background="Lines")
    assert (request.paper.ruling, request.style.is_lined, request.options["background"]) == (Ruling.lines, True, "lines")


@pytest.mark.parametrize(
    ("arguments", "argument", "message"),
    [
        ({"seed": -1}, "seed", "seed -1 is out of range"),
        ({"start": -3}, "start", "images -3 to 6 are out of range"),
        ({"count": 0}, "count", "count 0 is out of range"),
        ({"text": 2026}, "text", "text 2026 is not text: expected a string"),
        ({"pattern": 5}, "pattern", "pattern 5 is not text: expected a string"),
        ({"texts": "numbers.txt"}, "texts", "texts 'numbers.txt' is one text: expected a sequence of them, or a Path"),
        ({"text": "1", "pattern": "2"}, "text", "text and pattern cannot be combined: each says what to write; choose one"),
        ({"length": (1, 2, 3)}, "length", "length (1, 2, 3): expected a whole number, or the least and the most"),
        ({"jitter": "0.5"}, "jitter", "jitter '0.5' is not a number"),
        ({"jitter": True}, "jitter", "jitter True is not a number"),
        ({"canvas": 256}, "canvas", "canvas 256: expected width and height in pixels"),
        ({"canvas": "256x64"}, "canvas", "canvas '256x64': expected width and height in pixels"),
        ({"size": 3}, "size", "size 3 is out of range: expected 14 to 512"),
        ({"noise": 1.5}, "noise", "noise 1.5 is not a whole number"),
        ({"background": 256}, "background", "background 256 is out of range: expected 0 to 255"),
        ({"numbers": 3}, "numbers", "several numbers need a canvas to lie on"),
        ({"slant": "steep"}, "slant", "slant 'steep': expected a number, or the least and the most"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, object], argument: str, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        writing_request(**arguments)  # type: ignore[arg-type]
    assert caught.value.argument == argument
    assert str(caught.value).startswith(message)
