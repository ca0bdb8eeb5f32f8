"""Which of MNIST's training digits are kept back: to choose by, and to know what real digits score that nobody trained on."""

from dataclasses import dataclass

from pocketgan_trainer.data.mnist import Digits
from pocketgan_trainer.errors import DataError

VALIDATION_DIGITS = 5_000


@dataclass(frozen=True, eq=False)
class TrainingSplit:
    """The training digits in two parts, which share no digit."""

    training: Digits
    """All but the last VALIDATION_DIGITS: 55,000 of MNIST."""
    validation: Digits
    """The last VALIDATION_DIGITS, in their order."""


def split_validation(digits: Digits) -> TrainingSplit:
    """Return the digits without their last VALIDATION_DIGITS, and those; both are views, nothing is copied.

    Raises DataError if that leaves none to train on.
    """
    if len(digits) <= VALIDATION_DIGITS:
        message = f"{len(digits)} digits cannot be split: expected more than the {VALIDATION_DIGITS} that are kept for validation"
        raise DataError(message)
    return TrainingSplit(
        training=Digits(digits.images[:-VALIDATION_DIGITS], digits.labels[:-VALIDATION_DIGITS]),
        validation=Digits(digits.images[-VALIDATION_DIGITS:], digits.labels[-VALIDATION_DIGITS:]),
    )
