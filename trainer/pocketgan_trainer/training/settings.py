"""Settings as people write them on a command line: NAME=VALUE, for what has no option of its own."""

from dataclasses import fields

from pocketgan_trainer.errors import TrainingError
from pocketgan_trainer.training.config import TrainingConfig

Setting = bool | int | float
"""A value that the user chose for a field of TrainingConfig."""

FLAGS = {"preset": "preset", "epochs": "epochs", "batch_size": "batch-size", "learning_rate": "lr", "seed": "seed"}
"""The fields of TrainingConfig that have a command line option of their own, and its name."""

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
