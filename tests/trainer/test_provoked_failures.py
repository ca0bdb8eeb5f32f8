"""Runs that are spoilt on purpose, as scripts/provoke_failures.py does with more digits, and what the watch says of them."""

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
    """4,000 digits to learn from and 1,000 to look at."""
    mnist = load_mnist()
    return TrainingSplit(Digits(mnist.images[:4000], mnist.labels[:4000]), Digits(mnist.images[-1000:], mnist.labels[-1000:]))


def provocation(do: Callable[[SpoiltRun], None]) -> Provocation:
    """Return a provocation of the script with what it expects."""
    (found,) = (each for each in provoke_failures.PROVOCATIONS if each.do is do)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("do", [provoke_failures.collapse, provoke_failures.winning_discriminator])
def test_the_watch_notices_what_was_done_to_a_run(few: TrainingSplit, tmp_path: Path, do: Callable[[SpoiltRun], None]) -> None:
    expected = provocation(do)
    notices = notices_of(expected, few, tmp_path)
    assert is_caught(expected, notices), notices


@pytest.mark.slow
def test_nans_are_skipped_and_the_run_goes_on_to_its_end(few: TrainingSplit, tmp_path: Path) -> None:
    notices = notices_of(provocation(provoke_failures.poison_now_and_then), few, tmp_path)
    assert [notice.message for notice in notices if notice.kind == "skipped"] == [
        "NaN in step 50: skipped",
        "NaN in step 100: skipped",
    ]
    assert load_checkpoint(tmp_path / "last.safetensors").progress.epoch == 2


@pytest.mark.slow
def test_nans_for_good_end_the_run_with_its_last_checkpoint_sound(few: TrainingSplit, tmp_path: Path) -> None:
    notices = notices_of(provocation(provoke_failures.poison_for_good), few, tmp_path)
    assert notices[-1].kind == "given up"
    assert "start again with a lower --lr" in notices[-1].message
    checkpoint = load_checkpoint(tmp_path / "last.safetensors")
    assert checkpoint.progress.epoch == 1
    assert all(tensor.isfinite().all() for tensor in checkpoint.tensors.values())


def test_a_failure_that_is_not_noticed_is_told_from_one_that_is() -> None:
    blamed, won = [Notice(5, "missing", "")], [Notice(5, "won", "")]
    healthy, winning = (provocation(do) for do in (provoke_failures.healthy, provoke_failures.winning_discriminator))
    assert (is_caught(healthy, []), is_caught(healthy, blamed)) == (True, False)
    assert (is_caught(winning, []), is_caught(winning, blamed), is_caught(winning, blamed + won)) == (False, False, True)
