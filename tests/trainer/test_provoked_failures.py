"""Runs that are spoilt on purpose, as in scripts/provoke_failures.py but with fewer digits, and what the watch notices."""

from collections.abc import Callable
from pathlib import Path

import provoke_failures
import pytest
from provoke_failures import Notice, Provocation, SpoiltRun, is_caught, notices_of

from pocketgan_trainer.data.published import Digits, load_mnist
from pocketgan_trainer.data.split import TrainingSplit
from pocketgan_trainer.training.checkpoint import load_checkpoint


@pytest.fixture(scope="module")
def few() -> TrainingSplit:
    """4,000 digits to train on and 1,000 for validation."""
    mnist = load_mnist()
    return TrainingSplit(Digits(mnist.images[:4000], mnist.labels[:4000]), Digits(mnist.images[-1000:], mnist.labels[-1000:]))


def provocation(do: Callable[[SpoiltRun], None]) -> Provocation:
    """Return a provocation of the script with what it expects."""
    (found,) = (each for each in provoke_failures.PROVOCATIONS if each.do is do)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("do", "epochs"),
    [
        (provoke_failures.collapse, None),
        (provoke_failures.winning_discriminator, None),
        (provoke_failures.poison_now_and_then, 2),
        (provoke_failures.poison_for_good, 1),
    ],
)
def test_the_watch_notices_what_was_done_to_a_run(
    few: TrainingSplit, tmp_path: Path, do: Callable[[SpoiltRun], None], epochs: int | None
) -> None:
    expected = provocation(do)
    notices = notices_of(expected, few, tmp_path)
    assert is_caught(expected, notices), notices
    if epochs is not None:
        assert load_checkpoint(tmp_path / "last.safetensors").progress.epoch == epochs


def test_a_failure_counts_as_noticed_only_by_its_own_sign() -> None:
    blamed, won = [Notice(5, "missing", "")], [Notice(5, "won", "")]
    healthy, winning = (provocation(do) for do in (provoke_failures.healthy, provoke_failures.winning_discriminator))
    assert (is_caught(healthy, []), is_caught(healthy, blamed)) == (True, False)
    assert (is_caught(winning, []), is_caught(winning, blamed), is_caught(winning, blamed + won)) == (False, False, True)
