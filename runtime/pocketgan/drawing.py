"""Draws a selection with one model: the class and pixels of each image, rows of text, scaling and inversion."""

from collections import abc
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pocketgan.address import (
    DEFAULT_CONSISTENCY,
    FULL_VARIETY,
    HandName,
    TraitRange,
    image_range,
    images_of_rows,
    shortest_decimal,
)
from pocketgan.errors import RequestError
from pocketgan.generator import Batch, Generator, labels_in_turn
from pocketgan.latents import latents_of
from pocketgan.model.limits import BATCH_SIZE, plan_batching
from pocketgan.request import Selection, labels_of_names, parse_text
from pocketgan.series import facts_of_model, options_of_model, words
from pocketgan.threads import close, ordered_map

LARGEST_IMAGE_PIXELS = 2**24
"""The most pixels of one image or row: 32 characters of 512x512 have half as many."""


class Drawing:
    """A selection and the model that draws it."""

    def __init__(self, generator: Generator, selection: Selection, most_threads: int) -> None:
        """Raise RequestError if the model lacks a class, or the images would be too large. Nothing is drawn yet."""
        self.generator = generator
        self.selection = selection
        card, length, names = generator.card, selection.row_length, selection.names
        self.size = height, width = finished_size(card.image_height, card.image_width * length, selection.height)
        """Height and width of an image or row, in pixels."""
        if height * width > LARGEST_IMAGE_PIXELS:
            raise RequestError(
                f"images of {height}x{width} pixels are too large: expected at most {LARGEST_IMAGE_PIXELS:,} pixels; give a "
                "smaller --size"
            )
        self._cycle = generator.class_cycle(None if names is None else labels_of_names(card, names))
        generator.check_traits(selection.rows.asked, self._cycle)
        self._names = names or card.classes
        # An image may wait three times: when the model has drawn it, when it is resized, and when it is encoded.
        waiting_bytes = card.image_height * card.image_width + 2 * -(-height * width // length)
        self.batching = plan_batching(generator.cost, most_threads, waiting_bytes)
        """How the model is called, within the limits on memory."""

    @property
    def indices(self) -> range:
        """The indices of all images or rows."""
        return self.selection.indices

    @property
    def images_each(self) -> int:
        """How many images of the model a row consists of."""
        return self.selection.row_length

    @property
    def threads(self) -> int:
        """How many threads draw, resize and write."""
        return self.batching.threads

    def batches(self, indices: range) -> abc.Generator[Batch, None, None]:
        """Yield images or rows of consecutive indices in order, scaled and inverted as selected; see `Generator.stream`."""
        selection = self.selection
        drawn = self.generator.batches(selection.images(indices), self._cycle, self.batching)
        if selection.text is not None:
            drawn = _in_rows(drawn, indices.start, selection.row_length)
        return finished(drawn, selection.height, selection.is_inverted, self.threads)

    def varied(self, indices: range, what: str, steps: int) -> NDArray[np.uint8]:
        """Return images or rows, each `steps` times by other hands or with a trait from the least to the most, finished.

        They are uint8 [n, steps, H, W]. See `Generator.varied_ticks`.
        """
        generator, selection, labels = self.generator, self.selection, self.labels(indices)
        each = None if labels is None else labels.ravel()
        ticks = generator.varied_ticks(selection.images(indices), each, what, steps)
        z = latents_of(ticks.reshape(-1, ticks.shape[-1]))
        drawn = generator.draw_latents(z, None if each is None else np.tile(each, steps))
        count, (height, width) = len(indices), drawn.shape[1:]
        # From [step, row, character, y, x] to [row, step, y, character, x].
        rows = drawn.reshape(steps, count, -1, height, width).transpose(1, 0, 3, 2, 4).reshape(count * steps, height, -1)
        (batch,) = finished([Batch(0, rows, None)], selection.height, selection.is_inverted)
        return batch.images.reshape(count, steps, *batch.images.shape[1:])

    def labels(self, indices: range) -> NDArray[np.int64] | None:
        """Return the labels of consecutive indices: int64 [n], or [n, characters] for rows; None if the model has none."""
        labels = labels_in_turn(self._cycle, self.selection.images(indices).indices)
        return labels if labels is None or self.selection.text is None else labels.reshape(len(indices), -1)

    def text(self, index: int) -> str | None:
        """Return the text of a row, None for single images."""
        return self.selection.text

    def name(self, index: int) -> str | None:
        """Return the name of an image's class, or those of a row; None if the model has no classes."""
        if self.selection.text is not None:
            return "".join(self._names)
        return self._names[index % len(self._names)] if self._names else None

    @property
    def one_of_each_class(self) -> range:
        """The first indices, enough of them to show each class or text at least once."""
        return self.selection.indices[: 1 if self.selection.text is not None else max(1, len(self._names))]

    @cached_property
    def about(self) -> dict[str, str | int | float | bool]:
        """What all images have in common. With an index and a class or text, it is enough to draw one again."""
        about: dict[str, str | int | float | bool] = {
            "model": self.generator.sha256,
            "seed": self.selection.rows.seed,
            "truncation": self.selection.rows.truncation,
        }
        about |= self.selection.rows.about_writing
        about |= {} if self.selection.height is None else {"height": self.selection.height}
        return about | ({"inverted": True} if self.selection.is_inverted else {})

    @property
    def facts(self) -> dict[str, object]:
        """Everything that the images depend on, for a manifest."""
        selection = self.selection
        return {
            **facts_of_model(self.generator, selection.rows),
            "classes": None if selection.text is not None else list(selection.names or self.generator.card.classes),
            "text": selection.text,
            "truncation": selection.rows.truncation,
            **selection.rows.about_writing,
            "height": selection.height,
            "inverted": selection.is_inverted,
            "image_shape": list(self.size),
        }

    @property
    def command(self) -> list[str]:
        """The words of a command that draws them, without a folder and a format."""
        selection = self.selection
        options: dict[str, object] = options_of_model(self.generator, selection.rows)
        if selection.text is not None:
            options["--text"] = selection.text
        elif selection.names is not None:
            options["--digits"] = ",".join(selection.names)
        options["--truncation"] = selection.rows.truncation
        options |= {f"--{name}": value for name, value in selection.rows.about_writing.items()}
        if selection.height is not None:
            options["--size"] = selection.height
        return ["gan-gen", *words(options), *["--invert"] * selection.is_inverted]

    @property
    def summary(self) -> str:
        """What and how many the images are, for the last line of a command."""
        rows, text, count = self.selection.rows, self.selection.text, len(self.indices)
        what = ("image" if count == 1 else "images") + ("" if text is None else f" of {text}")
        how = "" if rows.truncation == FULL_VARIETY else f" at truncation {shortest_decimal(rows.truncation)}"
        if rows.hand is not None:
            how += f" by hand {rows.about_writing['hand']} at consistency {shortest_decimal(rows.hand.consistency)}"
        how += "".join(f", {trait.name} {trait}" for trait in rows.asked)
        return f"{count:,} {what} of seed {rows.seed} from index {rows.indices.start}{how}"


def text_rows(
    generator: Generator,
    text: str,
    count: int,
    seed: int | None = 0,
    start: int = 0,
    threads: int = 1,
    *,
    truncation: float = FULL_VARIETY,
    hand: HandName | None = None,
    consistency: float = DEFAULT_CONSISTENCY,
    slant: TraitRange | None = None,
    thickness: TraitRange | None = None,
    width: TraitRange | None = None,
    batch_size: int = BATCH_SIZE,
) -> Iterator[Batch]:
    """Yield rows `start` to `start + count - 1` of a text in order, in batches: images uint8 [n, H, len(text) * W].

    Row r shows the images `r * len(text)` to `(r + 1) * len(text) - 1` of `seed`, each of the class that its character names, so
    a row is the same in every call. A batch's `start` counts rows and its labels are int64 [n, len(text)].
    `batch_size` counts images. Memory does not grow with `count`.

    Raises RequestError, before anything is drawn, if an argument is out of its range, the text is empty or longer than
    LONGEST_TEXT, or the model has no class by the name of a character.
    """
    labels = labels_of_names(generator.card, parse_text(text))
    rows = image_range(seed, start, count)
    images = images_of_rows(rows, len(labels)).indices
    batches = generator.stream(
        len(images),
        labels,
        seed,
        images.start,
        threads,
        truncation=truncation,
        hand=hand,
        consistency=consistency,
        slant=slant,
        thickness=thickness,
        width=width,
        batch_size=batch_size,
    )
    return _in_rows(batches, rows.indices.start, len(labels))


def _in_rows(batches: Iterator[Batch], start: int, length: int) -> Iterator[Batch]:
    """Join batches of images into rows of `length` images each, and number the rows from `start`."""
    waiting: list[Batch] = []  # the images of a row that has begun
    try:
        for batch in batches:
            waiting.append(batch)
            count = sum(len(one.images) for one in waiting) // length
            if not count:  # a row may be longer than a batch
                continue
            images = np.concatenate([one.images for one in waiting])
            labels = np.concatenate([one.labels for one in waiting if one.labels is not None])
            complete, (height, width) = count * length, images.shape[1:]
            # From [row, character, y, x] to [row, y, character, x].
            rows = images[:complete].reshape(count, length, height, width).swapaxes(1, 2).reshape(count, height, length * width)
            yield Batch(start, rows, labels[:complete].reshape(count, length))
            waiting = [Batch(0, images[complete:], labels[complete:])]
            start += count
    finally:
        close(batches)


def finished(
    batches: Iterable[Batch], height: int | None, is_inverted: bool, threads: int = 1
) -> abc.Generator[Batch, None, None]:
    """Yield batches with images scaled to `height` pixels, width in proportion, and inverted if `is_inverted`.

    Without a height they keep their size; with one, `threads` threads scale them.
    """

    def finish(batch: Batch) -> Batch:
        if height is None:
            return replace(batch, images=255 - batch.images) if is_inverted else batch
        return replace(batch, images=np.stack([finished_image(image, height, is_inverted) for image in batch.images]))

    return ordered_map(finish, batches, 1 if height is None else threads)


def finished_size(height: int, width: int, new_height: int | None) -> tuple[int, int]:
    """Return the height and width that `finished` gives images of this size."""
    return (height, width) if new_height is None else (new_height, max(1, round(width * new_height / height)))


def finished_image(image: NDArray[np.uint8], height: int | None, is_inverted: bool) -> NDArray[np.uint8]:
    """Return one image, uint8 [H, W], scaled and inverted as `finished` does."""
    image = image if height is None else _resized(image, height)
    return 255 - image if is_inverted else image


def _resized(image: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    """Return an image uint8 [H, W] resampled to `height` rows, with Lanczos's filter."""
    from PIL import Image

    size = finished_size(image.shape[0], image.shape[1], height)[::-1]  # Pillow's order
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
