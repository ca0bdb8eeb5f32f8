"""Fixtures of the metrics' tests: the first judge, and its assessment of the test digits."""

import pytest

from pocketgan_trainer.data.published import Digits, load_mnist
from pocketgan_trainer.evaluate.judge import Assessment, Judge, load_judge


@pytest.fixture(scope="session")
def first_judge() -> Judge:
    """The first judge."""
    return load_judge("first")


@pytest.fixture(scope="session")
def test_digits() -> Digits:
    """The 10,000 test digits of MNIST."""
    return load_mnist(split="test")


@pytest.fixture(scope="session")
def test_assessment(first_judge: Judge, test_digits: Digits) -> Assessment:
    """The first judge's assessment of the test digits."""
    return first_judge.assess(test_digits.images)
