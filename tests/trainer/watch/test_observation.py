"""An observation as fields of `stats.jsonl`, and as a line of text."""

import json

import pytest
from observations import class_view, line_of, observation

from pocketgan_trainer.watch.signs import summary


def test_the_figures_go_by_the_names_of_classes_and_survive_the_file() -> None:
    cat, dog = class_view("cat", share=0.25, coverage=0.5, variety=1.5), class_view("dog", share=0.75, coverage=None, variety=0.0)
    seen = observation(1.5, (cat, dog), named_training=1.0, named_held_out=0.5, names=("cat", "dog"))
    assert json.loads(json.dumps(seen.to_statistics())) == {
        "frechet_ratio": 1.5,
        "class_shares": {"cat": 0.25, "dog": 0.75},
        "coverage": {"cat": 0.5, "dog": None},
        "variety": {"cat": 1.5, "dog": 0.0},
        "pairs_named_training": 1.0,
        "pairs_named_held_out": 0.5,
        "pairs_lead_training": 1.0,
        "pairs_lead_held_out": 0.5,
    }


def test_the_ratio_that_chooses_the_best_epoch_is_kept_to_the_last_digit_and_the_rest_to_four() -> None:
    statistics = observation(1.23456789, (class_view("7", share=1 / 3),), named_held_out=2 / 3).to_statistics()
    assert statistics["frechet_ratio"] == 1.23456789
    assert statistics["pairs_named_held_out"] == 0.6667
    shares = statistics["class_shares"]
    assert isinstance(shares, dict)
    assert shares["7"] == 0.3333


def test_the_summary_has_each_figure_with_its_worst_class() -> None:
    changed = (
        class_view("3", share=0.042),
        class_view("4", share=0.158),
        class_view("5", coverage=0.31),
        class_view("6", variety=0.62),
    )
    seen = observation(changed=changed, named_training=0.81, named_held_out=0.74)
    assert summary(seen.to_statistics()) == (
        "classes 4.2% (digit 3) to 15.8% (digit 4)  coverage 0.31 at least (digit 5)  variety 0.62 at least (digit 6)"
        "  D right in 74% of pairs, 81% of those it trains on"
    )


def test_a_line_of_the_file_has_the_same_summary_as_the_observation() -> None:
    seen = observation(changed=(class_view("5", coverage=None), class_view("6", share=0.0)), named_training=1.0)
    assert summary(json.loads(json.dumps(line_of(3, seen)))) == summary(seen.to_statistics())


def test_the_summary_has_the_names_of_classes() -> None:
    seen = observation(changed=(class_view("cat", share=0.9), class_view("dog", share=0.1)), names=("cat", "dog"))
    assert summary(seen.to_statistics()).startswith("classes 10.0% (class 'dog') to 90.0% (class 'cat')")


def test_the_summary_of_one_class_has_no_names_and_no_shares() -> None:
    seen = observation(changed=(class_view("all", share=1.0, coverage=0.5, variety=0.25),), names=("all",))
    assert summary(seen.to_statistics()) == "coverage 0.50  variety 0.25  D right in 75% of pairs, 75% of those it trains on"


def test_the_summary_leaves_out_unknown_coverage() -> None:
    unknown = [class_view(name, coverage=None) for name in "0123456789"]
    assert "coverage 0.20 at least (digit 9)" in summary(
        observation(changed=[*unknown[:9], class_view("9", coverage=0.2)]).to_statistics()
    )
    assert "coverage" not in summary(observation(changed=unknown).to_statistics())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({}, ""),
        ({"epoch": 1, "frechet_ratio": 1.0, "generator_loss": 0.5}, ""),
        ({"class_shares": None, "coverage": None, "variety": None, "pairs_named_training": 0.5}, ""),
        ({"class_shares": {}, "coverage": {}, "variety": {}}, ""),
        ({"variety": {"0": 0.5}}, "variety 0.50"),
        ({"pairs_named_training": 0.5, "pairs_named_held_out": 1.0}, "D right in 100% of pairs, 50% of those it trains on"),
    ],
)
def test_the_summary_leaves_out_what_a_line_lacks(line: dict[str, object], words: str) -> None:
    assert summary(line) == words
