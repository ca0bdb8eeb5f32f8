"""The watch: real digits look real beside the validation digits, and each fault of images shows."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from observations import DIGITS
from PIL import Image, ImageFilter

from pocketgan_trainer.data.published import Digits, load_mnist
from pocketgan_trainer.data.split import TrainingSplit, rows_of_classes
from pocketgan_trainer.evaluate.frechet_ratio import frechet_ratio
from pocketgan_trainer.evaluate.judge import Judge, load_judge
from pocketgan_trainer.evaluate.own_judge import PixelJudge
from pocketgan_trainer.evaluate.spaces import fit_pixel_space
from pocketgan_trainer.evaluate.texture import FEWEST_FOR_TEXTURE
from pocketgan_trainer.watch.observation import ClassView, Observation
from pocketgan_trainer.watch.validation_watch import (
    LEAST_FOR_VARIETY,
    PAIRS,
    DiscriminatorLogits,
    ValidationWatch,
    watch_validation,
)

TRAINING, VALIDATION, FEW = 3_000, 1_200, 300


@pytest.fixture(scope="module")
def thirds() -> list[Digits]:
    """Training, validation and other digits, which share none; shuffled, since MNIST's writers come one after another."""
    mnist = load_mnist()
    rows = np.random.default_rng(0).permutation(len(mnist))[: 2 * TRAINING + VALIDATION]
    return [Digits(mnist.images[part], mnist.labels[part]) for part in np.split(rows, [TRAINING, TRAINING + VALIDATION])]


@pytest.fixture(scope="module")
def split(thirds: list[Digits]) -> TrainingSplit:
    """The training and the validation digits."""
    return TrainingSplit(thirds[0], thirds[1])


@pytest.fixture(scope="module")
def judge() -> Judge:
    """The first judge."""
    return load_judge("first")


@pytest.fixture(scope="module")
def watch(judge: Judge, split: TrainingSplit) -> ValidationWatch:
    """The watch beside the validation digits."""
    return watch_validation(judge, split, DIGITS, is_conditional=True)


@pytest.fixture(scope="module")
def drawn(watch: ValidationWatch, thirds: list[Digits]) -> NDArray[np.uint8]:
    """Digits of the classes to draw, as a perfect generator would draw them: real ones of neither part."""
    images, labels = thirds[2].images, thirds[2].labels
    return images[rows_of_classes(labels, watch.labels, np.random.default_rng(1))]


@pytest.fixture(scope="module")
def healthy(watch: ValidationWatch, drawn: NDArray[np.uint8]) -> Observation:
    """The observation of them, and of a discriminator with equal logits."""
    return watch.observe(drawn, no_opinion)


@pytest.fixture(scope="module")
def without_threes(watch: ValidationWatch, judge: Judge, drawn: NDArray[np.uint8]) -> Observation:
    """The observation of them if there is a 1 in place of each 3."""
    return watch.observe(without(judge, drawn, gone=3, instead=1), no_opinion)


@pytest.fixture(scope="module")
def small_split(thirds: list[Digits]) -> TrainingSplit:
    """A split of a few of the training and the validation digits."""
    training, validation = thirds[0], thirds[1]
    return TrainingSplit(
        Digits(training.images[:900], training.labels[:900]), Digits(validation.images[:FEW], validation.labels[:FEW])
    )


def no_opinion(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Find all images as real as one another."""
    return np.zeros(len(images), np.float32)


def recognizes(*known: Digits) -> DiscriminatorLogits:
    """Return the logits of a discriminator that finds exactly these images real."""
    memorized = {image.tobytes() for digits in known for image in digits.images}

    def logits(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.array([3.0 if image.tobytes() in memorized else -1.0 for image in images], np.float32)

    return logits


def view_of(seen: Observation, name: str) -> ClassView:
    """Return the observation of one class."""
    (view,) = (view for view in seen.classes if view.name == name)
    return view


def without(judge: Judge, images: NDArray[np.uint8], gone: int, instead: int) -> NDArray[np.uint8]:
    """Return the images, those that the judge takes for one class replaced by one that it takes for another."""
    taken_for = judge.assess(images).probabilities.argmax(axis=1)
    changed = images.copy()
    changed[taken_for == gone] = images[taken_for == instead][0]
    return changed


def test_real_digits_look_real(healthy: Observation, split: TrainingSplit) -> None:
    assert [view.name for view in healthy.classes] == list(DIGITS)
    assert [view.real_share for view in healthy.classes] == pytest.approx(np.bincount(split.validation.labels) / VALIDATION)
    for view in healthy.classes:
        assert view.share == pytest.approx(view.real_share, abs=0.005)
        assert view.coverage == pytest.approx(0.97, abs=0.08)
        assert view.variety == pytest.approx(1, abs=0.2)
    assert np.mean([view.coverage or 0 for view in healthy.classes]) == pytest.approx(0.97, abs=0.03)
    assert np.mean([view.variety for view in healthy.classes]) == pytest.approx(1, abs=0.05)
    assert healthy.frechet_ratio == pytest.approx(1, abs=0.5)


def test_the_ratio_is_the_frechet_ratio(judge: Judge, small_split: TrainingSplit, drawn: NDArray[np.uint8]) -> None:
    seen = watch_validation(judge, small_split, DIGITS, is_conditional=True).observe(drawn[:FEW], no_opinion)
    assert seen.frechet_ratio == frechet_ratio(judge, small_split).of(drawn[:FEW])


def test_texture_gives_changed_images_away_and_raises_the_score(
    watch: ValidationWatch, drawn: NDArray[np.uint8], healthy: Observation
) -> None:
    assert healthy.texture is not None
    assert healthy.texture.told_apart == pytest.approx(healthy.texture.real_told_apart, abs=0.05)
    assert healthy.score < 0.2 * healthy.frechet_ratio
    changed = np.where((drawn > 0) & (drawn < 12), 0, drawn).astype(np.uint8)
    seen = watch.observe(changed, no_opinion)
    assert seen.texture is not None
    assert seen.texture.told_apart > 0.8
    assert seen.texture.largest_difference.startswith("black next to levels 1 to 11, 0.0 times per image, ")
    assert seen.score == seen.frechet_ratio * (2 * seen.texture.told_apart - 1)


def test_digits_whose_loops_are_filled_raise_the_score(
    watch: ValidationWatch, judge: Judge, split: TrainingSplit, drawn: NDArray[np.uint8], healthy: Observation
) -> None:
    assert healthy.topology is not None
    assert healthy.topology.distance == pytest.approx(healthy.topology.real_distance, abs=0.03)
    eights = drawn.copy()
    for row in np.flatnonzero(watch.labels == 8):
        eights[row] = np.asarray(Image.fromarray(drawn[row]).filter(ImageFilter.MaxFilter(5)))
    for is_conditional in (True, False):
        seen = watch_validation(judge, split, DIGITS, is_conditional).observe(eights, no_opinion)
        assert seen.topology is not None
        assert seen.topology.worst_class == "8"
        assert seen.topology.worst_distance > 0.5
        assert seen.topology.excess > 0.5
        assert seen.topology.distance > healthy.topology.distance + 0.03
        assert seen.score > 1.5 * healthy.score


def test_too_few_validation_images_say_nothing_of_texture(
    judge: Judge, small_split: TrainingSplit, drawn: NDArray[np.uint8]
) -> None:
    validation, few = small_split.validation, slice(FEWEST_FOR_TEXTURE - 1)
    few_digits = Digits(validation.images[few], validation.labels[few])
    watch = watch_validation(judge, replace(small_split, validation=few_digits), DIGITS, is_conditional=True)
    seen = watch.observe(drawn[few], no_opinion)
    assert (seen.texture, seen.topology) == (None, None)
    assert seen.score == seen.frechet_ratio


def test_a_missing_class_has_no_share_and_no_coverage_and_its_variety_is_unknown(
    without_threes: Observation, healthy: Observation
) -> None:
    assert view_of(without_threes, "3") == replace(view_of(healthy, "3"), share=0, coverage=0, variety=None, misjudged=1)
    assert view_of(without_threes, "1").share == pytest.approx(view_of(healthy, "1").share + view_of(healthy, "3").share)
    assert without_threes.frechet_ratio > 2 * healthy.frechet_ratio


def test_images_judged_as_another_class_than_the_one_asked_for_raise_the_score(
    without_threes: Observation, healthy: Observation, judge: Judge, split: TrainingSplit, drawn: NDArray[np.uint8]
) -> None:
    assert healthy.misjudged is not None
    assert healthy.misjudged <= healthy.misjudged_limit < 0.02
    # The few threes that were judged as something else were not replaced, and still are.
    assert view_of(without_threes, "3").misjudged == 1
    threes = view_of(healthy, "3").real_share
    assert without_threes.misjudged == pytest.approx(healthy.misjudged + threes, abs=0.005)
    assert without_threes.score > 10 * healthy.score
    unasked = watch_validation(judge, split, DIGITS, is_conditional=False).observe(drawn, no_opinion)
    assert unasked.misjudged is None
    assert unasked.score == pytest.approx(healthy.score)


def test_a_fault_of_one_class_changes_nothing_in_others(without_threes: Observation, healthy: Observation) -> None:
    for name in set(DIGITS) - {"1", "3"}:
        view, before = view_of(without_threes, name), view_of(healthy, name)
        assert (view.share, view.coverage, view.misjudged) == (before.share, before.coverage, before.misjudged)
        assert view.variety == pytest.approx(before.variety)


def test_a_class_of_one_image_has_no_variety_and_hardly_any_coverage(
    watch: ValidationWatch, judge: Judge, drawn: NDArray[np.uint8], healthy: Observation
) -> None:
    four = view_of(watch.observe(without(judge, drawn, gone=4, instead=4), no_opinion), "4")
    assert four.share == view_of(healthy, "4").share
    assert four.variety == pytest.approx(0, abs=1e-3)
    assert four.coverage is not None
    assert four.coverage < 0.2


def test_a_few_images_repeated_cover_little_though_they_differ(watch: ValidationWatch, drawn: NDArray[np.uint8]) -> None:
    sevens = watch.labels == 7
    repeated = drawn.copy()
    repeated[sevens] = np.resize(drawn[sevens][:8], (int(sevens.sum()), 28, 28))
    seven = view_of(watch.observe(repeated, no_opinion), "7")
    assert seven.coverage is not None
    assert seven.coverage < 0.5
    assert seven.variety is not None
    assert seven.variety > 0.5


@pytest.mark.parametrize(
    ("kept", "covers", "varies"),
    [
        (0, False, False),
        (5, False, False),
        (6, True, False),
        (LEAST_FOR_VARIETY - 1, True, False),
        (LEAST_FOR_VARIETY, True, True),
    ],
)
def test_coverage_and_variety_are_unknown_for_a_class_of_few_validation_images(
    judge: Judge, small_split: TrainingSplit, kept: int, covers: bool, varies: bool
) -> None:
    images, labels = small_split.validation.images, small_split.validation.labels
    nines = np.flatnonzero(labels == 9)
    rows = np.setdiff1d(np.arange(len(labels)), nines[kept:])
    few = replace(small_split, validation=Digits(images[rows], labels[rows]))
    nine = view_of(watch_validation(judge, few, DIGITS, is_conditional=True).observe(images[rows], no_opinion), "9")
    assert nine.real_share == kept / len(rows)
    assert nine.real_images == kept
    assert (nine.coverage is not None, nine.variety is not None) == (covers, varies)


@pytest.mark.parametrize(("classes", "name"), [((), "all"), (("shoe",), "shoe")])
def test_images_without_classes_are_one_class(split: TrainingSplit, classes: tuple[str, ...], name: str) -> None:
    training, validation = split.training.images, split.validation.images
    unlabelled = TrainingSplit(
        Digits(training, np.zeros(len(training), np.int64)), Digits(validation, np.zeros(len(validation), np.int64))
    )
    watch = watch_validation(PixelJudge(fit_pixel_space(training, 16)), unlabelled, classes, is_conditional=True)
    assert watch.labels.tolist() == [0] * len(validation)
    seen = watch.observe(training[: len(validation)], recognizes(unlabelled.validation))
    (view,) = seen.classes
    assert (view.name, view.share, view.real_share, view.misjudged) == (name, 1, 1, None)
    assert view.coverage == pytest.approx(0.97, abs=0.02)
    assert view.variety == pytest.approx(1, abs=0.05)
    assert (seen.pairs.named_training, seen.pairs.named_held_out) == (0.5, 1)
    assert seen.topology is not None
    assert seen.topology.worst_class == name
    assert seen.topology.worst_distance == pytest.approx(seen.topology.distance)
    (alike,) = watch.observe(np.broadcast_to(training[0], validation.shape).copy(), no_opinion).classes
    assert alike.variety == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(
    ("known", "named", "lead"),
    [
        ((), (0.5, 0.5), (0, 0)),
        ((0, 1), (1, 1), (4, 4)),
        ((2,), (0, 0), (-4, -4)),
        ((0,), (1, 0.5), (4, 0)),
    ],
    ids=["nothing", "all real images", "generated images", "training images"],
)
def test_pairs_show_what_the_discriminator_finds_real(
    watch: ValidationWatch,
    thirds: list[Digits],
    drawn: NDArray[np.uint8],
    known: tuple[int, ...],
    named: tuple[float, float],
    lead: tuple[float, float],
) -> None:
    pairs = watch.observe(drawn, recognizes(*(thirds[part] for part in known))).pairs
    assert (pairs.named_training, pairs.named_held_out) == named
    assert (pairs.lead_training, pairs.lead_held_out) == lead


def test_pairs_are_of_one_class_which_the_discriminator_gets(
    watch: ValidationWatch, split: TrainingSplit, thirds: list[Digits], drawn: NDArray[np.uint8]
) -> None:
    shown: list[tuple[NDArray[np.uint8], NDArray[np.int64]]] = []

    def logits(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> NDArray[np.float32]:
        shown.append((images, labels))
        return no_opinion(images, labels)

    watch.observe(drawn, logits)
    label_of = {image.tobytes(): int(label) for part in thirds for image, label in zip(part.images, part.labels, strict=True)}
    for images, labels in shown:
        assert len(images) == PAIRS < VALIDATION
        assert len({image.tobytes() for image in images}) == PAIRS
        assert [label_of[image.tobytes()] for image in images] == labels.tolist()
    wholes = [split.training, split.validation, Digits(drawn, watch.labels)]
    known = [{image.tobytes() for image in whole.images} for whole in wholes]
    sources = [{image.tobytes() for image in images} for images, _ in shown]
    # Each part was shown once, and nothing else.
    assert sorted([source <= part for part in known].index(True) for source in sources) == [0, 1, 2]
