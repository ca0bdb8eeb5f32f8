"""The configuration of a training run: one frozen dataclass, its JSON, and settings from the command line or a TOML file."""

import json
import math
import tomllib
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from reprlib import repr as shortened

from pocketgan.address import SEED_LIMIT
from pocketgan.errors import suggestion
from pocketgan.files import open_regular_file
from pocketgan_trainer.data.images import MNIST_FACTS, DataFacts
from pocketgan_trainer.errors import TrainingError
from pocketgan_trainer.strict_json import read_json

LARGEST_COUNT = 2**31 - 1
"""The largest number of epochs, of images in a step, and of images in a half-life."""


@dataclass(frozen=True)
class TrainingConfig:
    """The hyper-parameters of one run. The defaults of each preset are in `presets.PRESETS` and nowhere else."""

    preset: str
    """Name of the GAN system: a key of `presets.PRESETS`."""
    epochs: int
    """Passes over the training images."""
    batch_size: int
    """Images in one step."""
    learning_rate: float
    """Adam's step size, for both networks."""
    bfloat16: bool
    """Whether to compute the networks in bfloat16 (the weights stay float32), on devices with native support."""
    seed: int = 0
    """Seed of the first weights, the latents, the dropout masks and the order of the images."""
    adam_beta1: float = 0.9
    """Adam's decay of the mean gradient, for both networks."""
    adam_beta2: float = 0.999
    """Adam's decay of the mean squared gradient, for both networks."""
    final_rate_share: float = 1.0
    """Share of the learning rate that is left at the end of the run."""
    gradient_penalty: float = 0.0
    """Gamma: weight of the gradient penalty at real and at generated images, for steps that have one."""
    final_penalty_share: float = 1.0
    """Share of gamma that is left in the end; the smaller it is, the finer the details that count."""
    penalty_fall_share: float = 1.0
    """Share of the run's images over which gamma falls; after that it stays as it is."""
    refinement_share: float = 0.0
    """Share of the run's images, at its end, for which `class_weight`, `shifted_share` and `hidden_traits_share` apply; before,
    all are 0."""
    class_weight: float = 0.0
    """Weight of the classification loss in both networks' losses, for steps that classify."""
    guidance_weight: float = 0.0
    """Weight, in the generator's loss during the last part of the run (`schedule` has its share), of what a classifier that was
    trained before sees in its images in place of the classes asked for; for images with classes."""
    shifted_share: float = 0.0
    """Share of the images, real and generated, that the discriminator sees moved by a few pixels, for steps that move images."""
    batch_statistics_share: float = 1.0
    """Share of the run's images for which the generator's normalization uses the statistics of each batch (`schedule` has the
    minimum). After that it uses the running statistics of that moment, so that it trains with what it will draw with."""
    canvas: bool = False
    """Whether the generator draws only MNIST's box, which its last layer places by its centre of mass, and the
    discriminator compares the boxes; for images that are laid out like that."""
    trait_weight: float = 0.0
    """Weight, in both networks' losses, of the traits that the discriminator reads from images of a canvas: with it, the first
    latents stand for slant, thickness and width. 0 = they are like all others."""
    hidden_traits_share: float = 0.0
    """Share of the pairs of images that the discriminator judges without being shown which traits they should have."""
    style_scale: float = 1.0
    """What the generator multiplies the latents of style by when it draws, all but those of traits and of noise. Above 1, its
    images are more varied."""
    ema_halflife_images: int = 0
    """Half-life, in images, of a weight in the exponential moving average that images are drawn from; 0 = no average."""
    data: DataFacts = MNIST_FACTS
    """The data set that the run trains on."""

    def __post_init__(self) -> None:
        """Raise TrainingError if a value is out of range."""
        for name, value, least, most in (
            ("epochs", self.epochs, 1, LARGEST_COUNT),
            ("batch size", self.batch_size, 2, LARGEST_COUNT),
            ("ema_halflife_images", self.ema_halflife_images, 0, LARGEST_COUNT),
            ("seed", self.seed, 0, SEED_LIMIT - 1),
        ):
            if value < least:
                raise TrainingError(f"{name} {shortened(value)} is out of range: expected at least {least}")
            if value > most:
                raise TrainingError(f"{name} {shortened(value)} is out of range: expected at most {most}")
        if not 0 < self.learning_rate < 1:
            raise TrainingError(f"learning rate {self.learning_rate} is out of range: expected between 0 and 1")
        for name, share in (("adam_beta1", self.adam_beta1), ("adam_beta2", self.adam_beta2)):
            if not 0 <= share < 1:
                raise TrainingError(f"{name} {share} is out of range: expected from 0 to below 1")
        for name, share in (
            ("final_rate_share", self.final_rate_share),
            ("final_penalty_share", self.final_penalty_share),
            ("penalty_fall_share", self.penalty_fall_share),
        ):
            if not 0 < share <= 1:
                raise TrainingError(f"{name} {share} is out of range: expected from above 0 to 1")
        for name, share in (
            ("batch_statistics_share", self.batch_statistics_share),
            ("refinement_share", self.refinement_share),
            ("shifted_share", self.shifted_share),
            ("hidden_traits_share", self.hidden_traits_share),
        ):
            if not 0 <= share <= 1:
                raise TrainingError(f"{name} {share} is out of range: expected from 0 to 1")
        if not 0.5 <= self.style_scale <= 2:
            raise TrainingError(f"style_scale {self.style_scale} is out of range: expected from 0.5 to 2")
        for name, number in (
            ("gradient_penalty", self.gradient_penalty),
            ("class_weight", self.class_weight),
            ("guidance_weight", self.guidance_weight),
            ("trait_weight", self.trait_weight),
        ):
            if not 0 <= number < math.inf:
                raise TrainingError(f"{name} {number} is out of range: expected a number from 0")
        if self.trait_weight and not self.canvas:
            raise TrainingError(f"trait_weight {self.trait_weight} has no effect: expected canvas true, or trait_weight 0")
        for name, needed in DEPENDENT_SETTINGS:
            if getattr(self, name) and not getattr(self, needed):
                raise TrainingError(f"{name} {getattr(self, name)} has no effect: expected a {needed} above 0, or {name} 0")

    def to_json(self) -> str:
        """Return the config as a JSON object of its fields; unknown class labels are left out."""
        values = asdict(self)
        if self.data.class_labels is None:
            del values["data"]["class_labels"]
        return json.dumps(values, indent=2)

    @classmethod
    def from_json(cls, text: str) -> "TrainingConfig":
        """Return the config that `to_json` wrote; fields that an earlier version did not have take their defaults.

        Raises TrainingError if fields are missing, unknown or of a wrong type.
        """
        try:
            values = read_json(text)
        except ValueError as error:
            raise TrainingError(f"training config is not JSON: {error}") from error
        types = {field.name: field.type for field in fields(cls)}
        required = {field.name for field in fields(cls) if field.default is MISSING}
        if not isinstance(values, dict):
            raise TrainingError(f"training config is not a JSON object: expected one with the fields {', '.join(types)}")
        unfit = [f"lacks {name}" for name in required - values.keys()] + [f"has {name}" for name in values.keys() - types.keys()]
        if unfit:
            raise TrainingError(
                f"training config {', '.join(sorted(unfit))}: expected the fields {', '.join(types)}; use the version of "
                "pocketgan that wrote it, or train again"
            )
        data = _read_data(values.pop("data", asdict(MNIST_FACTS)))
        wrong = [name for name, value in values.items() if type(value) is not types[name]]
        if wrong:
            raise TrainingError(f"training config has a value of the wrong type in: {', '.join(wrong)}")
        return cls(**values, data=data)


def _read_data(values: object) -> DataFacts:
    """Return the data set that a run trained on. Raises TrainingError if fields are missing, unknown or of a wrong type."""
    types = {field.name: field.type for field in fields(DataFacts)}
    if not isinstance(values, dict) or {"class_labels", "is_laid_out", *values} != types.keys():
        raise TrainingError(f"training config has other data than expected: expected an object of {', '.join(types)}")
    classes, labels = values.pop("classes"), values.pop("class_labels", None)
    # Earlier versions did not find out; MNIST is the data without a digest.
    values.setdefault("is_laid_out", values["is_like_mnist"] or values["sha256"] == MNIST_FACTS.sha256)
    wrong = [name for name, value in values.items() if type(value) is not types[name]]
    if not isinstance(classes, list | tuple) or not all(type(name) is str for name in classes):
        wrong.append("classes")
    if labels is not None and (not isinstance(labels, list | tuple) or not all(type(label) is int for label in labels)):
        wrong.append("class_labels")
    if wrong:
        raise TrainingError(f"training config has a value of the wrong type in data: {', '.join(wrong)}")
    return DataFacts(**values, classes=tuple(classes), class_labels=None if labels is None else tuple(labels))


Setting = bool | int | float
"""A value that the user chose for a field of TrainingConfig."""

_EXPECTED: dict[object, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}

DEPENDENT_SETTINGS = (
    ("hidden_traits_share", "trait_weight"),
    ("hidden_traits_share", "refinement_share"),
    ("class_weight", "refinement_share"),
    ("shifted_share", "refinement_share"),
)
"""Fields of TrainingConfig that have no effect if another one is 0."""

FLAGS = {
    "preset": "preset",
    "epochs": "epochs",
    "batch_size": "batch-size",
    "learning_rate": "lr",
    "seed": "seed",
    "data": "data",
}
"""The fields of TrainingConfig that have their own command line options, and the names of these."""


def parse_setting(text: str) -> tuple[str, Setting]:
    """Return the field of TrainingConfig and the value that `NAME=VALUE` sets, the value in the field's own type.

    Raises TrainingError if there is no such field, it has its own option (see FLAGS), or the value is not of its type.
    TrainingConfig itself checks ranges.
    """
    types = {field.name: field.type for field in fields(TrainingConfig) if field.name not in FLAGS}
    name, equals, value = text.partition("=")
    if flag := next((flag for field, flag in FLAGS.items() if name in (field, flag)), None):
        raise TrainingError(f"{text!r} is not a setting: use the option --{flag}")
    if not equals or name not in types:
        names = f"{', '.join(types)}{suggestion(name, types)}"
        raise TrainingError(f"{text!r} is not a setting: expected NAME=VALUE with a name of {names}")
    kind = types[name]
    try:
        if kind is bool:
            return name, {"true": True, "false": False}[value]
        return name, int(value) if kind is int else float(value)
    except (KeyError, ValueError) as error:
        raise TrainingError(f"{text!r} is not a setting: expected {_EXPECTED[kind]} after {name}=") from error


_MOST_BYTES = 2**20
_LARGEST_AS_FLOAT = 2**53
_LARGEST_WHOLE = 2**64


def read_settings(path: Path) -> tuple[str | None, dict[str, Setting]]:
    """Return the preset that a TOML file sets, if any, and the other fields of TrainingConfig that it sets, in their own types.

    Each line of the file is `name = value`. Raises TrainingError if the file cannot be read, or a name is not a field, or a value
    is not of the field's type.
    """
    types = {field.name: field.type for field in fields(TrainingConfig) if field.name != "data"}
    try:
        with open_regular_file(path) as file:
            text = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise TrainingError(f"cannot read the settings {path}: {error.strerror}; check the path") from error
    if len(text) > _MOST_BYTES:
        raise TrainingError(f"{path} is not a file of settings: it has more than {_MOST_BYTES:,} bytes")
    try:
        values = tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:  # also if the text is not UTF-8, or a number has thousands of digits
        raise TrainingError(f"{path} is not a TOML file ({error}): expected lines such as epochs = 50") from error
    for name, value in values.items():
        if name not in types:
            names = f"{', '.join(types)}{suggestion(name, types)}"
            raise TrainingError(f"{path} sets {shortened(name)}, which is not a setting: expected one of {names}")
        if types[name] is float and type(value) is int and abs(value) < _LARGEST_AS_FLOAT:
            values[name] = float(value)
        elif type(value) is not types[name] or (type(value) is int and abs(value) >= _LARGEST_WHOLE):
            raise TrainingError(f"{path} sets {name} to {_shown(value)}: expected {_EXPECTED[types[name]]}")
    return values.pop("preset", None), values


def _shown(value: object) -> str:
    try:
        return shortened(value)
    except ValueError:  # Python refuses to print a number that long
        return "a number of thousands of digits"
