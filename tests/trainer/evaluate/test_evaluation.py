"""A whole evaluation: figures of real and of damaged digits, and which figures there are without classes."""

import json
import re

import numpy as np
import pytest
from numpy.typing import NDArray
from quick_evaluation import (
    COUNT,
    GENERATED_ACCURACY,
    OPTIONS,
    REAL_ACCURACY,
    REAL_SAMPLES,
    REAL_TWO_SAMPLE_ACCURACY,
    TWO_SAMPLE_ACCURACY,
    coarse_spaces,
    few_digits,
    quick_evaluation,
    quick_measurements,
    three_sources,
)

from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.errors import DataError
from pocketgan_trainer.evaluate import evaluation as evaluations
from pocketgan_trainer.evaluate.copying import measure_held_out, memorization
from pocketgan_trainer.evaluate.distances import frechet_distance
from pocketgan_trainer.evaluate.evaluation import (
    TWO_SAMPLE_TESTS,
    Evaluation,
    EvaluationOptions,
    SourceScores,
    evaluate,
    total_work,
)
from pocketgan_trainer.evaluate.figures import FIGURES, number
from pocketgan_trainer.evaluate.image_set import choose_digits
from pocketgan_trainer.evaluate.sources import FixedSource
from pocketgan_trainer.evaluate.table import evaluation_json, table_rows
from pocketgan_trainer.evaluate.two_samples import BUDGETS, DETECTORS, Detector


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """Of other real digits, of the same blurred, and of a model without classes."""
    return quick_evaluation()


def mean(scores: SourceScores, key: str) -> float:
    """Return the mean of a figure over the seeds."""
    return float(np.mean([number(of_seed, key) for of_seed in scores.seeds]))


def test_other_real_digits_score_what_real_digits_score_and_blurred_ones_far_worse(evaluation: Evaluation) -> None:
    other, blurred, _ = evaluation.sources
    frechet = "against_test.frechet.first_judge"
    assert mean(other, frechet) / mean(evaluation.real, frechet) == pytest.approx(1, abs=0.3)
    assert mean(blurred, frechet) / mean(evaluation.real, frechet) > 3
    for key in (
        "training_frechet.pixels",
        "training_frechet.second_judge",
        "against_test.kernel_distance",
        "against_test.nearest_neighbour_accuracy_pixels",
        "against_test.nearest_neighbour_accuracy",
    ):
        real, same, worse = (number(scores.seeds[0], key) for scores in (evaluation.real, other, blurred))
        assert worse > real
        assert worse - real > 5 * abs(same - real)


def test_every_seed_draws_other_images(evaluation: Evaluation) -> None:
    for scores in (evaluation.real, *evaluation.sources):
        first, second = scores.seeds
        assert first["against_test.frechet.pixels"] != second["against_test.frechet.pixels"]


def test_the_test_digits_lie_as_far_from_the_training_digits_whatever_the_seed(evaluation: Evaluation) -> None:
    first, second = evaluation.real.seeds
    for key in ("training_frechet.first_judge", "classes.histogram", "classes.accuracy", "memorization.copying_score"):
        assert first[key] == second[key]


def test_the_floor_is_that_of_as_many_training_digits_of_the_same_classes(evaluation: Evaluation) -> None:
    training, test = few_digits()
    compared, split = choose_digits(test, COUNT), Digits(training.images[:-5_000], training.labels[:-5_000])
    sample = FixedSource("", split.images, split.labels.astype(np.int64)).draw(compared.labels.astype(np.int64), 1)
    judge = coarse_spaces(split.images).first_judge
    expected = frechet_distance(judge.assess(sample).features, judge.assess(compared.images).features)
    assert len(evaluation.real.seeds) == REAL_SAMPLES
    assert evaluation.real.seeds[1]["against_test.frechet.first_judge"] == pytest.approx(expected, rel=1e-9)


def test_fewer_test_digits_are_always_the_same_ones_in_their_order() -> None:
    _, test = few_digits()
    some = choose_digits(test, 300)
    rows_of = {image.tobytes(): row for row, image in enumerate(test.images)}
    rows = [rows_of[image.tobytes()] for image in some.images]
    assert rows == sorted(set(rows))
    assert len(rows) == 300
    np.testing.assert_array_equal(some.labels, test.labels[rows])
    np.testing.assert_array_equal(choose_digits(test, 300).images, some.images)
    assert choose_digits(test, len(test)) is test


def test_without_classes_there_are_no_figures_of_what_was_asked_for(evaluation: Evaluation) -> None:
    other, _, mlp = evaluation.sources
    for key in ("classes.accuracy", "classes.accuracy_of_class", "classes.confusion"):
        assert mlp.seeds[0][key] is None
        assert other.seeds[0][key] is not None
    histogram = mlp.seeds[0]["classes.histogram"]
    assert isinstance(histogram, tuple)
    assert sum(histogram) == COUNT
    curves = [
        f"{detector}{budget}" for detector in ("told_apart", "told_apart_second") for budget in ("_5000", "_10000", "_20000", "")
    ]
    assert list(mlp.trained) == curves
    assert list(other.trained) == [*curves, "classifier_accuracy"]


def test_networks_are_trained_once_for_each_seed_and_only_if_asked(evaluation: Evaluation) -> None:
    two_sample = (TWO_SAMPLE_ACCURACY, TWO_SAMPLE_ACCURACY + 0.01)
    assert evaluation.real.trained["told_apart"] == (REAL_TWO_SAMPLE_ACCURACY, REAL_TWO_SAMPLE_ACCURACY + 0.01)
    assert [source.trained["told_apart"] for source in evaluation.sources] == [two_sample] * 3
    assert evaluation.real.trained["classifier_accuracy"] == (REAL_ACCURACY, REAL_ACCURACY + 0.01)
    assert evaluation.sources[0].trained["classifier_accuracy"] == (GENERATED_ACCURACY, GENERATED_ACCURACY + 0.01)

    training, test = few_digits()
    with quick_measurements():
        options = EvaluationOptions(COUNT, 1, False, False, 1)
        plain = evaluate(three_sources()[:1], options, training, test, lambda words, work: None)
    assert plain.real.trained == plain.sources[0].trained == {}
    (figures,) = plain.sources[0].seeds
    before = evaluation.sources[0].seeds[0]
    np.testing.assert_equal(figures, before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            EvaluationOptions(COUNT, 1, False, False, 1),
            r"few\.npz holds 300 images, 1,000 are needed .* about 300; make more, or use a smaller --count",
        ),
        (
            EvaluationOptions(200, 1, True, False, 1),
            r"few\.npz holds 300 images, 900 are needed .* about 300; make more, or leave out --told-apart",
        ),
    ],
)
def test_too_few_images_are_found_before_anything_is_measured(options: EvaluationOptions, message: str) -> None:
    training, test = few_digits()
    said: list[str] = []

    def log(words: str, work: int) -> None:
        said.append(words)

    with quick_measurements(), pytest.raises(DataError, match=message):
        evaluate([FixedSource("few.npz", training.images[:300], None)], options, training, test, log)
    assert said == []


@pytest.mark.parametrize(("count", "has_texture"), [(100, False), (300, True)])
def test_a_quick_evaluation_leaves_out_what_needs_many_images(count: int, has_texture: bool) -> None:
    training, test = few_digits()
    options = EvaluationOptions(count, 1, False, False, 1, quick=True)
    with quick_measurements():
        evaluation = evaluate(three_sources()[:1], options, training, test, lambda words, work: None)
    (figures,) = evaluation.sources[0].seeds
    left_out = {row.key for row in FIGURES} - figures.keys()
    assert all(
        key.startswith(("against_test.frechet", "training_frechet", "memorization", "against_test.told")) for key in left_out
    )
    assert ("against_test.told_apart_by_texture" in figures) is has_texture
    assert {"classes.accuracy", "against_test.nearest_neighbour_accuracy"} <= figures.keys()
    rows = table_rows(evaluation, by_class=False)
    assert len(rows) > 20
    assert json.loads(evaluation_json(evaluation, rows))["sources"][0]["verdict"]


def test_too_few_images_of_a_class_for_a_classifier_are_found_too() -> None:
    training, test = few_digits()
    source = FixedSource("few.npz", training.images[:1_100], training.labels[:1_100].astype(np.int64))
    with (
        quick_measurements(),
        pytest.raises(DataError, match=r"holds \d+ images of the digit \d, 120 .*; make more, or leave out --cas"),
    ):
        evaluate([source], EvaluationOptions(200, 1, False, True, 1), training, test, lambda words, work: None)


def test_the_two_sample_test_compares_as_many_images_of_the_same_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    training, test = few_digits()
    asked: list[tuple[NDArray[np.uint8], NDArray[np.uint8], int]] = []
    used: list[tuple[Detector, int, int]] = []

    def remember(
        first: NDArray[np.uint8], second: NDArray[np.uint8], detector: Detector, budget: int, seed: int, tested: int = 5_000
    ) -> float:
        asked.append((first, second, tested))
        used.append((detector, budget, seed))
        return 0.5

    monkeypatch.setattr(evaluations, "two_sample_test", remember)
    monkeypatch.setattr(evaluations, "TWO_SAMPLE_IMAGES", 700)
    label_of = {image.tobytes(): int(label) for image, label in zip(training.images, training.labels, strict=True)}
    shuffled = evaluations.shuffle(Digits(training.images[:2_000], training.labels[:2_000]))
    real = evaluations.RealDigits(shuffled, training, test)
    source = FixedSource("digits", training.images[2_000:], training.labels[2_000:].astype(np.int64))
    figure = TWO_SAMPLE_TESTS[0]
    labels = figure.labels(real)
    figure.measure(source.draw(labels, 3), labels, real, 3)
    figure.measure_real(real, 4)

    (drawn, beside, _), (first, second, tested) = asked
    assert len(drawn) == len(beside) == 700
    assert [label_of[image.tobytes()] for image in drawn] == [label_of[image.tobytes()] for image in beside]
    assert len(first) == len(second) == 1_000
    assert {image.tobytes() for image in first}.isdisjoint(image.tobytes() for image in second)
    assert tested == 2_500
    assert used == [(DETECTORS[0], BUDGETS[0], 3), (DETECTORS[0], BUDGETS[0], 4)]


def test_a_classifier_needs_a_source_with_classes() -> None:
    training, test = few_digits()
    with quick_measurements(), pytest.raises(DataError, match=r"none of these has classes, .* leave out --cas"):
        evaluate(three_sources()[2:], EvaluationOptions(COUNT, 1, False, True, 1), training, test, lambda words, work: None)


def test_copies_are_measured_by_the_validation_digits(evaluation: Evaluation) -> None:
    training, test = few_digits()
    assess = coarse_spaces(training.images[:-5_000]).first_judge.assess
    trained, held_out = (assess(images).features for images in (training.images[:-5_000], training.images[-5_000:]))
    of_test_digits = assess(choose_digits(test, COUNT).images).features
    with quick_measurements():
        expected = memorization(of_test_digits, measure_held_out(trained, held_out))
    found = evaluation.real.seeds[0]
    assert found["memorization.nearest_ratio_median"] == pytest.approx(expected.nearest_ratio_median)
    assert found["memorization.band_low"] == expected.band_low


def test_specimens_are_the_closest_pairs_and_the_images_least_like_the_digit_asked_for(evaluation: Evaluation) -> None:
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


def test_progress_is_logged_line_by_line_and_digits_are_shuffled_before_they_are_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    training, test = few_digits()
    said: list[str] = []
    halves: list[NDArray[np.uint8]] = []

    def remember(
        first: NDArray[np.uint8], second: NDArray[np.uint8], detector: Detector, budget: int, seed: int, tested: int = 5_000
    ) -> float:
        halves.append(first)
        return 0.75

    with quick_measurements():
        monkeypatch.setattr(evaluations, "two_sample_test", remember)
        works: list[int] = []

        def log(words: str, work: int) -> None:
            said.append(words)
            works.append(work)

        evaluate(three_sources()[:1], OPTIONS, training, test, log)
        assert sum(works) == total_work(three_sources()[:1], OPTIONS, len(training))
    assert said[:2] == [
        "measuring the features of 2,000 training digits and 1,000 test digits",
        "real digits: measuring 2 samples of 1,000 training digits",
    ]
    assert "real digits: training the first network to distinguish 600 from as many others, seed 1" in said
    assert "other|digits.npz, seed 1: measuring 1,000 images" in said
    two_sample = said.index(
        "other|digits.npz: training the second network to distinguish 5,000 images from as many real digits, seed 0"
    )
    assert said[two_sample + 1] == "  right: 75.00%"
    classified = said.index("other|digits.npz: training a classifier on 1,200 images, seed 1")
    assert said[classified + 1] == "  right: 98.00%"
    # Of a random half, about as many come from either half of the digits.
    assert 400 < len({image.tobytes() for image in halves[0]} & {image.tobytes() for image in training.images[:1_000]}) < 600
