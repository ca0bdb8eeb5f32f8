"""Images on a terminal: by a graphics protocol, or in characters that show two pixels each.

Sources: "Terminal graphics protocol" in kitty's documentation; "Inline Images Protocol" in iTerm2's documentation; no-color.org,
which turns off colours, not graphics.
"""

import os
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from numpy.typing import NDArray

from pocketgan.errors import OutputError
from pocketgan.output.png import encode_png

if TYPE_CHECKING:
    from rich.console import Console

# Indexed by the light halves of a character: none, the lower, the upper, both.
_HALF_BLOCKS = " ▄▀█"
_LIGHT = 128
_ASCII_RAMP = " .:-=+*#%@"
_UNKNOWN_WIDTH = 80
_MULTIPLEXERS = "TMUX", "STY", "ZELLIJ"
_TERMS_WITHOUT_GRAPHICS = "tmux", "screen", "dumb", "unknown"
# A PNG file (f=100), shown at once (a=T) and without a response (q=2), which a shell would read as typed text.
_KITTY_KEYS = "a=T,f=100,q=2,"
_CHUNK = 4096
# The least width in pixels of nearly all terminals' characters; kitty cuts off what does not fit.
_CHARACTER_WIDTH = 8
_SHEET_COLUMNS, _SHEET_GAP = 10, 2
# iTerm2 accepts no escape sequence of more than a megabyte.
_SHEET_HEIGHT = 1000


def show_images(images: NDArray[np.uint8], file: TextIO, environment: Mapping[str, str] = os.environ) -> None:
    """Draw images, uint8 [N, H, W] with N >= 1, 0 = black, as many side by side as fit; images that are too wide are reduced.

    A terminal with a graphics protocol gets contact sheets, any other one half blocks in greys. Without colours, or if `file`
    is not a terminal, half blocks are black and white without escape sequences; if they cannot be encoded, ASCII is used.
    Raises OutputError if the file cannot be written.
    """
    from rich.console import Console

    # Only a terminal gets escape sequences, whatever FORCE_COLOR says.
    console = Console(file=file, force_terminal=file.isatty(), force_jupyter=False, _environ=environment)
    width = console.width = console.width if console.width > 0 else _UNKNOWN_WIDTH
    protocol = _graphics_protocol(environment) if console.is_terminal else None
    try:
        if protocol is not None:
            file.writelines(protocol(sheet) + "\n" for sheet in _sheets(images, width * _CHARACTER_WIDTH))
        else:
            _draw_characters(_reduced(images, width), console, file, width)
        file.flush()
    except OSError as error:
        raise OutputError(f"cannot write to standard output: {error.strerror or error}") from error


def _graphics_protocol(environment: Mapping[str, str]) -> Callable[[bytes], str] | None:
    """Return the function that turns a PNG file into escape sequences for this terminal; None if it cannot show images."""
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if any(map(environment.get, _MULTIPLEXERS)) or term.startswith(_TERMS_WITHOUT_GRAPHICS):
        return None
    if term in ("xterm-kitty", "xterm-ghostty"):
        return _kitty_sequences
    # The other variables may be inherited from the terminal in which this one was started.
    if program:
        return {"ghostty": _kitty_sequences, "iTerm.app": _iterm2_sequence, "WezTerm": _iterm2_sequence}.get(program)
    if environment.get("KITTY_WINDOW_ID"):
        return _kitty_sequences
    return _iterm2_sequence if environment.get("LC_TERMINAL") == "iTerm2" else None


def _kitty_sequences(png: bytes) -> str:
    data = b64encode(png).decode()
    return "".join(
        f"\x1b_G{'' if start else _KITTY_KEYS}m={int(start + _CHUNK < len(data))};{data[start : start + _CHUNK]}\x1b\\"
        for start in range(0, len(data), _CHUNK)
    )


def _iterm2_sequence(png: bytes) -> str:
    return f"\x1b]1337;File=inline=1;size={len(png)}:{b64encode(png).decode()}\x07"


def _sheets(images: NDArray[np.uint8], pixels: int) -> Iterator[bytes]:
    """Yield contact sheets as PNG files, at most `pixels` wide, with small images enlarged as far as they fit."""
    from pocketgan.contact_sheet import SHOWN_HEIGHT, contact_sheet

    images = _reduced(images, pixels - 2 * _SHEET_GAP)
    count, height, width = images.shape
    room = pixels - _SHEET_GAP
    largest = max(1, SHOWN_HEIGHT // height)
    columns = max(1, min(count, _SHEET_COLUMNS, room // (width * min(2, largest) + _SHEET_GAP)))
    scale = max(1, min(largest, (room // columns - _SHEET_GAP) // width))
    step = columns * max(1, _SHEET_HEIGHT // (height * scale + _SHEET_GAP))
    for start in range(0, count, step):
        yield encode_png(np.asarray(contact_sheet(images[start : start + step], columns, scale, _SHEET_GAP)))


def _reduced(images: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Return images at most `width` pixels wide, reduced with a Lanczos filter if necessary."""
    if images.shape[2] <= width:
        return images
    from PIL import Image

    size = width, max(1, round(images.shape[1] * width / images.shape[2]))
    return np.stack([np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS)) for image in images])


def _draw_characters(images: NDArray[np.uint8], console: "Console", file: TextIO, width: int) -> None:
    """Write images, uint8 [N, H, W], two pixels to a character, in greys, black and white, or ASCII."""
    count, height, columns = images.shape
    # Each character's upper pixel and lower one: [N, ceil(H / 2), W, 2].
    cells = np.pad(images, ((0, 0), (0, height % 2), (0, 0))).reshape(count, -1, 2, columns).swapaxes(2, 3)
    if b"?" in _HALF_BLOCKS.encode(file.encoding or "utf-8", "replace"):
        characters = np.array(list(_ASCII_RAMP))[cells.sum(axis=3, dtype=np.intp) * len(_ASCII_RAMP) // 511]
    elif console.color_system is None or console.no_color:
        characters = np.array(list(_HALF_BLOCKS))[(cells >= _LIGHT) @ np.array([2, 1])]
    else:
        return _print_greys(cells, console, width)
    file.writelines(" ".join("".join(image) for image in line).rstrip() + "\n" for line in _lines(characters, width))


def _print_greys(cells: NDArray[np.uint8], console: "Console", width: int) -> None:
    from rich.color import Color
    from rich.segment import Segment, Segments
    from rich.style import Style

    @cache
    def half_block(upper: int, lower: int) -> Segment:
        return Segment("▀", Style(color=Color.from_rgb(upper, upper, upper), bgcolor=Color.from_rgb(lower, lower, lower)))

    for line in _lines(cells, width):
        segments = [segment for image in line.tolist() for segment in (*(half_block(*cell) for cell in image), Segment(" "))]
        console.print(Segments([*Segment.simplify(segments[:-1]), Segment.line()]), end="", crop=False)


def _lines(cells: NDArray[Any], width: int) -> Iterator[NDArray[Any]]:
    """Yield the cells of each line, [images side by side, W, ...]; with an empty line between rows of images."""
    fitting = max(1, (width + 1) // (cells.shape[2] + 1))
    for start in range(0, len(cells), fitting):
        if start:
            yield cells[:0, 0]
        yield from cells[start : start + fitting].swapaxes(0, 1)
