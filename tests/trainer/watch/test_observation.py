"""What was seen of an epoch, as `stats.jsonl` holds it."""

import json

from observations import class_view, observation


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
