"""Generator: an opened model that draws images by address."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pocketgan.address import (
    DEFAULT_CONSISTENCY,
    FULL_VARIETY,
    AskedTrait,
    HandName,
    ImageRange,
    TraitRange,
    asked_traits,
    check_array,
    image_range,
)
from pocketgan.contact_sheet import contact_sheet
from pocketgan.errors import CardError, ModelError, ProviderError, RequestError, first_line
from pocketgan.latents import LATENT_STEP, asked_values, latent_ticks, latents_of
from pocketgan.model.card import ModelCard
from pocketgan.model.checked import CheckedModel, read_model
from pocketgan.model.limits import BATCH_SIZE, Batching, in_numpy, plan_batching
from pocketgan.model.session import Provider, open_session
from pocketgan.request import labels_of_names, parse_digits
from pocketgan.threads import ordered_map
from pocketgan.trait_table import HAND
from pocketgan.traits import TraitSetter

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from pocketgan.model.numpy_session import NumpySession

Digits: TypeAlias = int | np.integer[Any] | Sequence[int] | NDArray[np.integer[Any]] | str
"""One class or several: by their labels, see `ModelCard.labels`, or by names as gan-gen takes them: "0-4,7", "sneaker"."""

Feeds: TypeAlias = dict[str, NDArray[np.float32] | NDArray[np.int64]]
"""The inputs of a model's graph by name: `z`, and `label` if it has classes."""

ClassCycle: TypeAlias = NDArray[np.int64] | None
"""Labels, int64 [n], that indices take in turn: index i has label `i % n` of them. None for a model without classes."""

_MOST_LABELS_NAMED = 20
_IMAGES_IN_NOTEBOOK = 30
"""How many images a notebook shows of a model."""


@dataclass(frozen=True)
class Batch:
    """Consecutive images, or rows of text (see `text_rows`)."""

    start: int
    """Index of the first image or row."""
    images: NDArray[np.uint8]
    """uint8 [n, H, W], 0 = background; a row of text with k characters is k times as wide."""
    labels: NDArray[np.int64] | None
    """The label of each image, int64 [n], or those of each row, int64 [n, characters]; None if the model has no classes."""


class Generator:
    """Draws images with one model; the same `seed`, index, class and truncation give the same image in every call.

    Make one with `Generator.load`. Its methods may be called from several threads at once, and in processes that were forked. It
    can be pickled, by name or path and digest: unpickling loads the same file.
    """

    def __init__(self, model: CheckedModel, provider: Provider) -> None:
        """Open a model. Raises the same errors as `load`, except those for an unreadable file."""
        self.path = model.location.path
        """The model file."""
        self.reason = model.location.reason
        """Why this file was chosen."""
        self.sha256 = model.sha256
        """Digest of the model file, in hexadecimal."""
        self.card = model.card
        with model.location.named_in_errors():
            opened = open_session(model.contents, self.card.precision, provider)
            _check_tensors(self.card, opened.session)
            self.cost = model.cost if opened.provider is not Provider.numpy else in_numpy(model.cost)
            """The memory that a call of the model takes."""
        self.provider = opened.provider
        """The provider that is in use."""
        self.provider_reason = opened.reason
        self._session = opened.session
        self._requested_provider = provider
        self.bundled_name = model.location.bundled_name
        """The name of the bundled model that it is, None for all others."""
        # For pickles, which may be loaded in another working folder.
        self._absolute_path = Path(os.path.abspath(self.path))
        self._index_of_label = {label: index for index, label in enumerate(self.card.labels)}
        self._traits = TraitSetter(self.card)

    def __repr__(self) -> str:
        return f"<Generator {self.card.name} ({self.path}) on {self.provider.value}>"

    def __reduce__(self) -> tuple[object, ...]:
        return _load_again, (self.bundled_name or self._absolute_path, self._requested_provider.value, self.sha256)

    @classmethod
    def load(cls, model: str | Path | None = None, provider: Provider | str = Provider.auto) -> "Generator":
        """Open a model: the name of a bundled one, a path, or None for `model.onnx` here, else the bundled default.

        `provider` is `auto`, `cpu`, `cuda` or `numpy`. Raises ModelError or CardError if the file cannot be used, ProviderError
        if the provider is not live, RuntimeMissingError if onnxruntime is needed and not installed.
        """
        if provider not in set(Provider):
            raise ProviderError(f"provider {provider!r} is not known: expected one of {', '.join(Provider)}")
        return cls(read_model(model), Provider(provider))

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes that it draws on request, in the order of `card.labels`; none if it has no classes."""
        return self.card.classes

    @property
    def image_size(self) -> tuple[int, int]:
        """The height and width of its images in pixels."""
        return self.card.image_height, self.card.image_width

    def _repr_png_(self) -> bytes:
        """Return a PNG sheet of the first images of seed 0, which notebooks show."""
        picture = BytesIO()
        contact_sheet(self.generate(_IMAGES_IN_NOTEBOOK), columns=_IMAGES_IN_NOTEBOOK // 3).save(picture, format="PNG")
        return picture.getvalue()

    @property
    def batch_size(self) -> int:
        """The most images in one call of the model, if nothing else is drawn at the same time."""
        return plan_batching(self.cost, 1, self._image_bytes).batch_size

    @property
    def _image_bytes(self) -> int:
        return self.card.image_height * self.card.image_width

    def generate(
        self,
        count: int,
        digits: Digits | None = None,
        seed: int | None = 0,
        start: int = 0,
        *,
        truncation: float = FULL_VARIETY,
        hand: HandName | None = None,
        consistency: float = DEFAULT_CONSISTENCY,
        slant: TraitRange | None = None,
        thickness: TraitRange | None = None,
        width: TraitRange | None = None,
    ) -> NDArray[np.uint8]:
        """Return images `start` to `start + count - 1` of `seed`: uint8 [count, H, W], 0 = background.

        With None for the `seed`, they are new ones in each call. `digits` chooses the classes, see `labels`. A `truncation` below
        1 gives images closer to the average, and images by one `hand`, its number or seed and number, look alike, the more the
        higher the `consistency` is, 0 to 1: see `latents.latent_ticks`. `slant` in degrees and `thickness` and `width` in pixels
        choose how images are written: a value, or the least and the most, see `trait_range`. Raises RequestError if an argument
        is out of its range, or the images would take more than `address.LARGEST_ARRAY_BYTES`.
        """
        asked = asked_traits(slant, thickness, width)
        chosen, cycle = image_range(seed, start, count, truncation, hand, consistency, asked), self.class_cycle(digits)
        self.check_traits(asked, cycle)
        check_array(f"{count} images", len(chosen.indices) * self._image_bytes, "draw them with stream, or fewer at once")
        images = np.empty((len(chosen.indices), self.card.image_height, self.card.image_width), np.uint8)
        for batch in self.batches(chosen, cycle, Batching(1, self.batch_size)):
            images[batch.start - chosen.indices.start :][: len(batch.images)] = batch.images
        return images

    def stream(
        self,
        count: int,
        digits: Digits | None = None,
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
        """Yield the same images in order, in batches of at most `batch_size`, drawn by `threads` threads a few batches ahead.

        Memory does not grow with `count`: a model that needs much of it gets smaller batches, or fewer threads, see
        `plan_batching`. Raises RequestError if an argument is out of its range, before anything is drawn.
        """
        asked = asked_traits(slant, thickness, width)
        images, cycle = image_range(seed, start, count, truncation, hand, consistency, asked), self.class_cycle(digits)
        self.check_traits(asked, cycle)
        for name, value in (("threads", threads), ("batch_size", batch_size)):
            if not isinstance(value, int | np.integer) or value < 1:
                raise RequestError(f"{name} {value!r} is out of range: expected a whole number of at least 1")
        batching = plan_batching(self.cost, int(threads), self._image_bytes)
        return self.batches(images, cycle, batching._replace(batch_size=min(int(batch_size), batching.batch_size)))

    def batches(self, images: ImageRange, cycle: ClassCycle, batching: Batching) -> Iterator[Batch]:
        """Yield images as `stream` does, divided as `plan_batching` returned; nothing is checked again."""
        indices, (threads, batch_size) = images.indices, batching

        def draw(first: int) -> Batch:
            part = indices[first : first + batch_size]
            labels = labels_in_turn(cycle, part)
            ticks = self.ticks(images._replace(indices=part), labels)
            return Batch(part.start, self._run(latents_of(ticks), labels), labels)

        # A few images should not have to wait for threads to start.
        return ordered_map(draw, range(0, len(indices), batch_size), 1 if len(indices) <= batch_size else threads)

    def ticks(self, images: ImageRange, labels: NDArray[np.int64] | None) -> NDArray[np.int8]:
        """Return the latents of images with these labels as integers, see `latents.latent_ticks`, with the traits asked for.

        `check_traits` must have accepted them.
        """
        classes = None if self.card.traits is None else self._class_numbers(labels, len(images.indices))
        ticks = latent_ticks(images, self.card.latent_size, classes)
        if classes is None or not images.asked:
            return ticks
        return self._traits.set_traits(ticks, classes, images.asked, asked_values(images))

    def varied_ticks(self, images: ImageRange, labels: NDArray[np.int64] | None, what: str, steps: int) -> NDArray[np.int8]:
        """Return the latents of images with these labels `steps` times, each time by another hand or with another trait value.

        They are int8 [steps, n, size]. `what` is `hand`, for the hands from that of the images on, or from hand 0, or a trait,
        which goes from the least to the most of each class. Raises RequestError if the model cannot draw chosen traits.
        """
        if what == HAND:
            first = images.first_hand
            hands = (first._replace(number=first.number + step) for step in range(steps))
            return np.stack([self.ticks(images._replace(hand=hand), labels) for hand in hands])
        self.trait_range(what)
        classes, ticks = self._class_numbers(labels, len(images.indices)), self.ticks(images, labels)
        asked, values = (AskedTrait(what, 0, 0),), self._traits.steps(what, classes, steps)
        return np.stack([self._traits.set_traits(ticks, classes, asked, values[:, [step]]) for step in range(steps)])

    def check_traits(self, asked: Sequence[AskedTrait], cycle: ClassCycle) -> None:
        """Raise RequestError unless the model can draw these traits in all classes that the indices take in turn."""
        self._traits.check(asked, self._class_numbers(None if cycle is None else np.unique(cycle), 1).tolist())

    def trait_range(self, trait: str, digit: int | None = None) -> tuple[float, float]:
        """Return the least and the largest `slant`, `thickness` or `width` that can be asked for, in degrees or pixels.

        That is for images of one class, by its label, or for all classes, which may have no value in common: then the least is
        above the largest. Raises RequestError if the model cannot draw chosen traits, or lacks the class.
        """
        return self._traits.range_of(trait, self._class_numbers(self.class_cycle(digit, "digit"), 1).tolist())

    def _class_numbers(self, labels: NDArray[np.int64] | None, count: int) -> NDArray[np.intp]:
        """Return the number of each label's class in the card; `count` zeros without classes."""
        if labels is None:
            return np.zeros(count, np.intp)
        return np.array([self._index_of_label[label] for label in labels.tolist()], np.intp)

    def labels(self, start: int, count: int, digits: Digits | None = None) -> NDArray[np.int64] | None:
        """Return the labels of images from index `start`, int64 [count], or None if the model has no classes.

        A label is the number of a class in the training data, see `ModelCard.labels`. `digits` is one label, a sequence of them
        that the indices take in turn (index i has entry `i % len(digits)`), their names, or None for all classes in turn. Raises
        RequestError if the model lacks a label, or an index is out of range.
        """
        images = image_range(0, start, count)
        check_array(f"{count} labels", len(images.indices) * np.dtype(np.int64).itemsize, "ask for fewer at once")
        return labels_in_turn(self.class_cycle(digits), images.indices)

    def draw_latents(self, z: ArrayLike, labels: Digits | None = None) -> NDArray[np.uint8]:
        """Return images drawn from your own latents, such as points between two of `latents.latents`: uint8 [n, H, W].

        `z` is a float array [n, latent_size]. An int8 model rounds it to multiples of `card.latent_step`, -127 to 127 of
        them. `labels` is one label for all rows or one for each; models with classes need it, others refuse it. Raises
        RequestError for other shapes, latents that are not finite numbers, and labels that the model lacks.
        """
        try:
            points = np.asarray(z, np.float32)
        except (ValueError, TypeError) as error:
            raise RequestError(f"latents are not an array of numbers: {first_line(error)}") from error
        size, count = self.card.latent_size, len(self.card.classes)
        if points.ndim != 2 or not len(points) or points.shape[1] != size:
            raise RequestError(f"latents of shape {points.shape}: expected (n, {size}) with n from 1 on")
        if not np.isfinite(points).all():
            raise RequestError("latents that are not finite: expected numbers around 0")
        if labels is None and count:
            raise RequestError(f"model {self.card.name} has {count} classes: expected labels {self._known_labels()}")
        classes = self.class_cycle(labels, "labels")
        if classes is not None and len(classes) not in (1, len(points)):
            raise RequestError(f"{len(classes)} labels for {len(points)} rows of latents: expected one for each, or one for all")
        each = labels_in_turn(classes, range(len(points)))
        parts = [slice(first, first + self.batch_size) for first in range(0, len(points), self.batch_size)]
        return np.concatenate([self._run(points[part], None if each is None else each[part]) for part in parts])

    def class_cycle(self, digits: Digits | None, argument: str = "digits") -> ClassCycle:
        """Return the labels that the indices take in turn. Raises RequestError, about `argument`, if the model lacks a label."""
        if not self.card.classes:
            if digits is not None:
                raise RequestError(f"model {self.card.name} has no classes to choose from: leave {argument} out")
            return None
        if digits is None:
            return np.array(self.card.labels, np.int64)
        if isinstance(digits, str):
            return np.array(labels_of_names(self.card, parse_digits(digits)), np.int64)
        message = (
            f"{argument} {shortened(digits)} is neither a label nor a sequence of labels: expected {self._known_labels()}, or "
            "names of classes in one text"
        )
        try:
            cycle = np.atleast_1d(np.asarray(digits))
        except ValueError as error:  # rows of unequal lengths
            raise RequestError(message) from error
        if cycle.ndim != 1 or not cycle.size or not np.issubdtype(cycle.dtype, np.integer):
            raise RequestError(message)
        if not np.isin(cycle, self.card.labels).all():
            raise RequestError(
                f"{argument} {shortened(digits)} is out of range: model {self.card.name} has the labels {self._known_labels()}"
            )
        return cycle.astype(np.int64)

    def _known_labels(self) -> str:
        labels = self.card.labels
        if labels == tuple(range(len(labels))):
            return f"0 to {len(labels) - 1}"
        return f"{', '.join(map(str, labels[:_MOST_LABELS_NAMED]))}{', ...' if len(labels) > _MOST_LABELS_NAMED else ''}"

    def feeds(self, z: NDArray[np.float32], labels: NDArray[np.int64] | None) -> Feeds:
        """Return the inputs of the graph for latents [n, latent_size] and labels [n]. It numbers the classes from 0."""
        return {"z": z} if labels is None else {"z": z, "label": self._class_numbers(labels, len(z)).astype(np.int64)}

    def _run(self, z: NDArray[np.float32], labels: NDArray[np.int64] | None) -> NDArray[np.uint8]:
        try:
            (images,) = self._session.run(["images"], self.feeds(z, labels))
        except Exception as error:  # onnxruntime's errors have no public root class
            raise ModelError(f"model {self.path} failed to draw: {first_line(error)}") from error
        expected = (len(z), self.card.image_height, self.card.image_width)
        if images.shape != expected:
            raise ModelError(f"model {self.path} drew an array of shape {images.shape}, expected {expected}: export it again")
        drawn: NDArray[np.uint8] = images
        return drawn


def _load_again(model: str | Path, provider: str, sha256: str) -> Generator:
    """Return a generator that was pickled. Raises the errors of `Generator.load`, and ModelError if the file has changed."""
    generator = Generator.load(model, provider)
    if generator.sha256 != sha256:
        raise ModelError(
            f"model {generator.path} has the SHA-256 {generator.sha256[:12]}..., the generator that was pickled had "
            f"{sha256[:12]}...: put the same file there, or load the model again"
        )
    return generator


def labels_in_turn(cycle: ClassCycle, indices: range) -> NDArray[np.int64] | None:
    """Return the labels of images: int64 [n], or None if there are no classes."""
    return None if cycle is None else cycle[np.arange(indices.start, indices.stop) % len(cycle)]


def _check_tensors(card: ModelCard, session: "InferenceSession | NumpySession") -> None:
    """Raise ModelError unless the inputs and outputs are those that the card promises, and CardError for another latent step."""
    if card.latent_step != LATENT_STEP:
        raise CardError(f"it expects latents in steps of {card.latent_step}, this version draws steps of {LATENT_STEP}")
    inputs: dict[str, tuple[str, list[object]]] = {"z": ("tensor(float)", ["N", card.latent_size])}
    if card.classes:
        inputs["label"] = ("tensor(int64)", ["N"])
    outputs: dict[str, tuple[str, list[object]]] = {"images": ("tensor(uint8)", ["N", card.image_height, card.image_width])}
    for kind, expected, tensors in (("inputs", inputs, session.get_inputs()), ("outputs", outputs, session.get_outputs())):
        try:
            found = {tensor.name: (tensor.type, _with_named_batch(tensor.shape)) for tensor in tensors}
        except UnicodeDecodeError as error:
            raise ModelError(f"it has {kind} with names that are not text: export it again") from error
        if found != expected:
            raise ModelError(f"it has the {kind} {found}, its card promises {expected}: export it again")


def _with_named_batch(shape: Sequence[int | str | None]) -> list[object]:
    """Return a tensor's shape with "N" for a batch of any size, which files may call anything."""
    return [size if isinstance(size, int) else "N" for size in shape[:1]] + list(shape[1:])
