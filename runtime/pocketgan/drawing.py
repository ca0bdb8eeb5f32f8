"""What a selection of images means with one model: each image's class and pixels, rows of text, size and inversion."""

from collections import abc
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pocketgan.address import FULL_VARIETY, INDEX_LIMIT, TRUNCATION_UNITS, check_address, truncation_units
from pocketgan.errors import RequestError
from pocketgan.generator import BATCH_SIZE, Batch, Generator
from pocketgan.model.checked import Calls, plan_calls
from pocketgan.request import Selection, labels_of_names, parse_text
from pocketgan.threads import close, ordered_map


def text_rows(
    generator: Generator,
    text: str,
    count: int,
    seed: int = 0,
    start: int = 0,
    threads: int = 1,
    *,
    truncation: float = FULL_VARIETY,
    batch_size: int = BATCH_SIZE,
) -> Iterator[Batch]:
    """Yield rows `start` to `start + count - 1` of a text in order, in batches: images uint8 [n, H, len(text) * W].

    Row r shows the images `r * len(text)` to `(r + 1) * len(text) - 1` of `seed`, the first of the class that the first character
    names, and so on: so it is the same in every call. A batch's `start` counts rows and its labels are int64 [n, len(text)].
    `batch_size` counts images. Memory does not grow with `count`.

    Raises RequestError, before anything is drawn, if an argument is out of its range, the
    text is empty or longer than LONGEST_TEXT, or the model has no class by the name of a character.
    """
    labels = labels_of_names(generator.card, parse_text(text))
    seed, start, count = check_address(seed, start, count)
    length = len(labels)
    rows = INDEX_LIMIT // length
    if start + count > rows:
        raise RequestError(
            f"rows {start} to {start + count - 1} of {length} characters are out of range: expected indices 0 to {rows - 1}"
        )
    batches = generator.stream(
        count * length, labels, seed, start * length, threads, truncation=truncation, batch_size=batch_size
    )
    return _rows(batches, generator, text, start)


def text_labels(generator: Generator, text: str, start: int, count: int) -> NDArray[np.int64]:
    """Return the classes of rows of a text from index `start`, which are the same in each: int64 [count, len(text)].

    Raises RequestError for a text that `text_rows` refuses.
    """
    chosen = labels_of_names(generator.card, parse_text(text))
    labels = generator.labels(start * len(chosen), count * len(chosen), chosen)
    assert labels is not None, "a model with these classes has labels"
    return labels.reshape(count, len(chosen))


def _rows(batches: Iterator[Batch], generator: Generator, text: str, start: int) -> Iterator[Batch]:
    height, width, length = generator.card.image_height, generator.card.image_width, len(text)
    waiting = np.empty((0, height, width), dtype=np.uint8)  # the images of a row that has begun
    try:
        for batch in batches:
            waiting = np.concatenate([waiting, batch.images])
            count = len(waiting) // length
            if not count:  # a row may be longer than a batch
                continue
            complete = waiting[: count * length].reshape(count, length, height, width)
            # From [row, character, y, x] to [row, y, character, x].
            images = complete.swapaxes(1, 2).reshape(count, height, length * width)
            yield Batch(start, images, text_labels(generator, text, start, count))
            waiting = waiting[count * length :]
            start += count
    finally:
        close(batches)


def finished(
    batches: Iterable[Batch], height: int | None, is_inverted: bool, threads: int = 1
) -> abc.Generator[Batch, None, None]:
    """Yield batches whose images are `height` pixels high and as much wider, and inverted if that is asked for.

    Without a height they keep their size; with one, so many threads resize.
    """

    def finish(batch: Batch) -> Batch:
        if height is None:
            return replace(batch, images=255 - batch.images) if is_inverted else batch
        return replace(batch, images=np.stack([finished_image(image, height, is_inverted) for image in batch.images]))

    return ordered_map(finish, batches, 1 if height is None else threads)


def finished_size(height: int, width: int, wanted_height: int | None) -> tuple[int, int]:
    """Return the height and width that images of this size get."""
    return (height, width) if wanted_height is None else (wanted_height, max(1, round(width * wanted_height / height)))


def finished_image(image: NDArray[np.uint8], height: int | None, is_inverted: bool) -> NDArray[np.uint8]:
    """Return one image uint8 [H, W] as `finished` makes it."""
    image = image if height is None else _resized(image, height)
    return 255 - image if is_inverted else image


def _resized(image: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    """Return an image uint8 [H, W] resampled to so many rows, with Lanczos's filter."""
    from PIL import Image

    size = finished_size(image.shape[0], image.shape[1], height)[::-1]  # Pillow's order
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


LARGEST_IMAGE_PIXELS = 2**24
"""Of an image or row that is written: 32 characters of 512x512 have half of that."""


@dataclass(frozen=True)
class Drawing:
    """A selection and the model that draws it."""

    generator: Generator
    selection: Selection
    asked_threads: int

    def __post_init__(self) -> None:
        """Raise RequestError, before anything is drawn, for classes or indices that there are not, or too large images."""
        height, width = self.size
        if height * width > LARGEST_IMAGE_PIXELS:
            raise RequestError(
                f"images of {height}x{width} pixels are too large: expected at most {LARGEST_IMAGE_PIXELS:,} pixels; give a "
                "smaller --size"
            )
        self.batches(self.selection.indices)

    @cached_property
    def calls(self) -> Calls:
        """How many threads draw, and how many images of the model at once: as its memory and that of what waits allow."""
        card, (height, width) = self.generator.card, self.size
        # Drawn by the model, resized, and written, each image waits up to three times.
        waiting_bytes = card.image_height * card.image_width + 2 * -(-height * width // self.characters)
        return plan_calls(self.generator.cost, self.asked_threads, waiting_bytes)

    @property
    def threads(self) -> int:
        """How many threads draw, resize and write."""
        return self.calls.threads

    def batches(self, indices: range) -> abc.Generator[Batch, None, None]:
        """Yield images or rows of consecutive indices in order, sized and inverted as asked for; see `Generator.stream`."""
        selection, start, count, (threads, size) = self.selection, indices.start, len(indices), self.calls
        generator, seed, truncation = self.generator, selection.seed, selection.truncation
        if selection.text is None:
            drawn = generator.stream(count, self._cycle, seed, start, threads, truncation=truncation, batch_size=size)
        else:
            drawn = text_rows(generator, selection.text, count, seed, start, threads, truncation=truncation, batch_size=size)
        return finished(drawn, selection.height, selection.is_inverted, threads)

    def labels(self, indices: range) -> NDArray[np.int64] | None:
        """Return the labels of consecutive indices: int64 [n], or [n, characters] for rows; None if the model has none."""
        if self.selection.text is None:
            return self.generator.labels(indices.start, len(indices), self._cycle)
        return text_labels(self.generator, self.selection.text, indices.start, len(indices))

    def name(self, index: int) -> str | None:
        """Return the class of an image by its name, or a row's text; None if the model has no classes."""
        if self.selection.text is not None:
            return self.selection.text
        return self._class_names[index % len(self._class_names)] if self._class_names else None

    @property
    def one_of_each_class(self) -> range:
        """Indices among which each class or text that is drawn comes at least once."""
        return self.selection.indices[: 1 if self.selection.text is not None else max(1, len(self._class_names))]

    @property
    def characters(self) -> int:
        """How many images of the model stand side by side in one that is drawn."""
        return len(self.selection.text or "1")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of what is drawn, in pixels."""
        card = self.generator.card
        return finished_size(card.image_height, card.image_width * self.characters, self.selection.height)

    @property
    def truncation(self) -> float:
        """The truncation that is really used: the nearest that latents can be scaled by exactly."""
        return truncation_units(self.selection.truncation) / TRUNCATION_UNITS

    @cached_property
    def about(self) -> dict[str, str | int | float | bool]:
        """What can be said of every image: with index and class or text, all that is needed to draw it again."""
        about: dict[str, str | int | float | bool] = {
            "model": self.generator.sha256,
            "seed": self.selection.seed,
            "truncation": self.truncation,
        }
        about |= {} if self.selection.height is None else {"height": self.selection.height}
        return about | ({"inverted": True} if self.selection.is_inverted else {})

    @cached_property
    def _cycle(self) -> tuple[int, ...] | None:
        """The labels that indices run through; None for all classes, and for a model without any."""
        names = self.selection.names
        return None if names is None else labels_of_names(self.generator.card, names)

    @cached_property
    def _class_names(self) -> tuple[str, ...]:
        return self.selection.names or self.generator.card.classes
