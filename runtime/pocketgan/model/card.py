"""The model card: the facts of a model, stored as JSON in the ONNX metadata of its file.

The exporter writes cards with this module; the runtime reads and checks them with it.
"""

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from reprlib import repr as shortened
from typing import NoReturn, TypeVar

from pocketgan.address import MOST_CLASSES
from pocketgan.errors import CardError
from pocketgan.trait_table import TRAITS, ClassTraits, traits_from_json

CARD_KEY = "pocketgan.card"
"""Key of the card in the ONNX metadata."""

SCHEMA = 1
"""Version of the format. A reader refuses newer ones."""

PRECISIONS = ("int8", "fp16", "fp32")

_Value = TypeVar("_Value")

LARGEST_LABEL = 2**31 - 1
"""The largest label of a class; labels fit into an int32."""
LONGEST_CLASS = 32
"""The most characters in the name of a class."""

_LONGEST_TEXT = 2**18
_LARGEST_LATENT = 4096
_LARGEST_IMAGE = 1024


@dataclass(frozen=True)
class TrainingFacts:
    """How the weights were trained."""

    data_set: str
    """Name of the training images."""
    images_seen: int
    """Real images shown to the discriminator before the checkpoint."""
    epochs: int
    """Epochs completed before the checkpoint."""
    seed: int
    checkpoint_sha256: str
    """Digest of the checkpoint file that was exported, in hexadecimal."""


@dataclass(frozen=True)
class ParityFacts:
    """How the file's pixels differ from those of the float network in torch, on the same latents."""

    images: int
    """Images compared."""
    psnr_db: float
    """Peak signal-to-noise ratio over all pixels, with a peak of 255; 100 if all pixels are equal."""
    mean_error: float
    """Mean absolute difference, in grey levels from 0 to 255."""
    largest_error: int
    """Largest absolute difference of any pixel, in grey levels."""


@dataclass(frozen=True)
class KernelFacts:
    """The kernels that onnxruntime runs for a file on the CPU, counted in its optimized graph."""

    integer: int
    """Nodes that compute with integers."""
    floating_point: tuple[str, ...]
    """The operator of each node that computes with floating-point numbers, sorted."""


UNSTATED_LICENCE = "NOASSERTION"
"""SPDX's word for weights whose licence is not stated."""


@dataclass(frozen=True)
class ModelCard:
    """The facts of one exported model."""

    name: str
    architecture: str
    """The preset whose generator this is."""
    latent_size: int
    """Length of one latent."""
    latent_step: float
    """Distance between two neighbouring latents: see `latents.LATENT_STEP`."""
    classes: tuple[str, ...]
    """Names of the classes that can be drawn, in the order of their labels; empty if the model has none."""
    image_height: int
    image_width: int
    precision: str
    """One of PRECISIONS."""
    training: TrainingFacts
    parity: ParityFacts
    kernels: KernelFacts | None
    """None in float files, whose graphs differ from processor to processor, and in files of older exporters."""
    quality: Mapping[str, float]
    """Measured quality of the exported weights, by metric."""
    package_version: str
    """Version of pocketgan that exported the file."""
    licence: str
    """Licence of the weights, as an SPDX identifier."""
    class_labels: tuple[int, ...] | None = None
    """The numbers of the classes in the training data, if they do not follow from the names: see `labels`."""
    traits: tuple[ClassTraits, ...] | None = None
    """What is known of the traits of each class, or of all images of a model without classes; None if they cannot be chosen."""

    def __post_init__(self) -> None:
        """Raise CardError if a value is out of its range."""
        for name, text in (("name", self.name), ("architecture", self.architecture)):
            # These are printed to terminals.
            _check(text.isprintable() and len(text) <= 64, name, text, "at most 64 printable characters")
        _check(1 <= self.latent_size <= _LARGEST_LATENT, "latent_size", self.latent_size, f"1 to {_LARGEST_LATENT}")
        _check(0 < self.latent_step <= 1, "latent_step", self.latent_step, "above 0, at most 1")
        for name, size in (("image_height", self.image_height), ("image_width", self.image_width)):
            _check(1 <= size <= _LARGEST_IMAGE, name, size, f"1 to {_LARGEST_IMAGE}")
        _check(self.precision in PRECISIONS, "precision", self.precision, "one of " + ", ".join(PRECISIONS))
        if (fault := fault_in_classes(self.classes, self.class_labels)) is not None:
            _check(False, *fault)
        if self.traits is not None:
            groups = max(1, len(self.classes))
            _check(len(self.traits) == groups, "traits", len(self.traits), f"those of {groups} classes")
            _check(self.latent_size >= len(TRAITS), "latent_size", self.latent_size, f"at least {len(TRAITS)} with traits")

    @property
    def labels(self) -> tuple[int, ...]:
        """The label of each class, in the order of `classes`: its number in the training data.

        These are `class_labels` if given, else the names if all are whole numbers, else 0, 1, 2 and so on.
        """
        if self.class_labels is not None:
            return self.class_labels
        return labels_in_names(self.classes) or tuple(range(len(self.classes)))

    @property
    def licence_in_words(self) -> str:
        """The licence for people to read."""
        return "not stated" if self.licence == UNSTATED_LICENCE else self.licence

    def to_json(self) -> str:
        """Return the card as short JSON with sorted keys, so equal cards give equal text. Fields that are None are left out.

        Raises ValueError if a number is not finite, which JSON does not have.
        """
        known = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps({"schema": SCHEMA, **known}, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "ModelCard":
        """Return the card in a JSON text; ignores unknown fields. Raises CardError if it is malformed or has a newer schema."""
        if len(text) > _LONGEST_TEXT:
            raise CardError(
                f"the model card has {len(text):,} characters, expected at most {_LONGEST_TEXT:,}: export the model again"
            )
        try:
            values = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:  # ValueError also for a number with thousands of digits
            raise CardError(f"the model card is not JSON ({error}): export the model again") from error
        if not isinstance(values, dict):
            raise CardError(f"the model card is a JSON {type(values).__name__}, expected an object: export the model again")
        schema = _read(values, "schema", int)
        if schema > SCHEMA:
            raise CardError(f"the model card has schema {schema}, this version reads up to {SCHEMA}: upgrade pocketgan")
        training, parity = _read(values, "training", dict), _read(values, "parity", dict)
        classes, quality = _read(values, "classes", list), _read(values, "quality", dict)
        return cls(
            name=_read(values, "name", str),
            architecture=_read(values, "architecture", str),
            latent_size=_read(values, "latent_size", int),
            latent_step=_read(values, "latent_step", float),
            classes=tuple(_typed("classes", name, str) for name in classes),
            image_height=_read(values, "image_height", int),
            image_width=_read(values, "image_width", int),
            precision=_read(values, "precision", str),
            training=TrainingFacts(
                data_set=_read(training, "data_set", str),
                images_seen=_read(training, "images_seen", int),
                epochs=_read(training, "epochs", int),
                seed=_read(training, "seed", int),
                checkpoint_sha256=_read(training, "checkpoint_sha256", str),
            ),
            parity=ParityFacts(
                images=_read(parity, "images", int),
                psnr_db=_read(parity, "psnr_db", float),
                mean_error=_read(parity, "mean_error", float),
                largest_error=_read(parity, "largest_error", int),
            ),
            kernels=_read_kernels(values),
            quality={name: _typed(f"quality {name[:64]!r}", value, float) for name, value in quality.items()},
            package_version=_read(values, "package_version", str),
            licence=_read(values, "licence", str),
            class_labels=_read_class_labels(values),
            traits=traits_from_json(_read(values, "traits", list)) if "traits" in values else None,
        )


def fault_in_classes(names: Sequence[str], labels: Sequence[int] | None) -> tuple[str, object, str] | None:
    """Return what is wrong with class names, and with their labels if known: the card's field, the value found, what is expected.

    Returns None if nothing is wrong.
    """
    if len(names) > MOST_CLASSES:
        return "classes", len(names), f"at most {MOST_CLASSES}"
    if len(set(names)) < len(names):
        return "classes", list(names), "different names"
    for name in names:
        # Class names become parts of file names.
        if not (name.isascii() and name.isalnum() and len(name) <= LONGEST_CLASS):
            return "classes", name, f"1 to {LONGEST_CLASS} ASCII letters and digits"
    if labels is None:
        return None
    is_sound = len(set(labels)) == len(labels) == len(names) and all(0 <= label <= LARGEST_LABEL for label in labels)
    return None if is_sound else ("class_labels", list(labels), f"a different whole number for each class, 0 to {LARGEST_LABEL}")


def labels_in_names(names: Sequence[str]) -> tuple[int, ...] | None:
    """Return class names as numbers, or None if any is not a label written the way Python writes it."""
    if not all(name.isascii() and name.isdecimal() and len(name) <= len(str(LARGEST_LABEL)) for name in names):
        return None
    numbers = tuple(map(int, names))
    return numbers if tuple(map(str, numbers)) == tuple(names) and max(numbers, default=0) <= LARGEST_LABEL else None


def _read_class_labels(values: Mapping[str, object]) -> tuple[int, ...] | None:
    if "class_labels" not in values:
        return None
    return tuple(_typed("class_labels", label, int) for label in _read(values, "class_labels", list))


def _read_kernels(values: Mapping[str, object]) -> KernelFacts | None:
    if "kernels" not in values:
        return None
    kernels = _read(values, "kernels", dict)
    return KernelFacts(
        integer=_read(kernels, "integer", int),
        floating_point=tuple(_typed("floating_point", name, str) for name in _read(kernels, "floating_point", list)),
    )


def _read(values: Mapping[str, object], name: str, kind: type[_Value]) -> _Value:
    if name not in values:
        raise CardError(f"the model card lacks {name!r}: export the model again")
    return _typed(name, values[name], kind)


def _typed(name: str, value: object, kind: type[_Value]) -> _Value:
    """Return `value` if its type is exactly `kind`: a JSON true is not a number. An integer is accepted as a float."""
    if kind is float and type(value) is int:
        with suppress(OverflowError):
            value = float(value)
    if type(value) is not kind or (isinstance(value, float) and not math.isfinite(value)):
        expected = "a finite number" if kind is float else kind.__name__
        raise CardError(f"the model card's {name} is {shortened(value)}, expected {expected}: export the model again")
    return value


def _refuse_constant(name: str) -> NoReturn:
    """Raise ValueError for NaN and Infinity, which Python reads, but which are not JSON."""
    raise ValueError(f"{name} is not a JSON number")


def _check(holds: bool, name: str, found: object, expected: str) -> None:
    if not holds:
        raise CardError(f"the model card's {name} is {shortened(found)}, expected {expected}: export the model again")
