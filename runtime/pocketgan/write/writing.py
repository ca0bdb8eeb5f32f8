"""Numbers as a series of images: each a canvas with one or more texts, every digit drawn by the model and placed."""

from collections import abc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from reprlib import repr as shortened
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pocketgan.address import INDEX_LIMIT, AskedTrait, Hand, ImageRange, check_array
from pocketgan.errors import RequestError, of_argument
from pocketgan.generator import Batch, Generator
from pocketgan.latents import asked_values, latents_of
from pocketgan.model.limits import plan_batching
from pocketgan.request import LONGEST_TEXT, labels_of_names, names_of_characters
from pocketgan.series import facts_of_model, options_of_model, words
from pocketgan.threads import ordered_map
from pocketgan.write.layout import Glyph, Page, Style, page_of, words_of, written
from pocketgan.write.paper import Paper, on_paper
from pocketgan.write.patterns import NAMED_PATTERNS
from pocketgan.write.texts import GAP, ListedTexts, Texts, texts_in_classes

_PIXELS_AT_ONCE = 2**22


@dataclass(frozen=True)
class WritingRequest:
    """Which images of numbers to draw, and how they look."""

    images: ImageRange
    """Without a hand, number n of a seed is by hand n of that seed."""
    texts: Texts
    style: Style
    paper: Paper
    consistency_units: int
    options: Mapping[str, object]
    """The options that it was made of, by name, for the command in the manifest."""

    def __post_init__(self) -> None:
        """Raise RequestError if an index is out of range, or the numbers do not fit onto the canvas."""
        indices, most = self.images.indices, INDEX_LIMIT // (LONGEST_TEXT * self.style.numbers_each)
        with of_argument("start"):
            if indices.stop > most:
                raise RequestError(f"images {indices.start} to {indices[-1]} are out of range: expected 0 to {most - 1}")
        with of_argument("canvas"):
            page_of(self.style, self.texts.longest, self.images.seed, indices.start)


WrittenNumbers: TypeAlias = list[list[Glyph]]
"""The digits of each number of an image, in the order in which they are read."""


@dataclass(frozen=True)
class WrittenBatch(Batch):
    """Consecutive images of numbers, and where their digits are."""

    numbers: list[WrittenNumbers]
    """The digits of each image."""


class Writing:
    """A request and the model that draws its digits, with up to `most_threads` threads."""

    def __init__(self, generator: Generator, request: WritingRequest, most_threads: int = 1) -> None:
        """Raise RequestError if the model lacks a character, or cannot draw the traits that are asked for."""
        self.generator = generator
        self.request = request = replace(request, texts=texts_in_classes(request.texts, generator.card.classes))
        characters = sorted(request.texts.characters - {GAP})
        try:
            labels = labels_of_names(generator.card, names_of_characters(characters))
        except RequestError as error:
            raise RequestError(_named(request, generator.card.classes, error)) from error
        self._label_of = dict(zip(characters, labels, strict=True))
        generator.check_traits(request.images.asked, np.array(sorted(labels)))
        width, height = request.style.canvas
        self.size = height, width
        """Height and width of an image, in pixels."""
        card = generator.card
        waiting = 4 * height * width + LONGEST_TEXT * request.style.numbers_each * card.image_height * card.image_width
        self.batching = plan_batching(generator.cost, most_threads, waiting)
        """How the model is called, within the limits on memory."""

    @property
    def indices(self) -> range:
        """The indices of all images."""
        return self.request.images.indices

    @property
    def images_each(self) -> int:
        """How many images of the model are part of one, at most."""
        return self.request.texts.longest * self.request.style.numbers_each

    @property
    def threads(self) -> int:
        """How many threads draw and write."""
        return self.batching.threads

    @cached_property
    def about(self) -> Mapping[str, object]:
        """What all images have in common. With an index it is enough to draw one again."""
        # Files are named by their contents: another file of the same name says something else.
        options = {name: value for name, value in self.request.options.items() if name not in self._digests}
        return {"model": self.generator.sha256, "seed": self.request.images.seed, **options, **self._digests}

    @cached_property
    def _digests(self) -> dict[str, object]:
        """The SHA-256 of texts and of a picture, by the names of the options that they came by."""
        texts, paper = self.request.texts, self.request.paper
        digests: dict[str, object] = {"texts": texts.sha256} if isinstance(texts, ListedTexts) else {}
        return digests | ({} if paper.sha256 is None else {"background": paper.sha256})

    @property
    def facts(self) -> dict[str, object]:
        """Everything that the images depend on, for a manifest."""
        facts = facts_of_model(self.generator, self.request.images)
        return {**facts, **self.about, "image_shape": list(self.size)}

    @property
    def command(self) -> list[str]:
        """The words of a command that draws them, without a folder and a format."""
        options = options_of_model(self.generator, self.request.images)
        return ["gan-write", *words(options | {f"--{name}": value for name, value in self.request.options.items()})]

    @property
    def summary(self) -> str:
        """What and how many the images are, for the last line of a command."""
        count, each = len(self.indices), self.request.style.numbers_each
        what = ("image" if count == 1 else "images") + ("" if each == 1 else f" of {each} numbers each")
        return f"{count:,} {what} of seed {self.request.images.seed} from index {self.indices.start}"

    @property
    def one_of_each_class(self) -> range:
        """The first index: images of numbers have no classes."""
        return self.indices[:1]

    def numbers_of(self, index: int) -> range:
        """Return which numbers of the series an image shows."""
        each = self.request.style.numbers_each
        return range(index * each, (index + 1) * each)

    def text(self, index: int) -> str:
        """Return what an image says: its numbers, with a gap between them."""
        return GAP.join(self.request.texts.text(number) for number in self.numbers_of(index))

    def name(self, index: int) -> None:
        """Return None: files are named by their index alone."""

    def images(self) -> NDArray[np.uint8]:
        """Return all images, uint8 [count, H, W]. Raises RequestError if they would take too much memory, see `batches`."""
        height, width = self.size
        check_array(f"{len(self.indices)} images", len(self.indices) * height * width, "draw them with batches")
        return np.concatenate([batch.images for batch in self.batches(self.indices)])

    def batches(self, indices: range) -> abc.Generator[WrittenBatch, None, None]:
        """Yield images of consecutive indices in order, uint8 [n, H, W], with their digits."""

        def draw(part: range) -> WrittenBatch:
            request, numbers = self.request, self._numbers(part)
            pixels = [
                on_paper(request.paper, request.images.seed, index, self.size, chain(*of_image), self._page(index).lines)
                for index, of_image in zip(part, numbers, strict=True)
            ]
            return WrittenBatch(part.start, np.stack(pixels), None, numbers)

        return ordered_map(draw, self._parts(indices), self.threads)

    def _parts(self, indices: range) -> Iterator[range]:
        """Yield parts of these indices that are drawn at once, within the limits on memory."""
        height, width = self.size
        at_once = max(1, min(self.batching.batch_size // self.images_each, _PIXELS_AT_ONCE // (height * width)))
        return (indices[first : first + at_once] for first in range(0, len(indices), at_once))

    def _numbers(self, indices: range) -> list[WrittenNumbers]:
        """Return the digits of consecutive images."""
        request, numbers = self.request, [number for index in indices for number in self.numbers_of(index)]
        texts = [request.texts.text(number) for number in numbers]
        labels = [[self._label_of[character] for character in text if character != GAP] for text in texts]
        ticks = [self._ticks(number, np.array(own)) for number, own in zip(numbers, labels, strict=True)]
        z, of_all = latents_of(np.concatenate(ticks)), np.concatenate(labels)
        calls = (slice(first, first + self.batching.batch_size) for first in range(0, len(z), self.batching.batch_size))
        drawn = np.concatenate([self.generator.draw_latents(z[call], of_all[call]) for call in calls])
        digits = np.split(drawn, np.cumsum([len(own) for own in labels])[:-1])
        placed = iter(zip(numbers, texts, digits, labels, strict=True))
        return [
            [
                written(request.style, place, text, own, digit_labels, words_of(request.images.seed, number))
                for place, (number, text, own, digit_labels) in zip(self._page(index).places, placed, strict=False)
            ]
            for index in indices
        ]

    def _page(self, index: int) -> Page:
        return page_of(self.request.style, self.request.texts.longest, self.request.images.seed, index)

    def _ticks(self, number: int, labels: NDArray[np.int64]) -> NDArray[np.int8]:
        """Return the latents of a number's digits, int8 [n, size]."""
        first, images = number * LONGEST_TEXT, self.request.images
        hand = images.hand or Hand(images.seed, number, self.request.consistency_units)
        if images.asked:
            # One hand has one slant: each value is drawn once for a number.
            values = asked_values(images._replace(indices=range(number, number + 1), hand=hand))[0].tolist()
            asked = (AskedTrait(trait.name, value, value) for trait, value in zip(images.asked, values, strict=True))
            images = images._replace(asked=tuple(asked))
        images = images._replace(indices=range(first, first + len(labels)), hand=hand)
        return self.generator.ticks(images, labels)


def _named(request: WritingRequest, classes: Sequence[str], error: RequestError) -> str:
    """Return what is wrong with texts that have a character which none of these classes is."""
    if "length" in request.options:
        return f"nothing says what to write, so it would be random digits, but {error}"
    if str(request.options.get("pattern", "")).isalpha():
        return f"{error}; patterns by name are {', '.join(NAMED_PATTERNS)}"
    if isinstance(request.texts, ListedTexts) and len(request.texts.texts) > 1:
        wrong = next(text for text in request.texts.texts if not {*names_of_characters(text)} <= {GAP, *classes})
        return f"the text {shortened(wrong)} cannot be written: {error}"
    return str(error)
