"""The config of a run: its ranges, its JSON, and settings from the command line and from TOML files."""

import json
import math
import os
import re
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from pocketgan_trainer.data.images import MNIST_FACTS, DataFacts
from pocketgan_trainer.errors import TrainingError
from pocketgan_trainer.training.config import FLAGS, TrainingConfig, parse_setting, read_settings
from pocketgan_trainer.training.presets import PRESETS

CONFIG = TrainingConfig(
    preset="mlp",
    epochs=3,
    batch_size=32,
    learning_rate=2.5e-4,
    bfloat16=True,
    seed=7,
    adam_beta1=0.5,
    adam_beta2=0.99,
    final_rate_share=0.5,
    gradient_penalty=0.25,
    final_penalty_share=0.75,
    penalty_fall_share=0.6875,
    refinement_share=0.375,
    class_weight=0.0625,
    guidance_weight=0.4375,
    shifted_share=0.875,
    trait_weight=0.1875,
    hidden_traits_share=0.625,
    canvas=True,
    batch_statistics_share=0.125,
    style_scale=1.125,
    ema_halflife_images=1000,
)


@pytest.mark.parametrize(
    ("name", "good", "bad", "expected"),
    [
        ("epochs", [1], [0], "at least 1"),
        ("batch_size", [2], [1], "at least 2"),
        ("batch_size", [2**31 - 1], [2**31], "at most 2147483647"),
        ("ema_halflife_images", [0], [-1], "at least 0"),
        ("ema_halflife_images", [2**31 - 1], [10**400], "at most 2147483647"),
        ("seed", [0], [-1], "at least 0"),
        ("seed", [2**64 - 1], [2**64], "at most 18446744073709551615"),
        ("learning_rate", [0.999], [0.0, 1.0, math.nan], "between 0 and 1"),
        ("adam_beta1", [0.0], [-0.1, 1.0], "from 0 to below 1"),
        ("adam_beta2", [0.9999], [1.0, math.nan], "from 0 to below 1"),
        ("final_rate_share", [1e-9, 1.0], [0.0, 1.1], "from above 0 to 1"),
        ("final_penalty_share", [1.0], [0.0, 1.1], "from above 0 to 1"),
        ("penalty_fall_share", [1e-9, 1.0], [0.0, 1.1], "from above 0 to 1"),
        ("batch_statistics_share", [0.0], [1.1], "from 0 to 1"),
        ("refinement_share", [1.0], [-0.1, 1.1], "from 0 to 1"),
        ("shifted_share", [0.0, 1.0], [-0.1], "from 0 to 1"),
        ("hidden_traits_share", [0.0, 1.0], [-0.1, 1.1], "from 0 to 1"),
        ("style_scale", [0.5, 2.0], [0.49, 2.1, math.nan], "from 0.5 to 2"),
        ("class_weight", [0.0], [-0.1], "a number from 0"),
        ("guidance_weight", [0.0], [-0.1, math.nan], "a number from 0"),
        ("trait_weight", [1e-9], [-0.1], "a number from 0"),
        ("gradient_penalty", [0.0], [-0.1, math.inf, math.nan], "a number from 0"),
    ],
)
def test_values_out_of_range_are_refused(name: str, good: list[float], bad: list[float], expected: str) -> None:
    for value in good:
        assert getattr(replace(CONFIG, **{name: value}), name) == value  # type: ignore[arg-type]
    shown = {"batch_size": "batch size", "learning_rate": "learning rate"}.get(name, name)
    for value in bad:
        with pytest.raises(TrainingError, match=f"^{shown} .{{1,60}} is out of range: expected {expected}$"):
            replace(CONFIG, **{name: value})  # type: ignore[arg-type]


def test_traits_without_a_canvas_are_refused() -> None:
    with pytest.raises(TrainingError, match=r"trait_weight 0.1875 has no effect: expected canvas true, or trait_weight 0"):
        replace(CONFIG, canvas=False)
    assert not replace(CONFIG, canvas=False, trait_weight=0.0, hidden_traits_share=0.0).canvas


def test_traits_that_are_hidden_although_there_are_none_are_refused() -> None:
    with pytest.raises(TrainingError, match=r"hidden_traits_share 0.625 has no effect: expected a trait_weight above 0, or"):
        replace(CONFIG, trait_weight=0.0)


def test_what_belongs_to_refinement_is_refused_without_it() -> None:
    values: dict[str, Any] = {"class_weight": 0.0, "shifted_share": 0.0, "hidden_traits_share": 0.0}
    for name in values:
        others = {other: value for other, value in values.items() if other != name}
        with pytest.raises(TrainingError, match=rf"^{name} \S+ has no effect: expected a refinement_share above 0, or {name} 0$"):
            replace(CONFIG, refinement_share=0.0, **others)
    assert replace(CONFIG, refinement_share=0.0, **values).refinement_share == 0


def test_json_holds_every_field_under_its_name() -> None:
    data = {
        "name": "mnist",
        "source": "mnist",
        "is_like_mnist": False,
        "image_size": 28,
        "classes": list("0123456789"),
        "sha256": "",
        "is_laid_out": True,
    }
    assert json.loads(CONFIG.to_json()) == {**vars(CONFIG), "data": data}


def test_a_config_comes_back_from_json_whatever_its_data() -> None:
    assert TrainingConfig.from_json(CONFIG.to_json()) == CONFIG
    data = DataFacts("shoes", "/home/me/shoes", True, 32, ("sneaker", "boot"), "ab" * 32)
    config = replace(CONFIG, data=data)
    assert TrainingConfig.from_json(config.to_json()) == config
    assert "class_labels" not in config.to_json()
    numbered = replace(config, data=replace(data, class_labels=(4, 7)))
    assert TrainingConfig.from_json(numbered.to_json()) == numbered


@pytest.mark.parametrize(
    ("data", "is_laid_out"),
    [
        (MNIST_FACTS, True),
        (DataFacts("shoes", "/home/me/shoes", True, 28, ("sneaker", "boot"), "ab" * 32), True),
        (DataFacts("shoes", "/home/me/shoes", False, 28, ("sneaker", "boot"), "ab" * 32), False),
    ],
    ids=["mnist", "like mnist", "other"],
)
def test_older_configs_do_not_say_whether_images_are_laid_out(data: DataFacts, is_laid_out: bool) -> None:
    values = json.loads(replace(CONFIG, data=data).to_json())
    del values["data"]["is_laid_out"]
    assert TrainingConfig.from_json(json.dumps(values)).data == replace(data, is_laid_out=is_laid_out)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("data", None, "other data than expected"),
        ("data", {}, "other data than expected"),
        ("colours", 3, "other data than expected"),
        ("image_size", "28", "a value of the wrong type in data: image_size"),
        ("classes", "01", "a value of the wrong type in data: classes"),
        ("classes", [0, 1], "a value of the wrong type in data: classes"),
        ("class_labels", ["3"], "a value of the wrong type in data: class_labels"),
        ("class_labels", 3, "a value of the wrong type in data: class_labels"),
        ("class_labels", [3, 8], r"class_labels \[3, 8\] is out of range: expected a different whole number for each class"),
        ("class_labels", [3] * 10, "expected a different whole number for each class, 0 to 2147483647"),
        ("image_size", 30, "image size 30 is out of range: expected 28 or 32"),
    ],
)
def test_data_that_no_run_has_is_refused(field: str, value: object, message: str) -> None:
    values = json.loads(CONFIG.to_json())
    if field == "data":
        values["data"] = value
    else:
        values["data"][field] = value
    with pytest.raises(TrainingError, match=message):
        TrainingConfig.from_json(json.dumps(values))


def test_fields_that_an_earlier_version_did_not_have_take_the_values_of_the_classics() -> None:
    text = """{"preset": "mlp", "epochs": 3, "batch_size": 32, "learning_rate": 0.001, "bfloat16": false, "seed": 7}"""
    config = TrainingConfig.from_json(text)
    assert (config.preset, config.epochs, config.batch_size, config.seed) == ("mlp", 3, 32, 7)
    # Adam's own numbers, a rate that never falls, no penalty, batch statistics to the end and no average.
    assert (config.adam_beta1, config.adam_beta2, config.final_rate_share) == (0.9, 0.999, 1.0)
    assert (config.gradient_penalty, config.final_penalty_share) == (0.0, 1.0)
    assert (config.refinement_share, config.class_weight, config.shifted_share) == (0.0, 0.0, 0.0)
    assert (config.batch_statistics_share, config.ema_halflife_images) == (1.0, 0)


VALUES = asdict(CONFIG)
WRONG_TYPES = [("preset", 1), ("epochs", 3.0), ("epochs", True), ("epochs", None), ("learning_rate", 1), ("bfloat16", 1)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((json.dumps({**VALUES, name: value}), f"a value of the wrong type in: {name}$") for name, value in WRONG_TYPES),
        (
            json.dumps({name: value for name, value in VALUES.items() if name != "bfloat16"}),
            "training config lacks bfloat16: expected the fields preset, .*use the version",
        ),
        (json.dumps({**VALUES, "momentum": 0.9}), "training config has momentum: expected the fields preset, "),
        (json.dumps({**VALUES, "epochs": 0}), "epochs 0 is out of range"),
        ("[]", "training config is not a JSON object: expected one with the fields preset, "),
        ("", "is not JSON"),
    ],
)
def test_json_that_is_not_of_a_config_is_refused(text: str, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        TrainingConfig.from_json(text)


def test_every_field_without_an_option_of_its_own_can_be_set() -> None:
    config = PRESETS["pocket"].config
    values = {name: value for name, value in asdict(config).items() if name not in FLAGS}
    parsed = dict(parse_setting(f"{name}={str(value).lower()}") for name, value in values.items())
    assert parsed == values
    assert [type(value) for value in parsed.values()] == [type(value) for value in values.values()]
    assert replace(config, **parsed) == config  # type: ignore[arg-type]


def test_a_number_may_have_an_exponent() -> None:
    assert parse_setting("gradient_penalty=5e-2") == ("gradient_penalty", 0.05)


NOT_A_FIELD = "is not a setting: expected NAME=VALUE with a name of bfloat16, .*gradient_penalty"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("preset=mlp", "is not a setting: use the option --preset$"),
        ("learning_rate=0.1", "is not a setting: use the option --lr$"),
        ("", NOT_A_FIELD),
        ("gamma=1", NOT_A_FIELD),
        ("gradient_penalty", NOT_A_FIELD),
        ("ema_halflife_images=1.5", "is not a setting: expected a whole number after ema_halflife_images="),
        ("bfloat16=1", "is not a setting: expected true or false after bfloat16="),
        ("gradient_penalty=", "is not a setting: expected a number after gradient_penalty="),
    ],
)
def test_what_is_not_a_setting_is_refused(text: str, message: str) -> None:
    with pytest.raises(TrainingError, match=f"'{text}' {message}"):
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
    ("text", "message"),
    [
        ("gamma = 1", "sets 'gamma', which is not a setting: expected one of preset, epochs, batch_size,"),
        ('data = "mnist"', "sets 'data', which is not a setting"),
        ("epochs = 1.5", r"sets epochs to 1\.5: expected a whole number"),
        ("epochs = true", "sets epochs to True: expected a whole number"),
        ("bfloat16 = 1", "sets bfloat16 to 1: expected true or false"),
        ('learning_rate = "fast"', "sets learning_rate to 'fast': expected a number"),
        ("preset = 7", "sets preset to 7: expected text"),
        ("epochs: 7", "is not a TOML file"),
        ("\udcff", "is not a TOML file"),
        ("epochs = " + "9" * 5000, "is not a TOML file"),
        ("epochs = 0x" + "f" * 5000, "sets epochs to a number of thousands of digits: expected a whole number"),
        ("epochs = [0x" + "f" * 5000 + "]", "sets epochs to a number of thousands of digits: expected a whole number"),
        ("learning_rate = 1" + "0" * 400, "sets learning_rate to 1000"),
        ("epochs = " + "[" * 100_000, "is not a TOML file"),
        ("#" * 2**20 + "\n", "is not a file of settings: it has more than 1,048,576 bytes"),
    ],
)
def test_a_file_that_does_not_hold_settings_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "run.toml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(TrainingError, match=f"{re.escape(str(path))} {message}"):
        read_settings(path)


@pytest.mark.parametrize(("make", "reason"), [(None, "No such file"), (os.mkfifo, "it is a named pipe")])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, make: Callable[[Path], None] | None, reason: str) -> None:
    path = tmp_path / "run.toml"
    if make:
        make(path)
    with pytest.raises(TrainingError, match=f"cannot read the settings {re.escape(str(path))}: {reason}"):
        read_settings(path)
