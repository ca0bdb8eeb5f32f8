"""The table of traits in a card: it survives the round trip, its mixing can be undone, and what cannot be is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from chosen_traits import class_traits

from pocketgan.errors import CardError
from pocketgan.generator import Generator
from pocketgan.model.card import ModelCard
from pocketgan.trait_table import common_range, traits_from_json

TABLE = tuple(map(class_traits, range(10)))


def test_a_card_with_traits_survives_the_round_trip(conditional: Generator) -> None:
    card = replace(conditional.card, traits=TABLE)
    assert ModelCard.from_json(card.to_json()) == card
    assert ModelCard.from_json(conditional.card.to_json()).traits is None
    without_classes = replace(conditional.card, classes=(), traits=TABLE[:1])
    assert ModelCard.from_json(without_classes.to_json()) == without_classes


@pytest.mark.parametrize("number", [0, 7])
def test_the_adjugate_undoes_the_mixing(number: int) -> None:
    traits = class_traits(number)
    product = np.array(traits.adjugate) @ np.array(traits.mixing)
    assert (product == traits.determinant * np.eye(3, dtype=int)).all()
    assert traits.determinant == pytest.approx(np.linalg.det(np.array(traits.mixing)))


def test_classes_have_a_common_range() -> None:
    assert common_range([class_traits(2)], "slant") == (-560, 2640)
    assert common_range(TABLE, "slant") == (-420, 2600)
    assert common_range(TABLE, "width") == (1148, 1132)  # no value in common


VALUES = [list(row) for row in class_traits().values]
MIXING = [list(row) for row in class_traits().mixing]


@pytest.mark.parametrize(
    ("values", "mixing", "message"),
    [
        (VALUES[:2], MIXING, "values than expected .9 values for each of 3 traits"),
        ([VALUES[0], VALUES[1], VALUES[2][:-1]], MIXING, "values than expected .9 values for each of 3 traits"),
        ([VALUES[0][::-1], *VALUES[1:]], MIXING, "values than expected .ascending ones from -100000 to 100000"),
        ([[*VALUES[0][:-1], 100_001], *VALUES[1:]], MIXING, "values than expected .ascending ones"),
        ([[*VALUES[0][:-1], VALUES[0][-2]], *VALUES[1:]], MIXING, "values than expected .ascending ones"),
        (VALUES, MIXING[:2], "mixing than expected .3 rows of 3"),
        (VALUES, [*MIXING[:2], [0, 0]], "mixing than expected .3 rows of 3"),
        (VALUES, [*MIXING[:2], [0, 0, 1025]], "mixing than expected .shares from -1024 to 1024"),
        (VALUES, [*MIXING[:2], MIXING[1]], "mixing than expected .traits that can be told apart"),
        (VALUES, [*MIXING[:2], [0, 0, 0.5]], "mixing than expected .whole numbers"),
        ([[True, *VALUES[0][1:]], *VALUES[1:]], MIXING, "values than expected .whole numbers"),
        ("slant", MIXING, "values than expected .lists of whole numbers"),
        ([1, 2, 3], MIXING, "values than expected .lists of whole numbers"),
    ],
)
def test_a_malformed_table_is_refused(values: object, mixing: object, message: str) -> None:
    with pytest.raises(CardError, match=f"^the model card's traits have other {message}"):
        traits_from_json([{"values": values, "mixing": mixing}])


@pytest.mark.parametrize("entry", [None, 3, [], "values", {}, {"values": VALUES}])
def test_an_entry_that_is_no_table_is_refused(entry: object) -> None:
    with pytest.raises(CardError, match=r"^the model card's traits have other"):
        traits_from_json([entry])


def test_each_class_needs_its_traits_and_traits_need_latents(conditional: Generator) -> None:
    values = json.loads(replace(conditional.card, traits=TABLE).to_json())
    for changed, message in (
        ({"traits": values["traits"][:2]}, "the model card's traits is 2, expected those of 10 classes"),
        ({"latent_size": 2}, "the model card's latent_size is 2, expected at least 3 with traits"),
        ({"traits": None}, "the model card's traits is None, expected list"),
    ):
        with pytest.raises(CardError, match=f"^{message}"):
            ModelCard.from_json(json.dumps(values | changed))
    assert ModelCard.from_json(json.dumps(values)).traits == TABLE
