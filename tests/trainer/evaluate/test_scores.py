"""A whole evaluation: what real digits score, what damage costs, and which figures there are without classes."""

import re

import numpy as np
import pytest
from numpy.typing import NDArray
from quick_evaluation import (
    COUNT,
    GENERATED_ACCURACY,
    PLAN,
    REAL_ACCURACY,
    REAL_SAMPLES,
    REAL_TOLD_APART,
    TOLD_APART,
    coarse_spaces,
    few_digits,
    quick_evaluation,
    quick_measurements,
    three_sources,
)

from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.errors import DataError
from pocketgan_trainer.evaluate import evaluation as evaluations
from pocketgan_trainer.evaluate.copying import look_at_held_out, memorization
from pocketgan_trainer.evaluate.distances import frechet_distance
from pocketgan_trainer.evaluate.evaluation import Evaluation, Plan, SourceScores, evaluate
from pocketgan_trainer.evaluate.figures import choose_test_digits
from pocketgan_trainer.evaluate.sources import FixedSource


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """Of other real digits, of the same blurred, and of a model without classes."""
    return quick_evaluation()


def frechet(scores: SourceScores) -> float:
    """Return the mean distance in the first judge's features."""
    return float(np.mean([images.against_test.frechet.first_judge for images in scores.images]))


def test_other_real_digits_score_what_real_digits_score_and_blurred_ones_far_worse(evaluation: Evaluation) -> None:
    other, blurred, _ = evaluation.sources
    assert frechet(other) / frechet(evaluation.real) == pytest.approx(1, abs=0.3)
    assert frechet(blurred) / frechet(evaluation.real) > 3
    for take in (
        lambda images: images.training_frechet.pixels,
        lambda images: images.training_frechet.second_judge,
        lambda images: images.against_test.kernel_distance,
        lambda images: images.against_test.nearest_neighbour_accuracy_pixels,
        lambda images: images.against_test.nearest_neighbour_accuracy,
    ):
        real, same, worse = (take(scores.images[0]) for scores in (evaluation.real, other, blurred))
        assert worse > real
        assert worse - real > 5 * abs(same - real)


def test_every_seed_draws_other_images(evaluation: Evaluation) -> None:
    for scores in (evaluation.real, *evaluation.sources):
        first, second = scores.images
        assert first.against_test.frechet != second.against_test.frechet


def test_the_test_digits_lie_as_far_from_the_training_digits_whatever_the_seed(evaluation: Evaluation) -> None:
    first, second = evaluation.real.images
    assert first.training_frechet == second.training_frechet
    assert first.classes == second.classes


def test_the_floor_is_that_of_as_many_training_digits_of_the_same_classes(evaluation: Evaluation) -> None:
    training, test = few_digits()
    compared, split = choose_test_digits(test, COUNT), Digits(training.images[:-5_000], training.labels[:-5_000])
    sample = FixedSource("", split.images, split.labels.astype(np.int64)).draw(compared.labels.astype(np.int64), 1)
    judge = coarse_spaces(split.images).first_judge
    expected = frechet_distance(judge.look(sample).features, judge.look(compared.images).features)
    assert len(evaluation.real.images) == REAL_SAMPLES
    assert evaluation.real.images[1].against_test.frechet.first_judge == pytest.approx(expected, rel=1e-9)


def test_fewer_test_digits_are_always_the_same_ones_in_their_order() -> None:
    _, test = few_digits()
    some = choose_test_digits(test, 300)
    rows_of = {image.tobytes(): row for row, image in enumerate(test.images)}
    rows = [rows_of[image.tobytes()] for image in some.images]
    assert rows == sorted(set(rows))
    assert len(rows) == 300
    np.testing.assert_array_equal(some.labels, test.labels[rows])
    np.testing.assert_array_equal(choose_test_digits(test, 300).images, some.images)
    assert choose_test_digits(test, len(test)) is test


def test_without_classes_nothing_says_whether_the_right_digit_was_drawn(evaluation: Evaluation) -> None:
    other, _, mlp = evaluation.sources
    assert mlp.images[0].classes.accuracy is None
    assert mlp.images[0].classes.accuracy_of_class is None
    assert mlp.classifier_accuracy is None
    assert sum(mlp.images[0].classes.histogram) == COUNT
    assert mlp.told_apart is not None
    assert other.images[0].classes.accuracy is not None
    assert other.classifier_accuracy is not None


def test_networks_are_trained_once_for_each_seed_and_only_if_asked(evaluation: Evaluation) -> None:
    assert evaluation.real.told_apart == (REAL_TOLD_APART, REAL_TOLD_APART + 0.01)
    assert [source.told_apart for source in evaluation.sources] == [(TOLD_APART, TOLD_APART + 0.01)] * 3
    assert evaluation.real.classifier_accuracy == (REAL_ACCURACY, REAL_ACCURACY + 0.01)
    assert evaluation.sources[0].classifier_accuracy == (GENERATED_ACCURACY, GENERATED_ACCURACY + 0.01)

    training, test = few_digits()
    with quick_measurements():
        plain = evaluate(three_sources()[:1], Plan(COUNT, 1, False, False, 1), training, test, lambda line: None)
    assert plain.real.told_apart is plain.real.classifier_accuracy is None
    assert plain.sources[0].told_apart is plain.sources[0].classifier_accuracy is None
    assert len(plain.sources[0].images) == 1
    assert plain.sources[0].images[0].against_test == evaluation.sources[0].images[0].against_test


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        (
            Plan(COUNT, 1, False, False, 1),
            r"few\.npz holds 300 images, 1,000 are needed .* about 300; make more, or use a smaller --count",
        ),
        (
            Plan(200, 1, True, False, 1),
            r"few\.npz holds 300 images, 900 are needed .* about 300; make more, or leave out --told-apart",
        ),
    ],
)
def test_too_few_images_are_found_before_anything_is_measured(plan: Plan, told: str) -> None:
    training, test = few_digits()
    said: list[str] = []
    with quick_measurements(), pytest.raises(DataError, match=told):
        evaluate([FixedSource("few.npz", training.images[:300], None)], plan, training, test, said.append)
    assert said == []


def test_too_few_images_of_a_class_for_a_classifier_are_found_too() -> None:
    training, test = few_digits()
    source = FixedSource("few.npz", training.images[:1_100], training.labels[:1_100].astype(np.int64))
    with (
        quick_measurements(),
        pytest.raises(DataError, match=r"holds \d+ images of the digit \d, 120 .*; make more, or leave out --cas"),
    ):
        evaluate([source], Plan(200, 1, False, True, 1), training, test, lambda line: None)


def test_what_is_told_apart_are_as_many_images_of_the_same_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    training, _ = few_digits()
    asked: list[tuple[NDArray[np.uint8], NDArray[np.uint8], int]] = []

    def remember(first: NDArray[np.uint8], second: NDArray[np.uint8], seed: int, tested: int = 5_000) -> float:
        asked.append((first, second, tested))
        return 0.5

    monkeypatch.setattr(evaluations, "told_apart", remember)
    monkeypatch.setattr(evaluations, "TOLD_APART_IMAGES", 700)
    label_of = {image.tobytes(): int(label) for image, label in zip(training.images, training.labels, strict=True)}
    real = evaluations.shuffled(Digits(training.images[:2_000], training.labels[:2_000]))
    source = FixedSource("digits", training.images[2_000:], training.labels[2_000:].astype(np.int64))
    evaluations.told_apart_from_real(source, real, 1, lambda line: None)
    evaluations.real_told_apart(real, 1, lambda line: None)

    (drawn, beside, _), (first, second, tested) = asked
    assert len(drawn) == len(beside) == 700
    assert [label_of[image.tobytes()] for image in drawn] == [label_of[image.tobytes()] for image in beside]
    assert len(first) == len(second) == 1_000
    assert {image.tobytes() for image in first}.isdisjoint(image.tobytes() for image in second)
    assert tested == 2_500


def test_digits_are_shuffled_before_they_are_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    training, test = few_digits()
    halves: list[NDArray[np.uint8]] = []

    def remember(first: NDArray[np.uint8], second: NDArray[np.uint8], seed: int, tested: int = 5_000) -> float:
        halves.append(first)
        return 0.5

    with quick_measurements():
        monkeypatch.setattr(evaluations, "told_apart", remember)
        evaluate(three_sources()[:1], Plan(COUNT, 1, True, False, 1), training, test, lambda line: None)
    chosen = {image.tobytes() for image in halves[0]}
    first_half = {image.tobytes() for image in training.images[:1_000]}
    # Of a random half, about as many come from either half of the digits.
    assert 400 < len(chosen & first_half) < 600


def test_a_classifier_needs_a_source_with_classes() -> None:
    training, test = few_digits()
    with quick_measurements(), pytest.raises(DataError, match=r"none of these has classes, .* leave out --cas"):
        evaluate(three_sources()[2:], Plan(COUNT, 1, False, True, 1), training, test, lambda line: None)


def test_copies_are_told_by_the_validation_digits(evaluation: Evaluation) -> None:
    training, test = few_digits()
    look = coarse_spaces(training.images[:-5_000]).first_judge.look
    trained, held_out = (look(images).features for images in (training.images[:-5_000], training.images[-5_000:]))
    of_test_digits = look(choose_test_digits(test, COUNT).images).features
    with quick_measurements():
        expected = memorization(of_test_digits, look_at_held_out(trained, held_out))
    assert evaluation.real.images[0].memorization.nearest_ratio_median == pytest.approx(expected.nearest_ratio_median)
    assert evaluation.real.images[0].memorization.band_low == expected.band_low


def test_specimens_are_the_closest_pairs_and_the_images_least_like_what_was_asked(evaluation: Evaluation) -> None:
    training, _ = few_digits()
    known = {image.tobytes() for image in training.images[:2_000]}
    for source in evaluation.sources:
        specimens = source.specimens
        assert specimens is not None
        assert specimens.closest_pairs.shape == (20, 2, 28, 28)
        assert all(pair[1].tobytes() in known for pair in specimens.closest_pairs)
        distances = [float(caption) for caption in specimens.pair_captions]
        assert distances == sorted(distances)
        percents = [float(re.sub(r".*, (\d+) %", r"\1", caption)) for caption in specimens.worst_captions]
        assert percents == sorted(percents)
        assert len(percents) == len(specimens.worst) == 40
    with_class, _, without = (source.specimens for source in evaluation.sources)
    assert with_class is not None
    assert without is not None
    assert re.fullmatch(r"\d: \d, \d+ %", with_class.worst_captions[0])
    assert re.fullmatch(r"\d, \d+ %", without.worst_captions[0])


def test_progress_is_told_line_by_line() -> None:
    training, test = few_digits()
    said: list[str] = []
    with quick_measurements():
        evaluate(three_sources()[:1], PLAN, training, test, said.append)
    assert said[:2] == [
        "looking at 2,000 training digits and 1,000 test digits",
        "real digits: measuring 2 samples of 1,000 training digits",
    ]
    assert "other|digits.npz, seed 1: measuring 1,000 images" in said
    told_apart = said.index("other|digits.npz: training a network to tell 900 images from as many real digits, seed 0")
    assert said[told_apart + 1] == "  right: 75.00%"
    classified = said.index("other|digits.npz: training a classifier on 1,200 images, seed 1")
    assert said[classified + 1] == "  right: 98.00%"
