"""Several processes as `torchrun` describes them to each, and how they divide a batch."""

import pytest
import torch

from pocketgan_trainer.errors import OtherProcessError, TrainingError
from pocketgan_trainer.processes import ALONE, Processes, processes_of_environment

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


@pytest.fixture(autouse=True)
def meeting_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Say where the processes meet, as torchrun does."""
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    monkeypatch.setenv("MASTER_PORT", "29500")


def of_four(rank: int) -> Processes:
    """Return one of four processes on one machine."""
    return Processes(rank, 4, rank, 4)


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    assert processes_of_environment() == ALONE


def test_torchrun_says_which_of_how_many_and_on_which_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(NAMES, ("5", "8", "1", "4"), strict=True):
        monkeypatch.setenv(name, value)
    assert processes_of_environment() == Processes(rank=5, count=8, rank_here=1, count_here=4)


@pytest.mark.parametrize("said", [("2", "2", "0", "2"), ("0", "two", "0", "2"), ("0", "2", "-1", "2"), ("0", "2", "0", "3")])
def test_an_environment_that_makes_no_sense_is_refused(monkeypatch: pytest.MonkeyPatch, said: tuple[str, ...]) -> None:
    for name, value in zip(NAMES, said, strict=True):
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError, match=f"the environment says RANK={said[0]}, WORLD_SIZE={said[1]}.*expected what torchrun"):
        processes_of_environment()


def test_one_of_one_is_alone_whoever_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert processes_of_environment() == ALONE


def test_processes_that_are_not_told_where_to_meet_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(NAMES, ("0", "2", "0", "2"), strict=True):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MASTER_PORT")
    with pytest.raises(TrainingError, match="MASTER_PORT=None: expected what torchrun sets"):
        processes_of_environment()


def test_half_an_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="LOCAL_RANK=None"):
        processes_of_environment()


def test_shares_of_a_batch_make_up_the_batch_in_order() -> None:
    batch = torch.arange(24).reshape(12, 2)
    assert torch.equal(torch.cat([of_four(rank).own(batch) for rank in range(4)]), batch)


def test_one_process_owns_everything_and_asks_nobody() -> None:
    batch = torch.arange(6.0)
    assert torch.equal(ALONE.own(batch), batch)
    assert torch.equal(ALONE.mean(batch), batch)
    assert (ALONE.agree(True), ALONE.agree(False)) == (True, False)
    with ALONE.joined(), ALONE.first_goes_first():
        assert ALONE.agree(True)


def test_the_others_begin_after_the_first_process_and_not_at_all_if_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[bool] = []

    def agree(processes: Processes, is_so: bool) -> bool:
        answers.append(is_so)
        return has_failed

    monkeypatch.setattr(Processes, "agree", agree)
    has_failed = False
    for rank in (0, 1):
        with of_four(rank).first_goes_first():
            assert len(answers) == 2 * rank  # the first answers after its block, the others before theirs
    assert answers == [False, False]
    has_failed = True
    with pytest.raises(KeyError), of_four(0).first_goes_first():
        raise KeyError
    with pytest.raises(OtherProcessError, match="the first process failed"), of_four(1).first_goes_first():
        pytest.fail("begun")
    assert answers == [False, False, True, False]


def test_only_rank_0_is_first() -> None:
    assert [of_four(rank).is_first for rank in range(4)] == [True, False, False, False]
