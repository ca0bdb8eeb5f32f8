"""The model card: what is written comes back, and what is wrong is refused by name."""

import json
from dataclasses import replace
from reprlib import repr as shortened
from typing import Any

import pytest

from pocketgan.errors import CardError, ModelError
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

OF_EVERY_TYPE: dict[str, object] = {
    "null": None,
    "true": True,
    "integer": 3,
    "fraction": 0.25,
    "text": "3",
    "array": ["3"],
    "object": {"a": 3.5},
}


def values() -> dict[str, Any]:
    """Return the card as the JSON object that it is written as."""
    contents: dict[str, Any] = json.loads(CARD.to_json())
    return contents


def refusal(text: str) -> str:
    """Return what reading a card is refused with: one line of sensible length."""
    with pytest.raises(CardError) as caught:
        ModelCard.from_json(text)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 300
    return message


def test_a_card_comes_back_from_json() -> None:
    assert ModelCard.from_json(CARD.to_json()) == CARD


def test_a_card_without_classes_comes_back_from_json() -> None:
    card = replace(CARD, classes=(), quality={})
    assert ModelCard.from_json(card.to_json()) == card


def test_equal_cards_give_equal_json() -> None:
    reordered = replace(CARD, quality=dict(reversed(list(CARD.quality.items()))))
    assert reordered.to_json() == CARD.to_json()


def test_the_json_is_what_it_is() -> None:
    assert CARD.to_json() == (
        '{"architecture": "dcgan", "classes": ["0", "1", "Two"], "image_height": 28, "image_width": 30, "kernels": '
        '{"floating_point": ["Sigmoid"], "integer": 5}, "latent_size": 100, '
        '"latent_step": 0.03125, "licence": "MIT", "name": "digits-\\u00e5\\u00e9\\u00ee", "package_version": "0.1.0", '
        '"parity": {"images": 1000, "largest_error": 9, "mean_error": 0.25, "psnr_db": 41.5}, "precision": "int8", '
        '"quality": {"frechet": 3.5, "one_nearest_neighbour": 0.75}, "schema": 1, "training": {"checkpoint_sha256": '
        '"abababababababababababababababababababababababababababababababab", "data_set": "mnist", "epochs": 50, '
        '"images_seen": 3000000, "seed": 9223372036854775808}}'
    )


def test_fields_that_are_not_known_are_ignored() -> None:
    contents = values() | {"colour": "grey"}
    contents["training"]["weather"] = ["rain"]
    assert ModelCard.from_json(json.dumps(contents)) == CARD


def test_a_newer_schema_is_refused_and_an_upgrade_named() -> None:
    contents = {"schema": SCHEMA + 1, "all_else": "is different"}
    assert refusal(json.dumps(contents)) == "the model card has schema 2, this version reads up to 1: upgrade pocketgan"


def test_a_card_of_an_older_exporter_lacks_the_kernels() -> None:
    contents = values()
    del contents["kernels"]
    older = ModelCard.from_json(json.dumps(contents))
    assert older == replace(CARD, kernels=None)
    assert json.loads(older.to_json()) == contents


def test_a_missing_field_is_named() -> None:
    parts: list[tuple[str, ...]] = [(), ("training",), ("parity",), ("kernels",)]
    for path in parts:
        for name in values() if not path else values()[path[0]]:
            contents = values()
            part = contents if not path else contents[path[0]]
            del part[name]
            if name != "kernels":  # which older exporters did not write
                assert refusal(json.dumps(contents)) == f"the model card lacks {name!r}: export the model again"


@pytest.mark.parametrize(
    ("part", "name", "fitting"),
    [
        (None, "schema", {"integer"}),
        (None, "name", {"text"}),
        (None, "latent_step", {"integer", "fraction"}),
        (None, "classes", {"array"}),
        (None, "quality", {"object"}),
        ("training", "seed", {"integer"}),
        ("parity", "psnr_db", {"integer", "fraction"}),
        ("kernels", "floating_point", {"array"}),
    ],
)
def test_a_field_of_another_type_is_named(part: str | None, name: str, fitting: set[str]) -> None:
    for kind in OF_EVERY_TYPE.keys() - fitting:
        contents = values()
        (contents if part is None else contents[part])[name] = OF_EVERY_TYPE[kind]
        message = refusal(json.dumps(contents))
        assert message.startswith(f"the model card's {name} is ")
        assert "expected " in message


@pytest.mark.parametrize(
    ("classes", "labels"),
    [
        ((), ()),
        (("3", "8"), (3, 8)),
        (("8", "3"), (8, 3)),
        (("0", "2147483647"), (0, 2**31 - 1)),
        (("0", "2147483648"), (0, 1)),
        (("01", "2"), (0, 1)),
        (("a", "3"), (0, 1)),
    ],
)
def test_names_that_are_whole_numbers_are_labels_and_others_are_counted(
    classes: tuple[str, ...], labels: tuple[int, ...]
) -> None:
    assert replace(CARD, classes=classes).labels == labels


def test_labels_that_the_data_gave_come_back_from_json() -> None:
    card = replace(CARD, class_labels=(26, 0, 3))
    assert ModelCard.from_json(card.to_json()) == card
    assert card.labels == (26, 0, 3)


@pytest.mark.parametrize("labels", [[1, 2], [1, 2, 2], [1, 2, -1], [1, 2, 2**31], [1, 2, "3"], [1, 2, 3.0], 3, None])
def test_labels_that_are_not_a_number_for_each_class_are_refused(labels: object) -> None:
    assert "the model card's class_labels is " in refusal(json.dumps(values() | {"class_labels": labels}))


@pytest.mark.parametrize("kind", ["null", "true", "text"])
def test_a_quality_that_is_not_a_number_is_named(kind: str) -> None:
    contents = values()
    contents["quality"]["frechet"] = OF_EVERY_TYPE[kind]
    assert "the model card's quality frechet is " in refusal(json.dumps(contents))


@pytest.mark.parametrize("kind", ["null", "integer", "array"])
def test_a_class_name_that_is_not_text_is_refused(kind: str) -> None:
    contents = values()
    contents["classes"][1] = OF_EVERY_TYPE[kind]
    assert "the model card's classes is " in refusal(json.dumps(contents))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("latent_size", 0, "1 to 4096"),
        ("latent_size", -100, "1 to 4096"),
        ("latent_size", 4097, "1 to 4096"),
        ("latent_step", 0.0, "above 0, at most 1"),
        ("latent_step", -0.5, "above 0, at most 1"),
        ("latent_step", 1.5, "above 0, at most 1"),
        ("latent_step", float("nan"), "above 0, at most 1"),
        ("latent_step", float("inf"), "above 0, at most 1"),
        ("image_height", 0, "1 to 1024"),
        ("image_height", 1025, "1 to 1024"),
        ("image_width", 0, "1 to 1024"),
        ("image_width", 1025, "1 to 1024"),
        ("precision", "int4", "one of int8, fp16, fp32"),
        ("precision", "", "one of int8, fp16, fp32"),
        ("precision", "INT8", "one of int8, fp16, fp32"),
    ],
)
def test_a_value_out_of_range_is_refused_in_a_file_and_in_code(name: str, value: object, expected: str) -> None:
    in_file = refusal(json.dumps(values() | {name: value}))
    assert in_file == f"the model card's {name} is {value!r}, expected {expected}: export the model again"
    with pytest.raises(CardError):
        replace(CARD, **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("latent_size", 1),
        ("latent_size", 4096),
        ("latent_step", 1.0),
        ("image_height", 1),
        ("image_width", 1024),
        ("precision", "fp16"),
        ("classes", ["a" * 32]),
        ("classes", [str(label) for label in range(1000)]),
    ],
)
def test_the_ends_of_the_ranges_are_taken(name: str, value: object) -> None:
    ModelCard.from_json(json.dumps(values() | {name: value}))


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "a\\b", "a.b", "a b", "a\0", "a\n", "_", "é", "٣", "a" * 33])
def test_a_class_name_that_does_not_belong_in_a_file_name_is_refused(name: str) -> None:
    message = refusal(json.dumps(values() | {"classes": ["0", name]}))
    assert message == (
        f"the model card's classes is {shortened(name)}, expected 1 to 32 ASCII letters and digits: export the model again"
    )


def test_classes_of_the_same_name_are_refused() -> None:
    message = refusal(json.dumps(values() | {"classes": ["0", "1", "0"]}))
    assert message == "the model card's classes is ['0', '1', '0'], expected different names: export the model again"


def test_too_many_classes_are_refused() -> None:
    message = refusal(json.dumps(values() | {"classes": [str(label) for label in range(1001)]}))
    assert message == "the model card's classes is 1001, expected at most 1000: export the model again"


@pytest.mark.parametrize("text", ["", "{'schema': 1}", '{"schema": 1', "\0", "\ud800"])
def test_what_is_not_json_is_refused(text: str) -> None:
    assert refusal(text).startswith("the model card is not JSON (")


@pytest.mark.parametrize(("text", "kind"), [("[]", "list"), ("1", "int"), ('"a"', "str"), ("null", "NoneType"), ("true", "bool")])
def test_json_that_is_not_an_object_is_refused(text: str, kind: str) -> None:
    assert refusal(text) == f"the model card is a JSON {kind}, expected an object: export the model again"


def test_a_number_of_thousands_of_digits_is_refused() -> None:
    assert refusal('{"schema": ' + "1" * 5000 + "}").startswith("the model card is not JSON (")


@pytest.mark.parametrize("depth", [10, 500, 1000, 100_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    refusal("[" * depth + "]" * depth)
    refusal('{"a":' * depth + "1" + "}" * depth)


@pytest.mark.parametrize("depth", [900, 970, 990, 5000, 100_000])
def test_deep_nesting_inside_a_field_is_refused(depth: int) -> None:
    contents = json.dumps(values() | {"name": "NESTED"})
    with pytest.raises(CardError):
        ModelCard.from_json(contents.replace('"NESTED"', "[" * depth + "]" * depth))


def test_a_card_error_is_a_model_error() -> None:
    assert issubclass(CardError, ModelError)


def test_a_whole_number_serves_as_a_metric() -> None:
    assert ModelCard.from_json(replace(CARD, quality={"frechet": 3}).to_json()).quality == {"frechet": 3.0}


@pytest.mark.parametrize("field", ["name", "architecture"])
@pytest.mark.parametrize("text", ["\x1b[31m", "a\nb", "a" * 65])
def test_a_name_that_would_disturb_a_terminal_is_refused(field: str, text: str) -> None:
    assert f"the model card's {field} is " in refusal(json.dumps(values() | {field: text}))


def test_what_is_wrong_is_shortened() -> None:
    assert len(refusal(json.dumps(values() | {"classes": "long " * 100_000}))) < 200


def test_a_number_beyond_all_floats_is_refused() -> None:
    assert "latent_step" in refusal(json.dumps(values() | {"latent_step": 10**400}))


def test_a_text_longer_than_any_card_is_refused_unread() -> None:
    with pytest.raises(
        CardError, match=r"^the model card has 262,145 characters, expected at most 262,144: export the model again$"
    ):
        ModelCard.from_json("[" * (2**18 + 1))
    assert ModelCard.from_json(CARD.to_json() + " " * (2**18 - len(CARD.to_json()))) == CARD


def test_a_long_name_of_a_metric_is_cut_short() -> None:
    with pytest.raises(CardError) as caught:
        ModelCard.from_json(json.dumps(json.loads(CARD.to_json()) | {"quality": {"x" * 100_000: None}}))
    assert len(str(caught.value)) < 200
