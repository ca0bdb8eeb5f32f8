"""Images with consecutive indices, as everything that writes files of them sees them, and the model that draws them."""

from collections import abc
from collections.abc import Mapping
from typing import Protocol

from pocketgan.address import ImageRange
from pocketgan.generator import Batch, Generator
from pocketgan.model.card import labels_in_names
from pocketgan.model.limits import Batching


class Series(Protocol):
    """Images with consecutive indices, as files of them need it: those of a Drawing, or numbers that are written."""

    generator: Generator
    size: tuple[int, int]
    """Height and width of an image, in pixels."""
    batching: Batching
    """How the model is called."""

    @property
    def indices(self) -> range:
        """The indices of all images."""

    @property
    def images_each(self) -> int:
        """How many images of the model are part of one, at most."""

    @property
    def threads(self) -> int:
        """How many threads draw and write."""

    @property
    def about(self) -> Mapping[str, object]:
        """What all images have in common. With an index and a class or text, it is enough to draw one again."""

    @property
    def facts(self) -> Mapping[str, object]:
        """Everything that the images depend on, for a manifest."""

    @property
    def command(self) -> list[str]:
        """The words of a command that draws them, without a folder and a format."""

    @property
    def summary(self) -> str:
        """What and how many the images are, for the last line of a command."""

    @property
    def one_of_each_class(self) -> range:
        """The first indices, enough of them to show each class or text at least once."""

    def batches(self, indices: range) -> abc.Generator[Batch, None, None]:
        """Yield images of consecutive indices in order."""

    def text(self, index: int) -> str | None:
        """Return what an image says, or None if it is one of a class."""

    def name(self, index: int) -> str | None:
        """Return the part of a file's name that says what the image shows; None if there is nothing to say."""


def facts_of_model(generator: Generator, images: ImageRange) -> dict[str, object]:
    """Return which images of which model, for a manifest."""
    card = generator.card
    facts: dict[str, object] = {
        "model": generator.sha256,
        "model_name": card.name,
        "seed": images.seed,
        "start": images.indices.start,
        "count": len(images.indices),
    }
    if labels_in_names(card.classes) is None:
        facts["model_classes"] = list(card.classes)
    if card.labels != tuple(range(len(card.labels))):
        facts["labels"] = list(card.labels)
    return facts


def options_of_model(generator: Generator, images: ImageRange) -> dict[str, object]:
    """Return the options of a command for these images of this model."""
    return {
        "--model": generator.bundled_name or generator.path,
        "--seed": images.seed,
        "--start": images.indices.start,
        "--count": len(images.indices),
    }


def words(options: Mapping[str, object]) -> list[str]:
    """Return options as the words of a command."""
    return [str(word) for option in options.items() for word in option]
