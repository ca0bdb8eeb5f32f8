"""What a selection of images means with one model: each image's class, its pixels, and what is said of it."""

from collections import abc
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pocketgan.digit_spec import labels_of_names
from pocketgan.drawing_run import Selection
from pocketgan.errors import RequestError
from pocketgan.finish import finished, finished_size
from pocketgan.generator import Batch, Generator
from pocketgan.graph_limits import Calls, plan_calls
from pocketgan.text_rows import text_labels, text_rows
from pocketgan.truncation import TRUNCATION_UNITS, truncation_units

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
