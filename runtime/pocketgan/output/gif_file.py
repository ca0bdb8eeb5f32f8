"""Animated GIF files of grey frames, written frame by frame.

Pillow compresses each frame; the few bytes around them are written here, because Pillow's own animations keep all frames in
memory until the last, and join equal ones. Source: Graphics Interchange Format, Version 89a, CompuServe 1990; the extension
that has it loop is Netscape's.
"""

import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgan.errors import OutputError
from pocketgan.files import whole_file

_LARGEST_SIDE = 2**16 - 1
_LONGEST_DELAY = 2**16 - 1
_BITS = 8
_GREYS = bytes(grey for grey in range(2**_BITS) for _ in "rgb")
_HAS_COLOURS = 0x80 | (_BITS - 1) << 4 | (_BITS - 1)
_FOR_EVER = 0
_STAYS = 1 << 2  # a frame lies on those before it


def write_gif(target: Path, frames: Iterable[NDArray[np.uint8]], scale: int, frame_milliseconds: int) -> None:
    """Write frames as a GIF file that repeats them for ever, each pixel as `scale` by `scale` pixels.

    They are uint8 [H, W], 0 = black, at least one and all of one shape, and can be read back exactly. Each is shown for
    `frame_milliseconds`, rounded to hundredths of a second, of which it is at least one; browsers take less than two for ten.
    Only two frames are kept at a time. Equal frames give equal bytes with the same Pillow. Raises OutputError if the file cannot
    be written or the frames are larger than a GIF can be.
    """
    delay = min(max(1, (frame_milliseconds + 5) // 10), _LONGEST_DELAY)
    before: NDArray[np.uint8] | None = None
    with whole_file(target) as temporary, temporary.open("wb") as file:
        for frame in frames:
            if before is None:
                file.write(_beginning(target, frame.shape[1] * scale, frame.shape[0] * scale))
            file.write(_frame(frame, before, scale, delay))
            before = frame
        file.write(b";")


def _beginning(target: Path, width: int, height: int) -> bytes:
    """Return what comes before the first frame: the size, the 256 greys, and that all is to be repeated."""
    if max(width, height) > _LARGEST_SIDE:
        raise OutputError(f"cannot write {target}: {width}x{height} pixels, but a GIF has at most {_LARGEST_SIDE} each way")
    screen = struct.pack("<HHBBB", width, height, _HAS_COLOURS, 0, 0)
    return b"GIF89a" + screen + _GREYS + b"!\xff\x0bNETSCAPE2.0" + struct.pack("<BBHB", 3, 1, _FOR_EVER, 0)


def _frame(frame: NDArray[np.uint8], before: NDArray[np.uint8] | None, scale: int, delay: int) -> bytes:
    """Return one frame: the smallest rectangle that holds all pixels that differ from the frame before."""
    from PIL import Image  # some milliseconds, which no other format need wait for

    top, bottom, left, right = (0, frame.shape[0], 0, frame.shape[1]) if before is None else _changed(frame != before)
    enlarged = frame[top:bottom, left:right].repeat(scale, axis=0).repeat(scale, axis=1)
    control = b"!\xf9\x04" + struct.pack("<BHBB", _STAYS, delay, 0, 0)
    place = b"," + struct.pack("<HHHHB", left * scale, top * scale, enlarged.shape[1], enlarged.shape[0], 0)
    # Arguments of Pillow's encoder: the pixels' kind, their bits, and 0 for rows in their order.
    data = Image.fromarray(enlarged).tobytes("gif", "L", _BITS, 0)
    return control + place + bytes([_BITS]) + data + b"\0"


def _changed(differs: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return top, bottom, left and right of the smallest rectangle around all that is true; of one pixel if nothing is."""
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    if not len(rows):
        return 0, 1, 0, 1  # a frame of no size is not allowed
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
