"""Which digits are kept for validation."""

import numpy as np
import pytest

from pocketgan_trainer.data.mnist import Digits, load_mnist
from pocketgan_trainer.data.validation import VALIDATION_DIGITS, split_validation
from pocketgan_trainer.errors import DataError


def test_the_last_five_thousand_digits_are_kept_back() -> None:
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
