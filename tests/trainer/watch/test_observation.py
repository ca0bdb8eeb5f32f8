"""An observation as fields of `stats.jsonl`, and as a line of text."""

import json
from dataclasses import replace

import pytest
from observations import class_view, observation

from pocketgan_trainer.watch.observation import LEAST_TOPOLOGY_DISTANCE, TOPOLOGY_NOISE, Texture, Topology, figures_in_words


def test_the_figures_go_by_the_names_of_classes_and_survive_the_file() -> None:
    cat, dog = class_view("cat", share=0.25, coverage=0.5, variety=1.5), class_view("dog", share=0.75, coverage=None, variety=0.0)
    texture = Texture(told_apart=0.93214, real_told_apart=0.5, largest_difference="black next to black")
    seen = observation(1.5, (cat, dog), named_training=1.0, named_held_out=0.5, names=("cat", "dog"), texture=texture)
    assert json.loads(json.dumps(seen.to_statistics())) == {
        "score": pytest.approx(1.5 * (2 * 0.93214 - 1)),
        "frechet_ratio": 1.5,
        "told_apart_by_texture": 0.9321,
        "largest_texture_difference": "black next to black",
        "topology_distance": None,
        "misjudged": None,
        "misjudged_of_class": {"cat": None, "dog": None},
        "class_shares": {"cat": 0.25, "dog": 0.75},
        "coverage": {"cat": 0.5, "dog": None},
        "variety": {"cat": 1.5, "dog": 0.0},
        "pairs_named_training": 1.0,
        "pairs_named_held_out": 0.5,
        "pairs_lead_training": 1.0,
        "pairs_lead_held_out": 0.5,
    }


def test_the_score_that_chooses_the_best_epoch_is_kept_to_the_last_digit_and_the_rest_to_four() -> None:
    statistics = observation(1.23456789, (class_view("7", share=1 / 3),), named_held_out=2 / 3).to_statistics()
    assert statistics["score"] == statistics["frechet_ratio"] == 1.23456789  # there is no texture
    assert (statistics["told_apart_by_texture"], statistics["largest_texture_difference"]) == (None, None)
    assert statistics["pairs_named_held_out"] == 0.6667
    shares = statistics["class_shares"]
    assert isinstance(shares, dict)
    assert shares["7"] == 0.3333


def test_more_misjudged_images_than_common_raise_the_score() -> None:
    views = [class_view(name, real_share=0.5, real_images=5_000, misjudged=0.0, real_misjudged=0.004) for name in ("cat", "dog")]
    seen = observation(1.5, views, names=("cat", "dog"))
    common = 0.004 + 2 * (2 * 0.004 * 0.996 / 10_000) ** 0.5
    assert (seen.misjudged, seen.score) == (0, 1.5)
    assert seen.misjudged_limit == pytest.approx(common)
    views[0] = replace(views[0], misjudged=6 * common)
    worse = observation(1.5, views, names=("cat", "dog"))
    assert worse.misjudged == pytest.approx(3 * common)
    assert worse.score == pytest.approx(4.5)
    assert worse.to_statistics()["misjudged"] == round(3 * common, 4)
    assert worse.to_statistics()["misjudged_of_class"] == {"cat": round(6 * common, 4), "dog": 0}


@pytest.mark.parametrize(
    ("real", "distance", "factor"),
    [(0.02, 0.02 * TOPOLOGY_NOISE, 1), (0.02, 0.06 * TOPOLOGY_NOISE, 3), (0.0, 2 * LEAST_TOPOLOGY_DISTANCE * TOPOLOGY_NOISE, 2)],
)
def test_parts_and_holes_that_differ_raise_the_score(real: float, distance: float, factor: float) -> None:
    seen = observation(2.0, topology=Topology(distance, real, "8", 0.3, 0.1))
    assert seen.score == pytest.approx(2 * factor)
    assert seen.to_statistics()["topology_distance"] == pytest.approx(distance)


def test_a_judge_that_is_never_wrong_about_real_images_may_be_wrong_about_three_of_the_others() -> None:
    few = class_view("cat", real_share=1.0, real_images=60, misjudged=0.1, real_misjudged=0.0)
    assert observation(2.0, [few], names=("cat",)).score == pytest.approx(2 * 0.1 / (3 / 60))


def test_in_words_each_figure_has_its_worst_class() -> None:
    changed = (
        class_view("3", share=0.042),
        class_view("4", share=0.158),
        class_view("5", coverage=0.31),
        class_view("6", variety=0.62),
        *(class_view(name, misjudged=0.012) for name in "0127"),
        class_view("8", misjudged=0.032),
    )
    seen = observation(changed=changed, named_training=0.81, named_held_out=0.74)
    assert figures_in_words(seen.to_statistics()) == [
        "Frechet ratio 2.000 (real images: 1)",
        "classes 4.2% (digit 3) to 15.8% (digit 4)",
        "coverage 0.31 at least (digit 5)",
        "variety 0.62 at least (digit 6)",
        "misjudged 0.8% (3.2% of digit 8)",
        "discriminator right in 74% of pairs, in 81% with images it trains on",
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({}, []),
        ({"class_shares": {"cat": 0.9, "dog": 0.1}}, ["classes 10.0% (class 'dog') to 90.0% (class 'cat')"]),
        ({"class_shares": {"all": 1.0}, "coverage": {"all": 0.5}}, ["coverage 0.50"]),
        ({"coverage": {"0": None, "1": 0.25, "9": 0.2}}, ["coverage 0.20 at least (digit 9)"]),
        ({"coverage": {"0": None, "1": None}}, []),
        ({"epoch": 1, "frechet_ratio": 1.0, "generator_loss": 0.5}, ["Frechet ratio 1.000 (real images: 1)"]),
        ({"class_shares": None, "coverage": None, "variety": None, "pairs_named_training": 0.5}, []),
        ({"class_shares": {}, "coverage": {}, "variety": {}}, []),
        ({"variety": {"0": 0.5}}, ["variety 0.50"]),
        (
            {"told_apart_by_texture": 0.9321, "largest_texture_difference": "black next to black", "variety": {"0": 0.5}},
            ["variety 0.50", "told apart by texture 93.2%", "what differs most in texture: black next to black"],
        ),
        ({"topology_distance": 0.0712}, ["parts and holes off by 7.1%"]),
        (
            {"pairs_named_training": 0.5, "pairs_named_held_out": 1.0},
            ["discriminator right in 100% of pairs, in 50% with images it trains on"],
        ),
    ],
)
def test_figures_that_a_line_lacks_are_left_out(line: dict[str, object], words: list[str]) -> None:
    assert figures_in_words(line) == words
