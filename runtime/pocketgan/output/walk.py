"""A looping GIF animation: a walk through the latents from each of the first images to the next.

Pillow compresses the frames; the file around them is written here, because Pillow would keep all frames in memory.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pocketgan.address import ImageRange
from pocketgan.drawing import Drawing, finished_image
from pocketgan.errors import OutputError, RequestError
from pocketgan.files import whole_file
from pocketgan.generator import Generator
from pocketgan.latents import LARGEST_TICK, LATENT_STEP
from pocketgan.output.sheet import MOST_VARIED, STEPS, shown_scale
from pocketgan.trait_table import HAND, TRAITS

MOST_KEYFRAMES = 100
"""A walk goes through at most this many images, the first ones."""

STEPS_BETWEEN = 16
"""Frames from one image to the next."""
FRAME_MILLISECONDS = 60  # about a second from one image to the next


def write_walk(target: Path, drawing: Drawing, varied: str | None = None) -> None:
    """Write a walk through the first images or rows of a drawing; its frames include them, pixel for pixel.

    If a trait or the hand is `varied`, the first ten images stand side by side, or the first row, and walk from the least of the
    trait to the most and back, or from hand to hand. Images of the model's own size are enlarged up to four times. Raises
    RequestError for a single image without it, and OutputError if the file cannot be written.
    """
    selection, scale = drawing.selection, shown_scale(drawing.size[0]) if drawing.selection.height is None else 1
    keyframes = drawing.indices[:MOST_KEYFRAMES]
    labels = drawing.labels(keyframes)
    rows = None if labels is None else labels.reshape(len(keyframes), selection.row_length)
    if varied is None:
        frames = walk(drawing.generator, selection.images(keyframes), rows, selection.row_length, STEPS_BETWEEN)
    else:
        side_by_side = drawing.indices[: MOST_VARIED if selection.text is None else 1]
        of_images = None if labels is None else labels.ravel()[: len(side_by_side) * selection.row_length]
        frames = varied_walk(drawing.generator, selection.images(side_by_side), of_images, varied, STEPS_BETWEEN)
    shown = (finished_image(frame, selection.height, selection.is_inverted) for frame in frames)
    write_gif(target, shown, scale, FRAME_MILLISECONDS)


def walk(
    generator: Generator, walked: ImageRange, labels: NDArray[np.int64] | None, length: int, steps: int
) -> Iterator[NDArray[np.uint8]]:
    """Yield `steps` frames uint8 [H, length * W] for each row of `length` images, 0 = background; the last leads back.

    Frame `k * steps` is row k of the images `walked`: `length` of them side by side, as `text_rows` draws them, or with a length
    of 1 one image, as `Generator.generate` draws it. `labels` are their classes, int64 [rows, length]; None for a model without
    classes. The frames in between lead to the next row: see `latents_between`. Where the class changes, images of both classes,
    drawn from the same latents, fade into each other during the middle half of the steps.

    Memory use depends neither on the rows nor on `steps`. Raises RequestError, before anything is drawn, if an argument is out of
    range, labels do not fit the rows, or there is only one row.
    """
    rows = len(walked.indices) // length
    if rows < 2:
        raise RequestError("a walk from an image to itself does not move: expected a count of at least 2")
    if steps < 1:
        raise RequestError(f"steps {steps} is out of range: expected at least 1")
    _check_labels(generator, labels, (rows, length))
    of_rows = [None] * rows if labels is None else list(labels)
    starts = range(0, rows * length, length)
    parts = (walked._replace(indices=walked.indices[start : start + length]) for start in chain(starts, starts[:1]))
    keyframes = (generator.ticks(part, of_rows[number % rows]) for number, part in enumerate(parts))
    correlation = np.full(generator.card.latent_size, 0.0 if walked.hand is None else walked.hand.consistency)
    if generator.card.traits is not None and (walked.asked or walked.hand is not None):
        correlation[: len(TRAITS)] = 1  # traits go from value to value in a straight line
    return _frames(generator, keyframes, [*of_rows, of_rows[0]], correlation, steps)


def varied_walk(
    generator: Generator, images: ImageRange, labels: NDArray[np.int64] | None, what: str, steps: int
) -> Iterator[NDArray[np.uint8]]:
    """Yield frames uint8 [H, n * W] of `n` images with these labels, side by side, that walk from hand to hand or sway.

    `what` is as in `Generator.varied_ticks`. There are `steps` frames from one of ten hands to the next, and from the last to the
    first, or from the least of a trait to the most, and back. Raises RequestError if the model cannot draw chosen traits.
    """
    keyframes = generator.varied_ticks(images, labels, what, STEPS)
    keyframes = keyframes if what == HAND else keyframes[[0, -1]]
    # What is not the hand's stays as it is.
    correlation = np.full(generator.card.latent_size, 1 - images.first_hand.consistency if what == HAND else 1.0)
    correlation[: 0 if generator.card.traits is None else len(TRAITS)] = 1
    turns = [*keyframes, keyframes[0]]
    return _frames(generator, turns, [labels] * len(turns), correlation, steps)


def _frames(
    generator: Generator,
    keyframes: Iterable[NDArray[np.int8]],
    labels: Sequence[NDArray[np.int64] | None],
    correlation: NDArray[np.float64],
    steps: int,
) -> Iterator[NDArray[np.uint8]]:
    """Yield `steps` frames from each keyframe to the next: of latents, int8 [length, size], with their labels [length]."""
    height, width = generator.card.image_height, generator.card.image_width
    for (start, end), (before, after) in zip(pairwise(keyframes), pairwise(labels), strict=True):
        length, size = start.shape
        at_once = max(1, generator.batch_size // length)
        for first in range(0, steps, at_once):
            taken = np.arange(first, min(first + at_once, steps))
            z = latents_between(start, end, taken, steps, correlation).reshape(-1, size)
            if before is None or after is None:
                images = generator.draw_latents(z)
            else:
                images = _cross_faded(generator, z, before, after, taken, steps)
            # From [frame, character, y, x] to [frame, y, character, x].
            yield from images.reshape(-1, length, height, width).swapaxes(1, 2).reshape(-1, height, length * width)


def latents_between(
    start: NDArray[np.int8], end: NDArray[np.int8], taken: NDArray[np.int64], steps: int, correlation: ArrayLike = 0.0
) -> NDArray[np.float32]:
    """Return the latents after each of `taken`, int64 [n], of `steps` steps from `start` to `end`: float32 [n, ...].

    `start` and `end` are ticks of the same shape, see `latent_ticks`; the result is on the same grid. After j of s steps it is
    ((s - j) * start + j * end) / sqrt((s - j)^2 + j^2 + 2 * correlation * (s - j) * j): the divisor keeps the variance of normal
    latents, which linear interpolation keeps only at the ends. The correlation is one number, or one for each latent: those of
    one hand are correlated, others are independent.

    Spherical interpolation (T. White, "Sampling Generative Networks", 2016) is similar, but needs sines, which differ
    between C libraries. Sums, products, quotients and square roots are rounded alike everywhere (IEEE 754, 5.4.1).
    """
    ahead = taken.astype(np.float64).reshape(-1, *(1 for _ in start.shape))
    behind = steps - ahead
    ticks = np.rint(
        (behind * start + ahead * end) / np.sqrt(behind * behind + ahead * ahead + 2 * np.asarray(correlation) * (behind * ahead))
    )
    # Between two values of the same sign, the result is up to sqrt(2) times as large.
    between: NDArray[np.float32] = (ticks.clip(-LARGEST_TICK, LARGEST_TICK) * LATENT_STEP).astype(np.float32)
    return between


def _check_labels(generator: Generator, labels: NDArray[np.int64] | None, shape: tuple[int, int]) -> None:
    """Raise RequestError unless the labels are of this shape and the model's own."""
    if labels is None:
        if generator.card.classes:
            raise RequestError(f"model {generator.card.name} has {len(generator.card.classes)} classes: expected labels")
    elif labels.shape != shape or labels.dtype != np.int64:
        raise RequestError(f"labels of shape {labels.shape} and type {labels.dtype}: expected int64 of shape {shape}")
    else:
        generator.labels(0, 1, labels.ravel())  # raises for labels that the model does not have


def _cross_faded(
    generator: Generator,
    z: NDArray[np.float32],
    start: NDArray[np.int64],
    end: NDArray[np.int64],
    taken: NDArray[np.int64],
    steps: int,
) -> NDArray[np.uint8]:
    """Return the images of latents float32 [n * length, size] of `n` frames: uint8 [n * length, H, W].

    Their classes are `start`, int64 [length], at first, then a mixture of both, rounded to the nearest grey, and `end` at last.
    `taken` is int64 [n], as in `latents_between`.
    """
    first, second = np.tile(start, len(taken)), np.tile(end, len(taken))
    # A mixture looks like neither class, so it takes half of the steps; a quarter shows each class alone.
    whole = 2 * steps
    share = (4 * taken - steps).clip(0, whole).repeat(len(start))  # of the second class, out of `whole`
    images = generator.draw_latents(z, np.where(share < whole, first, second))
    is_mixed = (first != second) & (share > 0) & (share < whole)
    if is_mixed.any():
        second_images = generator.draw_latents(z[is_mixed], second[is_mixed])
        parts = share[is_mixed, None, None]
        images[is_mixed] = ((whole - parts) * images[is_mixed] + parts * second_images + whole // 2) // whole
    return images


_LARGEST_SIDE = 2**16 - 1
_LONGEST_DELAY = 2**16 - 1
_BITS = 8
_GREYS = bytes(grey for grey in range(2**_BITS) for _ in "rgb")
_HAS_COLOURS = 0x80 | (_BITS - 1) << 4 | (_BITS - 1)
_FOREVER = 0
_KEEP = 1 << 2  # the disposal method "do not dispose": the next frame is drawn over this one


def write_gif(target: Path, frames: Iterable[NDArray[np.uint8]], scale: int, frame_milliseconds: int) -> None:
    """Write frames as a GIF file that repeats them forever, each pixel as `scale` by `scale` pixels.

    All frames, at least one, are uint8 [H, W] of one shape, 0 = black, and can be read back exactly. Each is shown for
    `frame_milliseconds`, rounded to hundredths of a second, at least one; browsers show frames of less than two hundredths for
    ten. Only two frames are in memory at a time. Equal frames give equal bytes with the same Pillow. Raises OutputError if the
    file cannot be written or the frames are too large for a GIF.
    """
    delay = min(max(1, (frame_milliseconds + 5) // 10), _LONGEST_DELAY)
    previous: NDArray[np.uint8] | None = None
    with whole_file(target) as temporary, temporary.open("wb") as file:
        for frame in frames:
            if previous is None:
                file.write(_file_header(target, frame.shape[1] * scale, frame.shape[0] * scale))
            file.write(_frame(frame, previous, scale, delay))
            previous = frame
        file.write(b";")


def _file_header(target: Path, width: int, height: int) -> bytes:
    """Return what precedes the first frame: the size, the 256 greys, and the instruction to repeat the animation."""
    if max(width, height) > _LARGEST_SIDE:
        raise OutputError(f"cannot write {target}: {width}x{height} pixels, but a GIF has at most {_LARGEST_SIDE} each way")
    screen = struct.pack("<HHBBB", width, height, _HAS_COLOURS, 0, 0)
    return b"GIF89a" + screen + _GREYS + b"!\xff\x0bNETSCAPE2.0" + struct.pack("<BBHB", 3, 1, _FOREVER, 0)


def _frame(frame: NDArray[np.uint8], previous: NDArray[np.uint8] | None, scale: int, delay: int) -> bytes:
    """Return one frame: the smallest rectangle that contains all pixels that differ from the previous frame."""
    from PIL import Image  # takes milliseconds to import, and only this needs it

    top, bottom, left, right = (0, frame.shape[0], 0, frame.shape[1]) if previous is None else _bounding_box(frame != previous)
    enlarged = frame[top:bottom, left:right].repeat(scale, axis=0).repeat(scale, axis=1)
    control = b"!\xf9\x04" + struct.pack("<BHBB", _KEEP, delay, 0, 0)
    descriptor = b"," + struct.pack("<HHHHB", left * scale, top * scale, enlarged.shape[1], enlarged.shape[0], 0)
    # Arguments of Pillow's encoder: the pixels' mode, their bits, and 0 for no interlacing.
    data = Image.fromarray(enlarged).tobytes("gif", "L", _BITS, 0)
    return control + descriptor + bytes([_BITS]) + data + b"\0"


def _bounding_box(differs: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return top, bottom, left and right of the smallest rectangle around all true values, or of one pixel if there are none."""
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    if not len(rows):
        return 0, 1, 0, 1  # a frame must not be empty
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
