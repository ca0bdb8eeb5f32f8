"""Images on terminals of every kind, read back as that kind would show them."""

import io
import itertools
import re
from base64 import b64decode
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pocketgan.contact_sheet import contact_sheet
from pocketgan.errors import OutputError
from pocketgan.generator import Generator
from pocketgan.output.terminal import show_images

GREY = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": "80"}
KITTY = {"TERM": "xterm-kitty", "COLUMNS": "80"}
ITERM2 = {"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app", "COLUMNS": "80"}

SheetsOf = Callable[[str], list[NDArray[np.uint8]]]


class TextFile(io.StringIO):
    """A text file that may claim to be a terminal, or to have another encoding."""

    def __init__(self, is_terminal: bool, encoding: str = "utf-8") -> None:
        super().__init__()
        self._is_terminal = is_terminal
        self._encoding = encoding

    def isatty(self) -> bool:
        return self._is_terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding


def shown(images: NDArray[np.uint8], environment: Mapping[str, str], is_terminal: bool = True, encoding: str = "utf-8") -> str:
    """Return what is written to such a file; its encoding must allow it."""
    file = TextFile(is_terminal, encoding)
    show_images(images, file, environment)
    text = file.getvalue()
    text.encode(encoding)
    return text


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def opened(png: bytes) -> NDArray[np.uint8]:
    image = Image.open(io.BytesIO(png))
    assert (image.format, image.mode) == ("PNG", "L")
    return np.asarray(image)


def kitty_sheets(text: str) -> list[NDArray[np.uint8]]:
    """Return the sheets that kitty would show, each on its own lines."""
    sheets, data = [], ""
    sequences = re.findall(r"\x1b_G([^;\x1b]*);([A-Za-z0-9+/=]*)\x1b\\(\n?)", text)
    assert "".join(f"\x1b_G{keys};{chunk}\x1b\\{end}" for keys, chunk, end in sequences) == text
    for keys, chunk, end in sequences:
        assert len(chunk) <= 4096
        assert keys.startswith("m=" if data else "a=T,f=100,q=2,m=")
        data += chunk
        is_last = keys.endswith("m=0")
        assert is_last == (end == "\n")
        assert is_last or (keys.endswith("m=1") and len(chunk) % 4 == 0)
        if is_last:
            sheets.append(opened(b64decode(data, validate=True)))
            data = ""
    assert data == ""
    return sheets


def iterm2_sheets(text: str) -> list[NDArray[np.uint8]]:
    """Return the sheets that iTerm2 would show, each on its own lines."""
    sequences = re.findall(r"\x1b\]1337;File=inline=1;size=(\d+):([A-Za-z0-9+/=]*)\x07\n", text)
    assert "".join(f"\x1b]1337;File=inline=1;size={size}:{data}\x07\n" for size, data in sequences) == text
    files = [b64decode(data, validate=True) for _, data in sequences]
    assert [len(file) for file in files] == [int(size) for size, _ in sequences]
    return [opened(file) for file in files]


def grey_pixels(text: str) -> NDArray[np.int_]:
    """Return the pixels that a terminal of all colours would show, [H, W], -1 for its background."""
    rows: list[list[int]] = []
    for line in text.splitlines():
        upper, lower = [], []
        colours = (-1, -1)
        for escape, character in re.findall(r"\x1b\[([\d;]*)m|(.)", line):
            if character == " ":
                assert colours == (-1, -1)
                upper.append(-1)
                lower.append(-1)
            elif character:
                assert character == "▀"
                upper.append(colours[0])
                lower.append(colours[1])
            elif escape == "0":
                colours = (-1, -1)
            else:
                numbers = [int(number) for number in escape.split(";")]
                assert (numbers[:2], numbers[5:7]) == ([38, 2], [48, 2])
                assert len(set(numbers[2:5])) == len(set(numbers[7:10])) == 1
                colours = (numbers[2], numbers[7])
        rows += [upper, lower]
    width = max(map(len, rows))
    return np.array([row + [-1] * (width - len(row)) for row in rows])


@pytest.mark.parametrize(
    ("sheets_of", "environment"),
    [
        (kitty_sheets, {"TERM": "xterm-kitty"}),
        (kitty_sheets, {"TERM": "xterm-ghostty"}),
        (kitty_sheets, {"TERM": "xterm-256color", "TERM_PROGRAM": "ghostty"}),
        (kitty_sheets, {"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}),
        (kitty_sheets, {"TERM": "xterm-kitty", "NO_COLOR": "1"}),
        # kitty, started from iTerm2
        (kitty_sheets, {"TERM": "xterm-kitty", "TERM_PROGRAM": "iTerm.app", "LC_TERMINAL": "iTerm2"}),
        (iterm2_sheets, {"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}),
        (iterm2_sheets, {"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}),
        (iterm2_sheets, {"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}),
        (iterm2_sheets, {"TERM_PROGRAM": "WezTerm", "NO_COLOR": "1"}),
        # WezTerm, started from kitty
        (iterm2_sheets, {"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm", "KITTY_WINDOW_ID": "1"}),
    ],
    ids=lambda value: value.__name__ if callable(value) else "-".join(value.values()),
)
def test_terminals_with_graphics_show_one_sheet(tiny: Generator, sheets_of: SheetsOf, environment: dict[str, str]) -> None:
    images = tiny.generate(10)
    (sheet,) = sheets_of(shown(images, environment | {"COLUMNS": "80"}))
    # 640 pixels for ten images with gaps of two: seven times as large.
    np.testing.assert_array_equal(sheet, np.asarray(contact_sheet(images, 10, scale=7)))


@pytest.mark.parametrize(
    ("terminal", "count", "columns", "scale"),
    [(80, 1, 1, 4), (80, 7, 7, 3), (80, 25, 10, 2), (40, 12, 5, 2), (10, 12, 1, 2), (7, 12, 1, 1), (500, 12, 10, 4)],
)
def test_digits_are_enlarged_as_far_as_the_width_allows(terminal: int, count: int, columns: int, scale: int) -> None:
    images = noise(count, 28, 28)
    (sheet,) = iterm2_sheets(shown(images, ITERM2 | {"COLUMNS": str(terminal)}))
    np.testing.assert_array_equal(sheet, np.asarray(contact_sheet(images, columns, scale)))
    assert sheet.shape[1] <= terminal * 8


def test_large_images_are_not_enlarged_and_too_large_ones_are_reduced() -> None:
    (sheet,) = kitty_sheets(shown(noise(2, 280, 280), KITTY))
    np.testing.assert_array_equal(sheet, np.asarray(contact_sheet(noise(2, 280, 280), 2, scale=1)))
    (sheet,) = kitty_sheets(shown(np.full((1, 636, 1272), 200, np.uint8), KITTY))
    np.testing.assert_array_equal(sheet, np.asarray(contact_sheet(np.full((1, 318, 636), 200, np.uint8), scale=1)))


@pytest.mark.parametrize(("environment", "sheets_of"), [(KITTY, kitty_sheets), (ITERM2, iterm2_sheets)])
def test_many_images_are_shown_on_several_sheets(environment: dict[str, str], sheets_of: SheetsOf) -> None:
    images = noise(345, 28, 28)
    text = shown(images, environment)
    # Seventeen rows of ten.
    for sheet, start in zip(sheets_of(text), (0, 170, 340), strict=True):
        np.testing.assert_array_equal(sheet, np.asarray(contact_sheet(images[start : start + 170], 10, scale=2)))
    assert all(len(line) < 1_048_576 for line in text.splitlines())


@pytest.mark.parametrize("is_terminal", [True, False])
def test_graphics_are_for_terminals_only(is_terminal: bool) -> None:
    for environment in (KITTY, ITERM2):
        assert ("\x1b" in shown(noise(1, 8, 8), environment, is_terminal)) == is_terminal


def test_graphics_need_no_more_than_ascii() -> None:
    assert len(kitty_sheets(shown(noise(1, 8, 8), KITTY, encoding="ascii"))) == 1
    assert len(iterm2_sheets(shown(noise(1, 8, 8), ITERM2, encoding="ascii"))) == 1


@pytest.mark.parametrize(
    "within",
    [
        {"TMUX": "/tmp/tmux-1000/default,1,0"},
        {"STY": "1.pts-0.host"},
        {"ZELLIJ": "0"},
        {"TERM": "tmux-256color"},
        {"TERM": "screen"},
        {"TERM": "screen-256color", "TERM_PROGRAM": "tmux"},
        # A terminal without graphics, started from one that has them.
        {"TERM": "xterm-256color", "TERM_PROGRAM": "vscode"},
    ],
    ids=str,
)
def test_a_terminal_that_hides_graphics_gets_half_blocks(within: dict[str, str]) -> None:
    images = noise(1, 8, 8)
    for outer in (KITTY | {"KITTY_WINDOW_ID": "1"}, ITERM2 | {"LC_TERMINAL": "iTerm2"}):
        pixels = grey_pixels(shown(images, outer | {"COLORTERM": "truecolor"} | within))
        np.testing.assert_array_equal(pixels, images[0])


@pytest.mark.parametrize(("width", "fitting"), [(8, 1), (16, 1), (17, 2), (80, 5)])
def test_as_many_images_side_by_side_as_fit(width: int, fitting: int) -> None:
    images = noise(5, 8, 8)
    pixels = grey_pixels(shown(images, GREY | {"COLUMNS": str(width)}))
    rows = -(-5 // fitting)
    # One column between images, and one line, of two pixels, between rows of them.
    expected = np.full((rows * 10 - 2, fitting * 9 - 1), -1)
    for position, image in enumerate(images):
        top, left = position // fitting * 10, position % fitting * 9
        expected[top : top + 8, left : left + 8] = image
    np.testing.assert_array_equal(pixels, expected)


def test_an_odd_height_ends_with_half_a_line_of_black() -> None:
    images = noise(2, 5, 3)
    pixels = grey_pixels(shown(images, GREY))
    np.testing.assert_array_equal(pixels[:5], np.hstack([images[0], np.full((5, 1), -1), images[1]]))
    np.testing.assert_array_equal(pixels[5], [0, 0, 0, -1, 0, 0, 0])


def test_an_image_wider_than_the_terminal_is_reduced() -> None:
    pixels = grey_pixels(shown(np.full((2, 28, 56), 200, np.uint8), GREY | {"COLUMNS": "20"}))
    assert pixels.shape == (10 + 2 + 10, 20)
    assert (np.delete(pixels, [10, 11], axis=0) == 200).all()
    assert grey_pixels(shown(np.full((1, 28, 56), 200, np.uint8), GREY | {"COLUMNS": "1"})).tolist() == [[200], [0]]


def test_a_reduced_image_shows_the_same_as_before() -> None:
    ramp = np.tile(np.arange(0, 256, 2, dtype=np.uint8), (1, 64, 1))
    pixels = grey_pixels(shown(ramp, GREY | {"COLUMNS": "32"}))
    assert pixels.shape == (16, 32)
    assert np.abs(pixels - ramp[0, 2::4, 2::4]).max() <= 4


@pytest.mark.parametrize(
    ("environment", "colours"),
    [({"TERM": "xterm-256color"}, "38;5;16;48;5;231"), ({"TERM": "xterm"}, "30;107"), ({"TERM": "linux"}, "30;107")],
)
def test_terminals_of_fewer_colours_get_their_own(environment: dict[str, str], colours: str) -> None:
    black_above_white = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    assert shown(black_above_white, environment | {"COLUMNS": "80"}) == f"\x1b[{colours}m▀▀▀\x1b[0m\n"


SLOPE = np.array(
    [
        [[255, 128, 0, 0, 0], [255, 127, 128, 0, 0], [0, 0, 128, 200, 127], [255, 255, 255, 255, 0], [9, 9, 9, 9, 255]],
        [[0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 250, 0, 0, 0], [0, 250, 0, 0, 0], [0, 0, 0, 0, 0]],
        [[255, 0, 0, 0, 0], [0, 0, 0, 0, 255], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [99, 99, 200, 99, 99]],
    ],
    np.uint8,
)
BLACK_AND_WHITE = """\
█▀▄
▄▄██   █
    ▀

▀   ▄

  ▀
"""


@pytest.mark.parametrize(
    ("environment", "is_terminal"),
    [
        (GREY | {"NO_COLOR": "1"}, True),
        (ITERM2 | {"TERM": "dumb"}, True),
        (KITTY, False),
        (GREY | {"FORCE_COLOR": "1"}, False),
        (GREY | {"TTY_COMPATIBLE": "1"}, False),
        ({}, False),
    ],
    ids=str,
)
def test_without_colours_images_are_black_and_white(environment: dict[str, str], is_terminal: bool) -> None:
    assert shown(SLOPE[:2], environment | {"COLUMNS": "80"}, is_terminal) == "█▀▄\n▄▄██   █\n    ▀\n"


@pytest.mark.parametrize("encoding", ["utf-8", "cp437"])
def test_black_and_white_images_are_laid_out_like_grey_ones(encoding: str) -> None:
    assert shown(SLOPE, {"COLUMNS": "11"}, is_terminal=False, encoding=encoding) == BLACK_AND_WHITE


def test_an_empty_no_color_forbids_nothing() -> None:
    assert "\x1b" in shown(noise(1, 8, 8), GREY | {"NO_COLOR": ""})


@pytest.mark.parametrize(("encoding", "is_terminal"), [("ascii", True), ("cp1252", False)])
def test_an_encoding_without_half_blocks_gets_ascii(encoding: str, is_terminal: bool) -> None:
    images = np.zeros((3, 3, 10), np.uint8)
    images[0, :2] = np.linspace(0, 255, 10)
    images[1, 0] = 255
    images[1, 2] = 255
    images[2, 1, 3] = 80
    text = shown(images, GREY | {"COLUMNS": "21"}, is_terminal, encoding)
    assert text == " .:-=+*#%@ ==========\n           ==========\n\n   .\n\n"


def test_a_file_without_an_encoding_gets_half_blocks() -> None:
    file = io.StringIO()
    show_images(SLOPE, file, {"COLUMNS": "11"})
    assert file.getvalue() == BLACK_AND_WHITE


@pytest.mark.parametrize("columns", ["0", "", "many"])
def test_a_width_that_is_not_a_number_of_columns_is_ignored(columns: str) -> None:
    images = noise(1, 8, 8)
    np.testing.assert_array_equal(grey_pixels(shown(images, GREY | {"COLUMNS": columns})), images[0])
    for environment in (KITTY, ITERM2):
        assert shown(images, environment | {"COLUMNS": columns})


class Unwritable(TextFile):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


class Unflushable(TextFile):
    def flush(self) -> None:
        raise OSError("gone")


@pytest.mark.parametrize(
    ("kind", "reason", "environment"),
    [
        (Unwritable, "No space left on device", GREY),
        (Unwritable, "No space left on device", KITTY),
        (Unflushable, "gone", ITERM2),
    ],
)
def test_a_file_that_cannot_be_written_is_an_output_error(kind: type[TextFile], reason: str, environment: dict[str, str]) -> None:
    with pytest.raises(OutputError, match=f"^cannot write to standard output: {reason}$"):
        show_images(noise(1, 8, 8), kind(is_terminal=True), environment)


def test_the_environment_is_that_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TMUX", "STY", "ZELLIJ"):
        monkeypatch.delenv(name, raising=False)
    for name, value in KITTY.items():
        monkeypatch.setenv(name, value)
    file = TextFile(is_terminal=True)
    show_images(noise(1, 8, 8), file)
    assert len(kitty_sheets(file.getvalue())) == 1


def test_every_level_has_its_half_block() -> None:
    levels = [0, 1, 127, 128, 254, 255]
    images = np.array([[list(pair) for pair in zip(*itertools.product(levels, levels), strict=True)]], np.uint8)
    np.testing.assert_array_equal(grey_pixels(shown(images, GREY)), images[0])
