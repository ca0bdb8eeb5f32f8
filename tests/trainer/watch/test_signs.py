"""Signs that a run goes wrong: each appears where it should, at its limits, and nowhere else."""

from collections.abc import Sequence
from dataclasses import replace
from math import inf, nextafter

import pytest
from observations import DIGITS, class_view, line_of, observation

from pocketgan_trainer.watch.observation import ClassView, Line, Observation, Topology, class_title
from pocketgan_trainer.watch.signs import (
    ALL_PAIRS,
    BETTER_FACTOR,
    LEAST_REAL_IMAGES,
    LEAST_VARIETY,
    MEMORIZED_GAP,
    MISSING_SHARE,
    NO_PAIRS,
    PRESENT_SHARE,
    PROGRESS_EPOCHS,
    ROUGH_RATIO,
    TOPOLOGY_MARGIN,
    WORSE_FACTOR,
    YOUNG_EPOCHS,
    Remedies,
    Sign,
    merged,
    signs_of,
    standing_signs,
)

CLASSIC = Remedies(
    is_conditional=False,
    has_penalty=False,
    conditional_presets=("pocket", "nano"),
    penalized_presets=("pocket", "nano"),
    shifting_presets=("pocket", "nano"),
)
"""What the classic GANs have."""
GREY = Sign("grey", None, "all is grey", "more contrast")


def history(*ratios: float, changed: Sequence[ClassView] = ()) -> list[Line]:
    """Return the lines of epochs with these Frechet ratios, healthy but for the classes `changed`."""
    return [line_of(epoch, observation(ratio, changed)) for epoch, ratio in enumerate(ratios, start=1)]


def past_young(ratio: float = 2.0, changed: Sequence[ClassView] = ()) -> list[Line]:
    """Return the lines of YOUNG_EPOCHS epochs, so that the next one is not young."""
    return history(*[ratio] * YOUNG_EPOCHS, changed=changed)


def keys(seen: Observation, before: Sequence[Line]) -> list[str]:
    """Return what the signs are known by."""
    return [sign.key for sign in signs_of(seen, before, CLASSIC)]


def lines_with(*keys_of_epochs: Sequence[str]) -> list[Line]:
    """Return lines of epochs that had signs with these keys."""
    return [
        {"epoch": epoch, "signs": dict.fromkeys(of_epoch, "message")} for epoch, of_epoch in enumerate(keys_of_epochs, start=1)
    ]


ALL_WRONG = observation(
    100.0,
    (class_view("3", share=0.0), class_view("4", variety=0.0)),
    named_training=1.0,
    named_held_out=0.0,
)
"""Everything that can be wrong at once: a discriminator cannot have won and lost."""


def test_everything_that_is_wrong_has_its_sign() -> None:
    assert keys(ALL_WRONG, past_young()) == ["vanishing 3", "alike 4", "lost", "by heart", "worse"]
    assert keys(ALL_WRONG, past_young(200.0)) == ["vanishing 3", "alike 4", "lost", "by heart"]  # though the images get better


def with_class(name: str, share: float = 0.1, real_images: int = 500, variety: float = 0.9) -> Observation:
    """Return an observation in which one class is different."""
    return observation(changed=[class_view(name, share=share, real_images=real_images, variety=variety)])


def with_pairs(named: float, ratio: float = 2.0) -> Observation:
    """Return an observation in which the real image is named in this share of all pairs."""
    return observation(ratio, named_training=named, named_held_out=named)


def with_misjudged(share: float, real_images: int = 1_000, ratio: float = 2.0, real: float = 0.01) -> Observation:
    """Return an observation in which this share of the ones is misjudged, and `real` of real ones: a deviation of 0.3 points."""
    return observation(ratio, [class_view("1", real_images=real_images, misjudged=share, real_misjudged=real)])


def with_topology(distance: float, ratio: float = 2.0, excess: float = 0.125, names: Sequence[str] = DIGITS) -> Observation:
    """Return an observation whose parts and holes differ, most in the last class; those of real images by 0."""
    return observation(ratio, names=names, topology=Topology(distance, 0.0, names[-1], 2 * distance, excess))


MISSING = MISSING_SHARE * 0.1


@pytest.mark.parametrize(
    ("sign", "without", "with_sign", "before"),
    [
        ("missing 3", with_class("3", MISSING), with_class("3", nextafter(MISSING, 0)), past_young(changed=[class_view("3", 0)])),
        ("vanishing 3", with_class("3", 0, LEAST_REAL_IMAGES - 1), with_class("3", 0, LEAST_REAL_IMAGES), past_young()),
        (
            "alike 4",
            with_class("4", variety=LEAST_VARIETY),
            with_class("4", variety=nextafter(LEAST_VARIETY, 0)),
            past_young(),
        ),
        ("won", with_pairs(nextafter(ALL_PAIRS, 0)), with_pairs(ALL_PAIRS), past_young()),
        ("won", with_pairs(1, BETTER_FACTOR * 2), with_pairs(1, nextafter(BETTER_FACTOR * 2, inf)), past_young(2.0)),
        ("badly formed 1", with_misjudged(0.0433), with_misjudged(0.0434), past_young()),
        (
            "badly formed 1",
            with_misjudged(0.169, LEAST_REAL_IMAGES, real=0.0),
            with_misjudged(0.171, LEAST_REAL_IMAGES, real=0.0),
            past_young(),
        ),
        ("badly formed 1", with_misjudged(0.1, LEAST_REAL_IMAGES - 1), with_misjudged(0.1), past_young()),
        ("badly formed 1", with_misjudged(0.1, ratio=1.0), with_misjudged(0.1), past_young()),
        ("torn", with_topology(TOPOLOGY_MARGIN), with_topology(nextafter(TOPOLOGY_MARGIN, 1)), past_young()),
        ("torn", with_topology(1, ratio=1.0), with_topology(1), past_young()),
        ("lost", with_pairs(NO_PAIRS, nextafter(ROUGH_RATIO, 0)), with_pairs(NO_PAIRS, ROUGH_RATIO), past_young(ROUGH_RATIO)),
        ("lost", with_pairs(nextafter(NO_PAIRS, 1), ROUGH_RATIO), with_pairs(NO_PAIRS, ROUGH_RATIO), past_young(ROUGH_RATIO)),
        # From 0, because other differences are not exact.
        (
            "by heart",
            observation(named_training=nextafter(MEMORIZED_GAP, 0), named_held_out=0.0),
            observation(named_training=MEMORIZED_GAP, named_held_out=0.0),
            past_young(),
        ),
        ("by heart", observation(named_training=0.6, named_held_out=0.9), observation(named_training=0.9), past_young()),
        ("worse", observation(WORSE_FACTOR * 2), observation(nextafter(WORSE_FACTOR * 2, inf)), past_young(2.0)),
    ],
    ids=[
        "missing",
        "few real images",
        "alike",
        "won",
        "no better",
        "badly formed",
        "three of 20",
        "few real ones",
        "better",
        "torn",
        "torn but better",
        "rough",
        "lost",
        "memorized",
        "the other way",
        "worse",
    ],
)
def test_a_sign_appears_beyond_its_limit_only(
    sign: str, without: Observation, with_sign: Observation, before: list[Line]
) -> None:
    assert keys(without, before) == []
    assert keys(with_sign, before) == [sign]


ALIKE = "are too much alike: two of them are 25% as far apart as real ones"
MEMORIZED = "the discriminator has memorized its training images: it finds the real image in"


@pytest.mark.parametrize(
    ("seen", "before", "message", "advice"),
    [
        (
            with_class("3", 0.004),
            past_young(),
            "digit 3 is vanishing: it has 0.4% of the generated images, but 10.0% of the real ones",
            "--batch-size",
        ),
        (
            observation(changed=[class_view("shoe", variety=0.25)], names=["shoe", "bag"]),
            past_young(),
            f"the images of class 'shoe' {ALIKE}",
            "--seed",
        ),
        (observation(changed=[class_view("all", variety=0.25)], names=["all"]), past_young(), f"the images {ALIKE}", "--seed"),
        (
            observation(named_training=1.0, named_held_out=0.999),
            past_young(),
            "the discriminator has won: it finds the real image in 99.9% of pairs, and the images get no better",
            "a lower --lr",
        ),
        (
            observation(90.0, named_training=0.5, named_held_out=0.512),
            past_young(90.0),
            "the discriminator has lost: it finds the real image in 51.2% of pairs, though the images are rough",
            "another --lr",
        ),
        (
            observation(named_training=0.987, named_held_out=0.7),
            past_young(),
            f"{MEMORIZED} 98.7% of pairs with those, but in 70.0% with images that it never saw",
            "more images",
        ),
        (
            with_misjudged(0.047),
            past_young(),
            "digit 1 is often badly formed: a judge takes 4.7% of its images for another class, 1.0% of real ones",
            "a lower --lr",
        ),
        (
            with_topology(0.06),
            past_young(),
            "ink breaks apart or holes fill up: 12.0% of the images of digit 9 have other numbers of parts and holes than real "
            "ones, on average 0.12 more parts or fewer holes",
            "a lower --lr",
        ),
        (
            with_topology(0.06, excess=-0.5, names=["all"]),
            past_young(),
            "parts of the ink run together or have too many holes: 12.0% of the images have other numbers of parts and holes "
            "than real ones, on average 0.50 more holes or fewer parts",
            "a lower --lr",
        ),
        # The first two lines are lost.
        (
            observation(7.777),
            history(0.1, 0.1, 9.0, 3.0, 1.25, 2.0, 5.0)[2:],
            "the images get worse: Frechet ratio 7.78, after 1.25 in epoch 5",
            "Ctrl-C",
        ),
    ],
    ids=["vanishing", "alike", "alike without classes", "won", "lost", "memorized", "badly formed", "torn", "filled", "worse"],
)
def test_a_sign_has_its_figures_and_advice(seen: Observation, before: list[Line], message: str, advice: str) -> None:
    (sign,) = signs_of(seen, before, CLASSIC)
    assert sign.message == message
    assert advice in sign.advice


def test_a_share_is_measured_by_that_of_real_images() -> None:
    rare, common = class_view("1", share=0.02, real_share=0.02), class_view("2", share=0.02, real_share=0.5)
    before = past_young(changed=(replace(rare, share=0.0), replace(common, share=0.0)))
    assert keys(observation(changed=(rare, common)), before) == ["missing 2"]


def test_a_class_that_was_there_and_is_gone_is_vanishing() -> None:
    gone = observation(changed=(class_view("3", share=0.0),))
    once = [*history(2.0), *past_young(changed=(class_view("3", share=0.0),))]
    assert keys(gone, once) == ["vanishing 3"]
    assert keys(gone, once[1:]) == ["missing 3"]


def test_a_class_was_there_at_its_limit_and_not_below() -> None:
    gone = observation(changed=(class_view("3", share=0.0),))
    assert keys(gone, past_young(changed=(class_view("3", share=PRESENT_SHARE * 0.1),))) == ["vanishing 3"]
    assert keys(gone, past_young(changed=(class_view("3", share=PRESENT_SHARE * 0.1 - 0.001),))) == ["missing 3"]


def test_a_run_of_few_steps_is_advised_to_take_more() -> None:
    for seen in (with_class("3", 0.004), observation(changed=[class_view("3", variety=0.25)])):
        (sign,) = signs_of(seen, past_young(), replace(CLASSIC, is_conditional=True, has_few_steps=True))
        assert sign.advice == "more --epochs or a smaller --batch-size"


def test_a_missing_class_is_not_alike_too() -> None:
    assert keys(observation(changed=(class_view("4", share=0.019, variety=0.0),)), past_young()) == ["vanishing 4"]


def test_better_means_better_than_all_epochs_before() -> None:
    before = [*history(1.0), *past_young(4.0)]
    assert keys(observation(1.5, named_training=1.0, named_held_out=1.0), before) == ["won"]


@pytest.mark.parametrize("epochs", range(YOUNG_EPOCHS))
def test_a_young_epoch_that_gets_better_has_no_sign(epochs: int) -> None:
    ratios = [200.0 - 20 * epoch for epoch in range(epochs)]
    assert keys(ALL_WRONG, history(*ratios)) == []


@pytest.mark.parametrize("epochs", range(PROGRESS_EPOCHS, YOUNG_EPOCHS))
def test_a_young_epoch_that_gets_no_better_has_signs(epochs: int) -> None:
    assert keys(ALL_WRONG, history(*[105.0] * epochs)) == ["vanishing 3", "alike 4", "lost", "by heart"]


def test_a_run_that_gets_a_little_better_with_each_epoch_does_not_stand_still() -> None:
    ratios = [100.0 * 0.95**epoch for epoch in range(12)]
    for epochs in range(1, 12):
        seen = observation(ratios[epochs], named_training=1.0, named_held_out=1.0)
        assert keys(seen, history(*ratios[:epochs])) == []


def test_a_run_that_was_better_three_epochs_ago_stands_still() -> None:
    won = observation(8.0, named_training=1.0, named_held_out=1.0)
    assert keys(won, history(10.0, 10.0, 8.0, 8.0)) == []
    assert keys(won, history(10.0, 8.0, 8.0, 8.0)) == ["won"]


def test_what_a_run_has_already_is_not_advised() -> None:
    conditional, held = replace(CLASSIC, is_conditional=True), replace(CLASSIC, has_penalty=True)
    missing, won = observation(changed=[class_view("3", share=0.0)]), observation(named_training=1.0, named_held_out=1.0)
    advice = [signs_of(missing, past_young(), remedies)[0].advice for remedies in (CLASSIC, conditional)]
    assert ["the class that is asked for" in words for words in advice] == [True, False]
    advice = [signs_of(won, past_young(), remedies)[0].advice for remedies in (CLASSIC, held)]
    assert ["pocket or nano" in words for words in advice] == [True, False]
    assert "gradient_penalty" in advice[1]


def test_lines_of_versions_that_saw_no_classes_leave_them_unknown() -> None:
    bare: list[Line] = [{"epoch": epoch, "frechet_ratio": 2.0} for epoch in range(1, YOUNG_EPOCHS + 1)]
    assert keys(observation(), bare) == []
    assert keys(ALL_WRONG, bare) == ["missing 3", "alike 4", "lost", "by heart", "worse"]


@pytest.mark.parametrize("line", [{}, {"frechet_ratio": None, "class_shares": None, "signs": None}, {"class_shares": {}}])
def test_lines_without_any_figure_count_as_epochs(line: Line) -> None:
    assert keys(ALL_WRONG, [line] * (YOUNG_EPOCHS - 1)) == []
    assert keys(ALL_WRONG, [line] * YOUNG_EPOCHS) == ["missing 3", "alike 4", "lost", "by heart"]
    assert standing_signs([line, line]) == {}


@pytest.mark.parametrize(
    ("lines", "standing"),
    [
        (lines_with(), set()),
        (lines_with(["won"]), set()),
        (lines_with([], ["won"]), set()),
        (lines_with(["won"], ["won"]), {"won"}),
        (lines_with(["won"], [], ["won"]), set()),
        (lines_with(["won"], ["won"], []), set()),
        (lines_with(["missing 1", "won"], ["won", "missing 2"]), {"won"}),
        (lines_with(["missing 1"], ["vanishing 1"]), set()),
    ],
)
def test_a_sign_stands_once_it_was_there_in_two_epochs_running(lines: list[Line], standing: set[str]) -> None:
    assert standing_signs(lines) == dict.fromkeys(standing, "message")


def test_a_vanished_class_stands_from_its_second_epoch_on() -> None:
    lines: list[dict[str, object]] = []
    stood = []
    for epoch in range(1, 10):
        share = 0.1 if epoch < 6 else 0.0
        seen = observation(changed=(class_view("8", share=share),))
        lines.append(line_of(epoch, seen, signs_of(seen, lines, CLASSIC)))
        stood.append(set(standing_signs(lines)))
    assert stood == [set()] * 6 + [{"vanishing 8"}] * 3


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ([class_view(name, share=0.0) for name in "147"], "digit 1, digit 4, digit 7 are vanishing"),
        ([class_view(name, variety=0.0) for name in "01"], "digit 0, digit 1 have images that are too much alike"),
    ],
    ids=["vanishing", "alike"],
)
def test_signs_of_one_kind_become_one_that_names_all_classes(changed: list[ClassView], message: str) -> None:
    signs = signs_of(observation(changed=changed), past_young(), CLASSIC)
    (sign,) = merged(signs)
    assert (sign.message, sign.advice) == (message, signs[0].advice)


def test_signs_of_different_kinds_stay_apart_and_in_order() -> None:
    missing = [Sign("missing", name, f"{name} is missing", "patience") for name in "ab"]
    assert [sign.kind for sign in merged([missing[0], GREY, missing[1]])] == ["missing", "grey"]
    assert GREY in merged([missing[0], GREY, missing[1]])
    assert merged([]) == []


@pytest.mark.parametrize(("name", "title"), [("7", "digit 7"), ("10", "class '10'"), ("x", "class 'x'"), ("", "class ''")])
def test_digits_are_named_digits_and_others_classes(name: str, title: str) -> None:
    assert class_title(name) == title


def test_a_sign_is_known_by_its_kind_and_its_class() -> None:
    assert GREY.key == "grey"
    assert Sign("missing", "shoe", "", "").key == "missing shoe"
