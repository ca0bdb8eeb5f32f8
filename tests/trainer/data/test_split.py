"""Which images are held out for validation, and choosing images by class."""

import numpy as np
import pytest

from pocketgan_trainer.data.images import TrainingImages
from pocketgan_trainer.data.published import Digits, load_mnist
from pocketgan_trainer.data.split import VALIDATION_DIGITS, rows_of_classes, split_images, split_validation
from pocketgan_trainer.errors import DataError


def test_the_last_five_thousand_digits_are_held_out() -> None:
    mnist = load_mnist()
    split = split_validation(mnist)
    assert (len(split.training), len(split.validation)) == (55_000, VALIDATION_DIGITS) == (55_000, 5_000)
    np.testing.assert_array_equal(split.validation.images, mnist.images[55_000:])
    np.testing.assert_array_equal(split.validation.labels, mnist.labels[55_000:])
    np.testing.assert_array_equal(split.training.images, mnist.images[:55_000])
    np.testing.assert_array_equal(split.training.labels, mnist.labels[:55_000])


def test_a_digit_is_enough_to_train_on_and_none_is_not() -> None:
    images, labels = np.zeros((VALIDATION_DIGITS + 1, 28, 28), np.uint8), np.zeros(VALIDATION_DIGITS + 1, np.uint8)
    assert len(split_validation(Digits(images, labels)).training) == 1
    with pytest.raises(DataError, match="5000 digits cannot be split: expected more than the 5000"):
        split_validation(Digits(images[1:], labels[1:]))


def test_a_tenth_of_other_images_is_held_out_at_random_but_always_the_same() -> None:
    images = np.arange(400, dtype=np.uint16).repeat(28 * 28).astype(np.uint8).reshape(400, 28, 28)
    images[:, 0, 0] = np.arange(400) // 256
    labels = np.arange(400) // 100  # sorted by class, as files of class folders come
    mine = TrainingImages("mine", ("a", "b", "c", "d"), images, labels, notes=())
    split = split_images(mine)
    assert (len(split.training), len(split.validation)) == (360, 40)
    assert set(split.validation.labels.tolist()) == {0, 1, 2, 3}
    seen = {image.tobytes() for image in (*split.training.images, *split.validation.images)}
    assert seen == {image.tobytes() for image in images}
    np.testing.assert_array_equal(split_images(mine).validation.images, split.validation.images)


def test_classes_are_mixed_in_what_is_held_out_though_images_come_class_by_class() -> None:
    labels = np.arange(400) // 100
    images = np.random.default_rng(0).integers(0, 256, (400, 28, 28), dtype=np.uint8)
    kept = split_images(TrainingImages("mine", ("a", "b", "c", "d"), images, labels, notes=())).validation
    assert set(kept.labels[:20].tolist()) == {0, 1, 2, 3}


def test_of_mnist_the_last_digits_are_held_out() -> None:
    mnist = load_mnist()
    loaded = TrainingImages("mnist", tuple("0123456789"), mnist.images, mnist.labels.astype(np.int64), notes=())
    np.testing.assert_array_equal(split_images(loaded).validation.images, split_validation(mnist).validation.images)


def test_images_without_classes_all_get_the_label_0() -> None:
    images = np.random.default_rng(0).integers(0, 256, (200, 28, 28), dtype=np.uint8)
    split = split_images(TrainingImages("mine", (), images, None, notes=()))
    assert set(split.training.labels.tolist()) == {0}
    assert len(split.validation) == 20


@pytest.mark.parametrize("sizes", [(1, 199), (2,) * 20 + (1,) * 169, (3,) * 100, (2, 150, 148)])
def test_of_no_class_more_than_half_is_held_out(sizes: tuple[int, ...]) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 28, 28), dtype=np.uint8)
    split = split_images(TrainingImages("mine", tuple(f"c{label}" for label in range(len(sizes))), images, labels, notes=()))
    kept, rest = (np.bincount(part.labels, minlength=len(sizes)) for part in (split.validation, split.training))
    assert kept.sum() == len(labels) // 10
    assert (kept <= rest).all()
    assert (kept + rest == sizes).all()


@pytest.mark.parametrize(("pairs", "classes"), [(0, 300), (1, 299), (19, 200)])
def test_fewer_than_twenty_images_to_choose_by_are_refused(pairs: int, classes: int) -> None:
    labels = np.concatenate([np.arange(classes), np.arange(pairs)])
    images = np.zeros((len(labels), 28, 28), np.uint8)
    loaded = TrainingImages("mine", tuple(f"c{label}" for label in range(classes)), images, labels, notes=())
    with pytest.raises(
        DataError, match=rf"only {pairs} of {len(labels)} images in {classes} classes can be held out .* at least 20"
    ):
        split_images(loaded)


def random(seed: int) -> np.random.Generator:
    """Return a source of chance."""
    return np.random.Generator(np.random.Philox(seed))


def test_each_row_is_of_the_class_that_was_wanted_and_none_comes_twice(digits: Digits) -> None:
    wanted = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3] * 5)
    rows = rows_of_classes(digits.labels, wanted, random(0))
    np.testing.assert_array_equal(digits.labels[rows], wanted)
    assert len(set(rows.tolist())) == len(wanted)


def test_chance_decides_among_the_rows_of_a_class(digits: Digits) -> None:
    wanted = np.arange(10)
    first, again, other = (rows_of_classes(digits.labels, wanted, random(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_all_of_a_class_can_be_wanted_but_not_more() -> None:
    labels = np.array([7, 2, 7, 7])
    assert sorted(rows_of_classes(labels, np.array([7, 7, 7]), random(0)).tolist()) == [0, 2, 3]
    with pytest.raises(ValueError, match="larger sample than population"):
        rows_of_classes(labels, np.array([7] * 4), random(0))
