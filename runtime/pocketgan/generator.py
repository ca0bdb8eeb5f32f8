"""Generator: an opened model that draws images by address."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pocketgan.address import check_address
from pocketgan.card import ModelCard
from pocketgan.errors import CardError, ModelError, ProviderError, RequestError, first_line
from pocketgan.graph_limits import IMAGES_AT_ONCE, check_graph
from pocketgan.latents import LATENT_STEP, latents
from pocketgan.locate import locate_model
from pocketgan.onnx_file import read_card, read_model_file
from pocketgan.pipeline import ordered_map
from pocketgan.session import OpenSession, Provider, open_session
from pocketgan.truncation import FULL_VARIETY, truncation_units

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Digits: TypeAlias = int | np.integer[Any] | Sequence[int] | NDArray[np.integer[Any]]
"""One class or several, by their labels."""

BATCH_SIZE = IMAGES_AT_ONCE
"""Images in one call of onnxruntime: larger batches are no faster and take more memory."""


@dataclass(frozen=True)
class Batch:
    """Some consecutive images, or rows of text (see `text_rows`)."""

    start: int
    """Index of the first image or row."""
    images: NDArray[np.uint8]
    """uint8 [n, H, W], 0 = background; rows of text are as many times wider as they have characters."""
    labels: NDArray[np.int64] | None
    """The class of each image, int64 [n], or the classes of each row, int64 [n, characters]; None if the model has no classes."""


class Generator:
    """Draws images with one model; the same `seed`, index, class and truncation give the same image in every call.

    Make one with `Generator.load`. Its methods may be called from several threads at once.
    """

    def __init__(self, path: Path, reason: str, sha256: str, card: ModelCard, opened: OpenSession) -> None:
        self.path = path
        """The model file."""
        self.reason = reason
        """Why this file was taken."""
        self.sha256 = sha256
        """Digest of the model file, in hexadecimal."""
        self.card = card
        self.provider = opened.provider
        """Where it really runs."""
        self.provider_reason = opened.reason
        self._session = opened.session
        _check_tensors(path, card, self._session)

    def __repr__(self) -> str:
        return f"<Generator {self.card.name} ({self.path}) on {self.provider.value}>"

    @classmethod
    def load(cls, model: str | Path | None = None, provider: Provider | str = Provider.auto) -> "Generator":
        """Open a model: the name of a bundled one, a path, or None for `model.onnx` here, else the bundled default.

        `provider` is `auto`, `cpu` or `cuda`. Raises ModelError or CardError if the file cannot be used, ProviderError if the
        provider is not live, RuntimeMissingError if onnxruntime is not installed.
        """
        if provider not in set(Provider):
            raise ProviderError(f"provider {provider!r} is not known: expected one of {', '.join(Provider)}")
        provider = Provider(provider)
        location = locate_model(model)
        contents = read_model_file(location.path)
        try:
            card = read_card(contents)
            check_graph(contents)
            opened = open_session(contents, card.precision, provider)
        except ModelError as error:
            raise type(error)(f"model {location.path}: {error}") from error
        return cls(location.path, location.reason, hashlib.sha256(contents).hexdigest(), card, opened)

    def generate(
        self,
        count: int,
        digits: Digits | None = None,
        seed: int = 0,
        start: int = 0,
        *,
        truncation: float = FULL_VARIETY,
    ) -> NDArray[np.uint8]:
        """Return images `start` to `start + count - 1` of `seed`: uint8 [count, H, W], 0 = background.

        `digits` chooses the classes, see `labels`. A `truncation` below 1, down to 1/256, gives images nearer to the average one,
        see `latents.latent_ticks`. Raises RequestError if an argument is out of its range.
        """
        return np.concatenate([batch.images for batch in self.stream(count, digits, seed, start, truncation=truncation)])

    def stream(
        self,
        count: int,
        digits: Digits | None = None,
        seed: int = 0,
        start: int = 0,
        threads: int = 1,
        *,
        truncation: float = FULL_VARIETY,
    ) -> Iterator[Batch]:
        """Yield the same images in order, in batches of up to BATCH_SIZE, drawn by `threads` threads a few batches ahead.

        Memory does not grow with `count`. Raises RequestError if an argument is out of its range, before anything is drawn.
        """
        seed, start, count = check_address(seed, start, count)
        cycle = self._class_cycle(digits)
        if not isinstance(threads, int) or threads < 1:
            raise RequestError(f"threads {threads!r} is out of range: expected a whole number from 1 on")
        truncation_units(truncation)  # only to refuse one that is out of range
        return self._stream(count, cycle, seed, start, threads, truncation)

    def labels(self, start: int, count: int, digits: Digits | None = None) -> NDArray[np.int64] | None:
        """Return the classes of images from index `start`, int64 [count], or None if the model has none.

        `digits` is one class, a sequence of them that the indices run through again and again (index i takes entry
        `i % len(digits)`), or None for all classes in turn. Raises RequestError for a class that the model does not have or if
        the indices name no images.
        """
        _, start, count = check_address(0, start, count)
        return _labels(self._class_cycle(digits), start, count)

    def draw_latents(self, z: ArrayLike, labels: Digits | None = None) -> NDArray[np.uint8]:
        """Return the images of latents of your own, such as a point between two of `latents.latents`: uint8 [n, H, W].

        `z` is a float array [n, latent_size]. An int8 model rounds it to multiples of `card.latent_step`, which go from -127 to
        127 of them. `labels`, for a model with classes and no other, is one class for all or one for each row. Raises
        RequestError for other shapes, latents that are not finite numbers, and classes that the model does not have.
        """
        try:
            points = np.asarray(z, np.float32)
        except (ValueError, TypeError) as error:
            raise RequestError(f"latents that are no array of numbers: {first_line(error)}") from error
        size, count = self.card.latent_size, len(self.card.classes)
        if points.ndim != 2 or not len(points) or points.shape[1] != size:
            raise RequestError(f"latents of shape {points.shape}: expected (n, {size}) with n from 1 on")
        if not np.isfinite(points).all():
            raise RequestError("latents that are not finite: expected numbers around 0")
        if labels is None and count:
            raise RequestError(f"model {self.card.name} has {count} classes: expected labels from 0 to {count - 1}")
        classes = None if labels is None else self._class_cycle(labels)
        if classes is not None and len(classes) not in (1, len(points)):
            raise RequestError(f"{len(classes)} labels for {len(points)} rows of latents: expected one for each, or one for all")
        each = None if classes is None else np.broadcast_to(classes, len(points))
        parts = [slice(first, first + BATCH_SIZE) for first in range(0, len(points), BATCH_SIZE)]
        return np.concatenate([self._run(points[part], None if each is None else each[part]) for part in parts])

    def _class_cycle(self, digits: Digits | None) -> NDArray[np.int64] | None:
        """Return the classes that the indices run through, int64 [n], or None if the model has none; see `labels`."""
        classes = len(self.card.classes)
        if not classes:
            if digits is not None:
                raise RequestError(f"model {self.card.name} has no classes to choose from: leave digits out")
            return None
        if digits is None:
            return np.arange(classes)
        told = f"digits {shortened(digits)} is no class and no sequence of them: expected whole numbers from 0 to {classes - 1}"
        try:
            cycle = np.atleast_1d(np.asarray(digits))
        except ValueError as error:  # rows of unequal lengths
            raise RequestError(told) from error
        if cycle.ndim != 1 or not cycle.size or not np.issubdtype(cycle.dtype, np.integer):
            raise RequestError(told)
        if cycle.min() < 0 or cycle.max() >= classes:
            raise RequestError(
                f"digits {shortened(digits)} is out of range: model {self.card.name} has the classes 0 to {classes - 1}"
            )
        return cycle.astype(np.int64)

    def _stream(
        self, count: int, cycle: NDArray[np.int64] | None, seed: int, start: int, threads: int, truncation: float
    ) -> Iterator[Batch]:
        if count <= BATCH_SIZE:
            # A few images should not have to wait for threads to start.
            yield self._draw(start, count, cycle, seed, truncation)
            return
        stop = start + count
        yield from ordered_map(
            lambda first: self._draw(first, min(BATCH_SIZE, stop - first), cycle, seed, truncation),
            range(start, stop, BATCH_SIZE),
            threads,
        )

    def _draw(self, start: int, count: int, cycle: NDArray[np.int64] | None, seed: int, truncation: float) -> Batch:
        z = latents(seed, start, count, self.card.latent_size, truncation)
        labels = _labels(cycle, start, count)
        return Batch(start, self._run(z, labels), labels)

    def _run(self, z: NDArray[np.float32], labels: NDArray[np.int64] | None) -> NDArray[np.uint8]:
        feeds: dict[str, NDArray[np.float32] | NDArray[np.int64]] = {"z": z}
        if labels is not None:
            feeds["label"] = labels
        try:
            (images,) = self._session.run(["images"], feeds)
        except Exception as error:  # onnxruntime's errors have no public root class
            raise ModelError(f"model {self.path} failed to draw: {first_line(error)}") from error
        expected = (len(z), self.card.image_height, self.card.image_width)
        if images.shape != expected:
            raise ModelError(f"model {self.path} drew an array of shape {images.shape}, expected {expected}: export it again")
        drawn: NDArray[np.uint8] = images
        return drawn


def _labels(cycle: NDArray[np.int64] | None, start: int, count: int) -> NDArray[np.int64] | None:
    """Return the classes of images from index `start`, int64 [count]: index i has entry `i % len(cycle)`."""
    return None if cycle is None else cycle[np.arange(start, start + count) % len(cycle)]


def _check_tensors(path: Path, card: ModelCard, session: "InferenceSession") -> None:
    """Raise ModelError unless the model's inputs and outputs are those that its card promises, and the sampler fits."""
    if card.latent_step != LATENT_STEP:
        raise CardError(f"model {path} expects latents in steps of {card.latent_step}, this version draws steps of {LATENT_STEP}")
    inputs: dict[str, tuple[str, list[object]]] = {"z": ("tensor(float)", ["N", card.latent_size])}
    if card.classes:
        inputs["label"] = ("tensor(int64)", ["N"])
    outputs: dict[str, tuple[str, list[object]]] = {"images": ("tensor(uint8)", ["N", card.image_height, card.image_width])}
    for kind, expected, tensors in (("inputs", inputs, session.get_inputs()), ("outputs", outputs, session.get_outputs())):
        try:
            found = {tensor.name: (tensor.type, _with_named_batch(tensor.shape)) for tensor in tensors}
        except UnicodeDecodeError as error:
            raise ModelError(f"model {path} has {kind} with names that are not text: export it again") from error
        if found != expected:
            raise ModelError(f"model {path} has the {kind} {found}, its card promises {expected}: export it again")


def _with_named_batch(shape: Sequence[int | str | None]) -> list[object]:
    """Return a tensor's shape with "N" for a batch of any size, whatever the file calls it."""
    return [size if isinstance(size, int) else "N" for size in shape[:1]] + list(shape[1:])
