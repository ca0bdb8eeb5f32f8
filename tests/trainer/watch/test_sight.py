"""An epoch's figures in a few words, each with its worst class."""

import json

import pytest
from observations import class_view, line_of, observation

from pocketgan_trainer.watch.signs import sight


def test_each_figure_is_told_with_its_worst_class() -> None:
    changed = (
        class_view("3", share=0.042),
        class_view("4", share=0.158),
        class_view("5", coverage=0.31),
        class_view("6", variety=0.62),
    )
    seen = observation(changed=changed, named_training=0.81, named_held_out=0.74)
    assert sight(seen.to_statistics()) == (
        "classes 4.2% (digit 3) to 15.8% (digit 4)  coverage 0.31 at least (digit 5)  variety 0.62 at least (digit 6)"
        "  D names 74% of pairs, 81% of those it trains on"
    )


def test_a_line_of_the_file_says_the_same_as_what_was_seen() -> None:
    seen = observation(changed=(class_view("5", coverage=None), class_view("6", share=0.0)), named_training=1.0)
    assert sight(json.loads(json.dumps(line_of(3, seen)))) == sight(seen.to_statistics())


def test_classes_with_names_are_called_by_them() -> None:
    seen = observation(changed=(class_view("cat", share=0.9), class_view("dog", share=0.1)), names=("cat", "dog"))
    assert sight(seen.to_statistics()).startswith("classes 10.0% (class 'dog') to 90.0% (class 'cat')")


def test_of_one_class_no_names_are_told_and_no_shares() -> None:
    seen = observation(changed=(class_view("all", share=1.0, coverage=0.5, variety=0.25),), names=("all",))
    assert sight(seen.to_statistics()) == "coverage 0.50  variety 0.25  D names 75% of pairs, 75% of those it trains on"


def test_classes_whose_coverage_is_unknown_are_passed_over() -> None:
    unknown = [class_view(name, coverage=None) for name in "0123456789"]
    assert "coverage 0.20 at least (digit 9)" in sight(
        observation(changed=[*unknown[:9], class_view("9", coverage=0.2)]).to_statistics()
    )
    assert "coverage" not in sight(observation(changed=unknown).to_statistics())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({}, ""),
        ({"epoch": 1, "frechet_ratio": 1.0, "generator_loss": 0.5}, ""),
        ({"class_shares": None, "coverage": None, "variety": None, "pairs_named_training": 0.5}, ""),
        ({"class_shares": {}, "coverage": {}, "variety": {}}, ""),
        ({"variety": {"0": 0.5}}, "variety 0.50"),
        ({"pairs_named_training": 0.5, "pairs_named_held_out": 1.0}, "D names 100% of pairs, 50% of those it trains on"),
    ],
)
def test_what_a_line_lacks_is_left_out(line: dict[str, object], words: str) -> None:
    assert sight(line) == words
