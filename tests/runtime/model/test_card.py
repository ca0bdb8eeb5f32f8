"""The model card: a card survives the round trip through JSON, and a wrong value is refused by name."""

import json
from dataclasses import replace
from reprlib import repr as shortened
from typing import Any

import pytest

from pocketgan.errors import CardError
from pocketgan.model.card import SCHEMA, KernelFacts, ModelCard, ParityFacts, TrainingFacts

CARD = ModelCard(
    name="digits-åéî",
    architecture="dcgan",
    latent_size=100,
    latent_step=1 / 32,
    classes=("0", "1", "Two"),
    image_height=28,
    image_width=30,
    precision="int8",
    training=TrainingFacts(data_set="mnist", images_seen=3_000_000, epochs=50, seed=2**63, checkpoint_sha256="ab" * 32),
    parity=ParityFacts(images=1000, psnr_db=41.5, mean_error=0.25, largest_error=9),
    kernels=KernelFacts(integer=5, floating_point=("Sigmoid",)),
    quality={"frechet": 3.5, "one_nearest_neighbour": 0.75},
    package_version="0.1.0",
    licence="MIT",
)
VALUES: dict[str, Any] = {
    "schema": 1,
    "name": "digits-åéî",
    "architecture": "dcgan",
    "latent_size": 100,
    "latent_step": 0.03125,
    "classes": ["0", "1", "Two"],
    "image_height": 28,
    "image_width": 30,
    "precision": "int8",
    "training": {"data_set": "mnist", "images_seen": 3000000, "epochs": 50, "seed": 2**63, "checkpoint_sha256": "ab" * 32},
    "parity": {"images": 1000, "psnr_db": 41.5, "mean_error": 0.25, "largest_error": 9},
    "kernels": {"integer": 5, "floating_point": ["Sigmoid"]},
    "quality": {"one_nearest_neighbour": 0.75, "frechet": 3.5},
    "package_version": "0.1.0",
    "licence": "MIT",
}


def changed(*path: str | int, value: object = None, is_deleted: bool = False) -> str:
    """Return the JSON of the card with another value at a path, or without that entry."""
    contents = json.loads(json.dumps(VALUES))
    *parents, last = path
    part = contents
    for name in parents:
        part = part[name]
    if is_deleted:
        del part[last]
    else:
        part[last] = value
    return json.dumps(contents)


def refusal(text: str) -> str:
    """Return the error for a card: one line of reasonable length."""
    with pytest.raises(CardError) as caught:
        ModelCard.from_json(text)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 300
    return message


def test_the_json_is_short_and_has_these_names_in_sorted_order() -> None:
    assert CARD.to_json() == json.dumps(VALUES, sort_keys=True, separators=(",", ":"))


@pytest.mark.parametrize(
    "card",
    [
        CARD,
        replace(CARD, classes=(), quality={}),
        replace(CARD, class_labels=(26, 0, 3)),
        replace(CARD, kernels=None),
        replace(CARD, quality={"frechet": 3}),
    ],
    ids=["full", "without classes", "with labels", "of an older exporter", "with an integer as a metric"],
)
def test_a_card_survives_the_round_trip(card: ModelCard) -> None:
    assert ModelCard.from_json(card.to_json()) == card


def test_unknown_fields_are_ignored() -> None:
    contents = VALUES | {"colour": "grey", "training": VALUES["training"] | {"weather": ["rain"]}}
    assert ModelCard.from_json(json.dumps(contents)) == CARD


def test_a_missing_field_is_named() -> None:
    paths: list[tuple[str, ...]] = [(name,) for name in VALUES if name != "kernels"]
    paths += [(part, name) for part in ("training", "parity", "kernels") for name in VALUES[part]]
    for path in paths:
        assert refusal(changed(*path, is_deleted=True)) == f"the model card lacks {path[-1]!r}: export the model again"


OF_EACH_TYPE = {"null": None, "boolean": True, "integer": 3, "float": 0.25, "string": "3", "array": ["3"], "object": {"a": 3.5}}


@pytest.mark.parametrize(
    ("path", "valid"),
    [
        (("schema",), {"integer"}),
        (("name",), {"string"}),
        (("latent_step",), {"integer", "float"}),
        (("classes",), {"array"}),
        (("classes", 1), {"string"}),
        (("class_labels",), set()),  # an array, but of integers
        (("quality",), {"object"}),
        (("quality", "frechet"), {"integer", "float"}),
        (("training", "seed"), {"integer"}),
        (("parity", "psnr_db"), {"integer", "float"}),
        (("kernels", "floating_point"), {"array"}),
    ],
    ids=lambda value: ".".join(map(str, sorted(value) if isinstance(value, set) else value)),
)
def test_a_field_of_the_wrong_type_is_named(path: tuple[str | int, ...], valid: set[str]) -> None:
    name = "classes" if path[0] == "classes" else "quality 'frechet'" if path[-1] == "frechet" else path[-1]
    for kind in OF_EACH_TYPE.keys() - valid:
        message = refusal(changed(*path, value=OF_EACH_TYPE[kind]))
        assert message.startswith(f"the model card's {name} is ")
        assert "expected " in message


@pytest.mark.parametrize(
    ("classes", "labels"),
    [
        ((), ()),
        (("8", "3"), (8, 3)),
        (("0", "2147483647"), (0, 2**31 - 1)),
        (("0", "2147483648"), (0, 1)),
        (("01", "2"), (0, 1)),
        (("a", "3"), (0, 1)),
    ],
)
def test_labels_are_the_names_if_all_are_whole_numbers_else_counted(classes: tuple[str, ...], labels: tuple[int, ...]) -> None:
    assert replace(CARD, classes=classes).labels == labels


def test_labels_of_the_training_data_take_precedence() -> None:
    assert replace(CARD, class_labels=(26, 0, 3)).labels == (26, 0, 3)


REFUSED = [
    *(("latent_size", size, size, "1 to 4096") for size in (0, -100, 4097)),
    *(("latent_step", step, step, "above 0, at most 1") for step in (0.0, -0.5, 1.5)),
    *((name, size, size, "1 to 1024") for name in ("image_height", "image_width") for size in (0, 1025)),
    *(("precision", name, name, "one of int8, fp16, fp32") for name in ("int4", "", "INT8")),
    *(
        (name, text, text, "at most 64 printable characters")
        for name in ("name", "architecture")
        for text in ("\x1b[31m", "a\nb", "a" * 65)
    ),
    *(
        ("classes", ["0", name], name, "1 to 32 ASCII letters and digits")
        for name in ("", "../../etc/passwd", "a\\b", "a.b", "a b", "a\0", "a\n", "_", "é", "٣", "a" * 33)
    ),
    ("classes", ["0", "1", "0"], ["0", "1", "0"], "different names"),
    ("classes", [str(label) for label in range(1001)], 1001, "at most 1000"),
    *(
        ("class_labels", labels, labels, "a different whole number for each class, 0 to 2147483647")
        for labels in ([1, 2], [1, 2, 2], [1, 2, -1], [1, 2, 2**31])
    ),
]


@pytest.mark.parametrize(("name", "value", "found", "expected"), REFUSED)
def test_a_value_out_of_range_is_refused_in_a_file_and_in_code(name: str, value: object, found: object, expected: str) -> None:
    message = refusal(changed(name, value=value))
    assert message == f"the model card's {name} is {shortened(found)}, expected {expected}: export the model again"
    with pytest.raises(CardError):
        replace(CARD, **{name: tuple(value) if isinstance(value, list) else value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "a" * 64),
        ("latent_size", 1),
        ("latent_size", 4096),
        ("latent_step", 1.0),
        ("image_height", 1),
        ("image_width", 1024),
        ("precision", "fp16"),
        ("classes", ["a" * 32]),
        ("classes", [str(label) for label in range(1000)]),
        ("class_labels", [0, 1, 2**31 - 1]),
    ],
)
def test_a_value_at_the_limit_is_accepted(name: str, value: object) -> None:
    ModelCard.from_json(changed(name, value=value))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((text, " is not JSON (") for text in ("", "{'schema': 1}", "\0", "\ud800", '{"schema": ' + "1" * 5000 + "}")),
        *(
            (text, f" is a JSON {kind}, expected an object:")
            for text, kind in (("[]", "list"), ("1", "int"), ("null", "NoneType"))
        ),
        ('{"schema": 2, "all_else": "is different"}', f" has schema 2, this version reads up to {SCHEMA}: upgrade pocketgan"),
        ("[" * (2**18 + 1), " has 262,145 characters, expected at most 262,144: export the model again"),
        (changed("latent_step", value=10**400), "'s latent_step is 1"),
        (changed("classes", value="long " * 10_000), "'s classes is 'long long"),
        (changed("quality", value={"x" * 100_000: None}), "'s quality 'xxxx"),
        (changed("quality", value={"frechet": float("nan")}), " is not JSON (NaN is not a JSON number): export the model again"),
        (changed("latent_step", value=float("-inf")), " is not JSON (-Infinity is not a JSON number): export the model again"),
        (CARD.to_json().replace("3.5", "1e999"), "'s quality 'frechet' is inf, expected a finite number"),
    ],
)
def test_a_card_that_cannot_be_read_is_refused(text: str, message: str) -> None:
    assert refusal(text).startswith(f"the model card{message}")


def test_a_card_of_the_longest_length_is_read() -> None:
    assert ModelCard.from_json(CARD.to_json() + " " * (2**18 - len(CARD.to_json()))) == CARD


@pytest.mark.parametrize("depth", [900, 970, 990, 5000, 100_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    array = "[" * depth + "]" * depth
    for text in (array, '{"a":' * depth + "1" + "}" * depth, changed("name", value="NESTED").replace('"NESTED"', array)):
        refusal(text)
