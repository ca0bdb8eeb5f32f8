"""Walks through the latents: from image to image and back to the first, for an animation that loops."""

from collections.abc import Iterator
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray

from pocketgan.address import check_address
from pocketgan.errors import RequestError
from pocketgan.generator import Generator
from pocketgan.latents import LARGEST_TICK, LATENT_STEP, latent_ticks
from pocketgan.truncation import truncation_units


def walk(
    generator: Generator,
    rows: range,
    length: int,
    labels: NDArray[np.int64] | None,
    seed: int,
    truncation: float,
    steps: int,
) -> Iterator[NDArray[np.uint8]]:
    """Yield `len(rows) * steps` frames uint8 [H, length * W], 0 = background; after the last, the first comes again.

    Frame `k * steps` is row `rows[k]`: the images from index `rows[k] * length` side by side, as `text_rows` has them, or with a
    `length` of 1 one image, as `Generator.generate` has it. `labels` are their classes, int64 [len(rows), length], or None for a
    model without. The frames between lead to the next row, those after the last row to the first: see `latents_between`. Where
    the class changes, images of both, of the same latents, fade into each other during the middle half of the way.

    Memory grows neither with the rows nor with `steps`. Raises RequestError, before anything is drawn, if an argument is out of
    its range, labels are not those of the rows, or there is only one row, from which no way leads.
    """
    check_address(seed, rows.start * length, len(rows) * length)
    if len(rows) < 2:
        raise RequestError("a walk from an image to itself does not move: expected a count of at least 2")
    if steps < 1:
        raise RequestError(f"steps {steps} is out of range: expected at least 1")
    truncation_units(truncation)  # only to refuse one that is out of range
    _check_labels(generator, labels, (len(rows), length))

    def frames() -> Iterator[NDArray[np.uint8]]:
        size, height, width = generator.card.latent_size, generator.card.image_height, generator.card.image_width
        at_once = max(1, generator.batch_size // length)
        stations = (latent_ticks(seed, row * length, length, size, truncation) for row in chain(rows, rows[:1]))
        for place, (here, there) in enumerate(pairwise(stations)):
            for first in range(0, steps, at_once):
                taken = np.arange(first, min(first + at_once, steps))
                z = latents_between(here, there, taken, steps).reshape(-1, size)
                if labels is None:
                    images = generator.draw_latents(z)
                else:
                    images = _cross_faded(generator, z, labels[place], labels[(place + 1) % len(rows)], taken, steps)
                # From [frame, character, y, x] to [frame, y, character, x].
                yield from images.reshape(-1, length, height, width).swapaxes(1, 2).reshape(-1, height, length * width)

    return frames()


def latents_between(here: NDArray[np.int8], there: NDArray[np.int8], taken: NDArray[np.int64], steps: int) -> NDArray[np.float32]:
    """Return the latents after each number of steps `taken`, int64 [n], of `steps` from `here` to `there`: float32 [n, ...].

    `here` and `there` are ticks, see `latent_ticks`, of one shape, which the result has after its first axis. It is on their
    grid. After j of s steps it is ((s - j) * here + j * there) / sqrt((s - j)^2 + j^2): the variance of independent normal
    latents stays what it is on a straight way of equal steps, without the divisor, only at its ends.

    A spherical way (T. White, "Sampling Generative Networks", 2016) is much the same, but takes sines, which differ from one C
    library to another. Sums, products, quotients and square roots are rounded alike on every machine (IEEE 754, clause 5.4.1).
    """
    ahead = taken.astype(np.float64).reshape(-1, *(1 for _ in here.shape))
    behind = steps - ahead
    ticks = np.rint((behind * here + ahead * there) / np.sqrt(behind * behind + ahead * ahead))
    # Where both are far out on the same side, the point between is up to sqrt(2) times as far.
    between: NDArray[np.float32] = (ticks.clip(-LARGEST_TICK, LARGEST_TICK) * LATENT_STEP).astype(np.float32)
    return between


def _check_labels(generator: Generator, labels: NDArray[np.int64] | None, shape: tuple[int, int]) -> None:
    """Raise RequestError unless these are classes of the model for rows and images of such a number."""
    if labels is None:
        if generator.card.classes:
            raise RequestError(f"model {generator.card.name} has {len(generator.card.classes)} classes: expected labels")
    elif labels.shape != shape or labels.dtype != np.int64:
        raise RequestError(f"labels of shape {labels.shape} and type {labels.dtype}: expected int64 of shape {shape}")
    else:
        generator.labels(0, 1, labels.ravel())  # only to refuse those that the model does not have


def _cross_faded(
    generator: Generator,
    z: NDArray[np.float32],
    here: NDArray[np.int64],
    there: NDArray[np.int64],
    taken: NDArray[np.int64],
    steps: int,
) -> NDArray[np.uint8]:
    """Return the images of latents float32 [n * length, size] of `n` frames: uint8 [n * length, H, W].

    Their classes are `here`, int64 [length], at first, then both in a mixture, rounded to the nearest grey, and `there` at last.
    `taken` is int64 [n], as in `latents_between`.
    """
    before, after = np.tile(here, len(taken)), np.tile(there, len(taken))
    # Two classes through each other look like neither, so not for long: a quarter of the way shows one, a quarter the other.
    whole = 2 * steps
    share = (4 * taken - steps).clip(0, whole).repeat(len(here))  # of the class after, in parts of `whole`
    images = generator.draw_latents(z, np.where(share < whole, before, after))
    is_mixed = (before != after) & (share > 0) & (share < whole)
    if is_mixed.any():
        others = generator.draw_latents(z[is_mixed], after[is_mixed])
        parts = share[is_mixed, None, None]
        images[is_mixed] = ((whole - parts) * images[is_mixed] + parts * others + whole // 2) // whole
    return images
