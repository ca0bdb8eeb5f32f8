"""Settings on the command line: every field but the preset, in its own type, or a clear error."""

import os
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pocketgan_trainer.errors import TrainingError
from pocketgan_trainer.training.config import FLAGS, parse_setting, read_settings
from pocketgan_trainer.training.presets import PRESETS


def test_every_field_without_an_option_of_its_own_can_be_set_to_what_it_is() -> None:
    config = PRESETS["pocket"].config
    values = {name: value for name, value in asdict(config).items() if name not in FLAGS}
    parsed = dict(parse_setting(f"{name}={str(value).lower()}") for name, value in values.items())
    assert parsed == values
    assert [type(value) for value in parsed.values()] == [type(value) for value in values.values()]
    assert replace(config, **parsed) == config  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "option"), [("preset=mlp", "--preset"), ("learning_rate=0.1", "--lr"), ("seed=7", "--seed")])
def test_what_has_an_option_is_refused_with_its_name(text: str, option: str) -> None:
    with pytest.raises(TrainingError, match=f"{text}.* is not a setting: use {option}$"):
        parse_setting(text)


def test_a_number_may_be_written_as_in_science() -> None:
    assert parse_setting("gradient_penalty=5e-2") == ("gradient_penalty", 0.05)


@pytest.mark.parametrize("text", ["", "gamma=1", "gradient_penalty", "=1"])
def test_what_is_no_field_is_refused_with_the_names_that_there_are(text: str) -> None:
    with pytest.raises(TrainingError, match=r"is not a setting: expected NAME=VALUE with a name of bfloat16, .*gradient_penalty"):
        parse_setting(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ema_halflife_images=1.5", "a whole number after ema_halflife_images="),
        ("bfloat16=1", "true or false after bfloat16="),
        ("gradient_penalty=", "a number after gradient_penalty="),
    ],
)
def test_a_value_of_another_type_is_refused(text: str, expected: str) -> None:
    with pytest.raises(TrainingError, match=expected):
        parse_setting(text)


def test_a_file_sets_fields_in_their_own_types(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('preset = "nano"\nepochs = 7\nlearning_rate = 1e-3\ngradient_penalty = 1\nbfloat16 = false\n')
    preset, settings = read_settings(path)
    assert preset == "nano"
    assert settings == {"epochs": 7, "learning_rate": 1e-3, "gradient_penalty": 1.0, "bfloat16": False}
    assert isinstance(settings["gradient_penalty"], float)
    path.write_text("seed = 3\n")
    assert read_settings(path) == (None, {"seed": 3})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("gamma = 1", "sets 'gamma', which is no setting: expected some of preset, epochs, batch_size,"),
        ('data = "mnist"', "sets 'data', which is no setting"),
        ("epochs = 1.5", r"sets epochs to 1\.5: expected a whole number"),
        ("epochs = true", "sets epochs to True: expected a whole number"),
        ("bfloat16 = 1", "sets bfloat16 to 1: expected true or false"),
        ('learning_rate = "fast"', "sets learning_rate to 'fast': expected a number"),
        ("preset = 7", "sets preset to 7: expected a text"),
        ("epochs: 7", "is no TOML file"),
        ("\udcff", "is no TOML file"),
        ("epochs = " + "9" * 5000, "is no TOML file"),
        ("epochs = 0x" + "f" * 5000, "sets epochs to a number of thousands of digits: expected a whole number"),
        ("epochs = [0x" + "f" * 5000 + "]", "sets epochs to a number of thousands of digits: expected a whole number"),
        ("learning_rate = 1" + "0" * 400, "sets learning_rate to 1000"),
        ("epochs = " + "[" * 100_000, "is no TOML file"),
        ("#" * 2**20 + "\n", "is no file of settings: it has more than 1,048,576 bytes"),
    ],
)
def test_a_file_that_is_not_of_settings_is_refused_by_name(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "run.toml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(TrainingError, match=f"{re.escape(str(path))} {told}"):
        read_settings(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"cannot read the settings .*absent\.toml: No such file"):
        read_settings(tmp_path / "absent.toml")


def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.toml")
    with pytest.raises(TrainingError, match=r"cannot read the settings .*run\.toml: it is a named pipe"):
        read_settings(tmp_path / "run.toml")
