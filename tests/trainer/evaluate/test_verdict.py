"""What the figures of a source mean, in words."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from pocketgan_trainer.evaluate.evaluation import Evaluation, EvaluationOptions, SourceScores
from pocketgan_trainer.evaluate.figures import FIGURES, Value
from pocketgan_trainer.evaluate.verdict import GIVEAWAYS, verdict

REAL: dict[str, Value] = {
    "against_test.nearest_neighbour_accuracy": 0.52,
    "against_test.told_apart_by_texture": 0.5,
    "against_test.neighbourhood.recall": 0.88,
    "against_test.neighbourhood.precision": 0.87,
    "traits.sized_and_centered": 0.999,
    "traits.usual_full_ink": 0.86,
    "traits.topology_distance": 0.01,
    "classes.accuracy": 0.9965,
    "memorization.copying_band": (-0.3, 0.3),
    "memorization.copying_score": 0.0,
    "memorization.band_low": (0.96, 1.03),
    "memorization.nearest_ratio_low": 1.0,
}


def said(changed: Mapping[str, Value], trained: Mapping[str, tuple[float, ...]] | None = None, has_classes: bool = True) -> str:
    """Return the verdict on a source whose figures are those of real digits, except for these."""
    real = SourceScores("real digits", None, True, (REAL,), {}, None)
    source = SourceScores("mine", None, has_classes, ({**REAL, **changed},), trained or {}, None)
    return verdict(Evaluation(EvaluationOptions(1_000, 1, False, False, 1), real, (source,)), source)


@pytest.mark.parametrize(
    ("accuracy", "words"),
    [
        (0.45, "close to real digits"),
        (0.59, "close to real digits"),
        (0.62, "not far from real digits"),
        (0.80, "clearly different from real digits"),
        (1.0, "far from real digits"),
    ],
)
def test_how_near_is_said_first(accuracy: float, words: str) -> None:
    assert said({"against_test.nearest_neighbour_accuracy": accuracy}) == words


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"against_test.told_apart_by_texture": 0.94}, "texture"),
        ({"traits.sized_and_centered": 0.445}, "size and place"),
        ({"traits.usual_full_ink": 0.038}, "the grey of full ink"),
        ({"traits.usual_full_ink": 1.01}, "the grey of full ink"),
        ({"traits.topology_distance": 0.03}, "broken strokes and filled loops"),
        ({"against_test.neighbourhood.recall": 0.6}, "little variety"),
        ({"against_test.neighbourhood.precision": 0.6}, "misshapen digits"),
        (
            {"against_test.neighbourhood.recall": 0.6, "against_test.told_apart_by_texture": 0.94},
            "texture, little variety",
        ),
    ],
)
def test_what_gives_digits_away_is_named(changed: dict[str, Value], words: str) -> None:
    assert said(changed) == f"close to real digits; given away by {words}"


def test_digits_that_look_like_others_are_counted_if_a_class_could_be_asked_for() -> None:
    changed: dict[str, Value] = {"classes.accuracy": 0.985}
    assert said(changed) == "close to real digits; 1.5% look like another digit than the one asked for"
    assert said({"classes.accuracy": None}, has_classes=False) == "close to real digits"


def test_networks_and_copies_have_their_words() -> None:
    trained = {"told_apart": (0.70, 0.72), "told_apart_second": (0.6,)}
    assert said({}, trained) == "close to real digits; a network is right in 71% of cases"
    assert said({}, {"told_apart": (0.50, 0.52)}) == "close to real digits; no network recognizes them"
    copied: dict[str, Value] = {"memorization.copying_score": -2.0, "memorization.nearest_ratio_low": 0.5}
    assert said(copied) == "close to real digits; closer to training digits than real ones are: some may be copies"
    assert said({"memorization.copying_score": -2.0}) == "close to real digits"


def test_what_was_not_measured_says_nothing() -> None:
    few = {key: value for key, value in REAL.items() if key in ("against_test.nearest_neighbour_accuracy", "classes.accuracy")}
    real = SourceScores("real digits", None, True, (few,), {}, None)
    evaluation = Evaluation(EvaluationOptions(100, 1, False, False, 1, quick=True), real, (replace(real, name="mine"),))
    assert verdict(evaluation, evaluation.sources[0]) == "close to real digits"


def test_every_giveaway_is_a_row_of_the_table_and_tested_here() -> None:
    assert {giveaway.key for giveaway in GIVEAWAYS} <= REAL.keys()
    assert REAL.keys() <= {row.key for row in FIGURES}


def test_chance_is_allowed_for_where_images_are_few() -> None:
    changed: dict[str, Value] = {"against_test.neighbourhood.recall": 0.76, "classes.accuracy": 0.98}
    real = SourceScores("real digits", None, True, (REAL,), {}, None)
    source = SourceScores("mine", None, True, ({**REAL, **changed},), {}, None)
    for count, words in (
        (100, "close to real digits"),
        (10_000, "close to real digits; given away by little variety; 2.0% look like another digit than the one asked for"),
    ):
        evaluation = Evaluation(EvaluationOptions(count, 1, False, False, 1), real, (source,))
        assert verdict(evaluation, source) == words
