"""Settings as people write them: NAME=VALUE on a command line, for what has no option of its own, or all in a TOML file."""

import tomllib
from dataclasses import fields
from pathlib import Path
from reprlib import repr as shortened

from pocketgan.files import open_regular_file
from pocketgan_trainer.errors import TrainingError
from pocketgan_trainer.training.config import TrainingConfig

Setting = bool | int | float
"""A value that the user chose for a field of TrainingConfig."""

FLAGS = {
    "preset": "preset",
    "epochs": "epochs",
    "batch_size": "batch-size",
    "learning_rate": "lr",
    "seed": "seed",
    "data": "data",
}
"""The fields of TrainingConfig that have a command line option of their own, and its name."""

_MOST_BYTES = 2**20
_LARGEST_AS_FLOAT = 2**53
_LARGEST_WHOLE = 2**64

_TRUTH = {"true": True, "false": False}


def parse_setting(text: str) -> tuple[str, Setting]:
    """Return the field of TrainingConfig and the value that `NAME=VALUE` stands for, the value in the field's own type.

    Raises TrainingError if there is no such field, it has an option of its own (see FLAGS), or the value is not of its type.
    Whether the value makes sense is for TrainingConfig to say.
    """
    types = {field.name: field.type for field in fields(TrainingConfig) if field.name not in FLAGS}
    name, equals, value = text.partition("=")
    if name in FLAGS:
        raise TrainingError(f"{text!r} is not a setting: use --{FLAGS[name]}")
    if not equals or name not in types:
        raise TrainingError(f"{text!r} is not a setting: expected NAME=VALUE with a name of {', '.join(types)}")
    kind = types[name]
    try:
        if kind is bool:
            return name, _TRUTH[value]
        return name, int(value) if kind is int else float(value)
    except (KeyError, ValueError) as error:
        expected = {bool: "true or false", int: "a whole number", float: "a number"}
        raise TrainingError(f"{text!r} is not a setting: expected {expected[kind]} after {name}=") from error  # type: ignore[index]


def read_settings(path: Path) -> tuple[str | None, dict[str, Setting]]:
    """Return the preset that a TOML file names, if any, and the other fields of TrainingConfig that it sets, in their types.

    A file is a list of lines `name = value`. Raises TrainingError if it cannot be read, or sets what is no field or not of its
    type.
    """
    types = {field.name: field.type for field in fields(TrainingConfig) if field.name != "data"}
    try:
        with open_regular_file(path) as file:
            text = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise TrainingError(f"cannot read the settings {path}: {error.strerror}; write them to a file first") from error
    if len(text) > _MOST_BYTES:
        raise TrainingError(f"{path} is no file of settings: it has more than {_MOST_BYTES:,} bytes")
    try:
        values = tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:  # also of what is no UTF-8, and of a number with thousands of digits
        raise TrainingError(f"{path} is no TOML file ({error}): expected lines such as epochs = 50") from error
    for name, value in values.items():
        if name not in types:
            raise TrainingError(f"{path} sets {shortened(name)}, which is no setting: expected some of {', '.join(types)}")
        if types[name] is float and type(value) is int and abs(value) < _LARGEST_AS_FLOAT:
            values[name] = float(value)
        elif type(value) is not types[name] or (type(value) is int and abs(value) >= _LARGEST_WHOLE):
            expected = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}[types[name]]  # type: ignore[index]
            raise TrainingError(f"{path} sets {name} to {_shown(value)}: expected {expected}")
    return values.pop("preset", None), values


def _shown(value: object) -> str:
    try:
        return shortened(value)
    except ValueError:  # Python writes no number that long
        return "a number of thousands of digits"
