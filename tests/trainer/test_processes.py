"""Several processes, as the environment of `torchrun` describes them, and how they divide a batch."""

import pytest
import torch

from pocketgan_trainer.errors import OtherProcessError, TrainingError
from pocketgan_trainer.processes import ALONE, Processes, processes_of_environment

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


def set_environment(monkeypatch: pytest.MonkeyPatch, values: tuple[str | None, ...], port: str | None = "29500") -> None:
    """Set the variables of torchrun, and unset those whose value is None."""
    for name, value in zip((*NAMES, "MASTER_ADDR", "MASTER_PORT"), (*values, "localhost", port), strict=True):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)


def of_four(rank: int) -> Processes:
    """Return one of four processes on one machine."""
    return Processes(rank, 4, rank, 4)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((None, None, None, None), ALONE),
        (("0", "1", None, None), ALONE),
        (("5", "8", "1", "4"), Processes(rank=5, count=8, rank_here=1, count_here=4)),
    ],
    ids=["without torchrun", "one process", "eight on two machines"],
)
def test_torchrun_sets_rank_and_count_in_the_run_and_on_the_machine(
    monkeypatch: pytest.MonkeyPatch, values: tuple[str | None, ...], expected: Processes
) -> None:
    set_environment(monkeypatch, values)
    assert processes_of_environment() == expected


@pytest.mark.parametrize(
    ("values", "port"),
    [
        (("2", "2", "0", "2"), "29500"),
        (("0", "two", "0", "2"), "29500"),
        (("0", "2", "-1", "2"), "29500"),
        (("0", "2", "0", "3"), "29500"),
        (("0", "2", None, None), "29500"),
        (("0", "2", "0", "2"), None),
    ],
)
def test_an_environment_that_torchrun_does_not_set_is_refused(
    monkeypatch: pytest.MonkeyPatch, values: tuple[str | None, ...], port: str | None
) -> None:
    set_environment(monkeypatch, values, port)
    shown = ", ".join(f"{name}={value}" for name, value in zip(NAMES, values, strict=True))
    message = f"the environment says {shown}, MASTER_ADDR=localhost, MASTER_PORT={port}: expected what torchrun sets"
    with pytest.raises(TrainingError, match=message):
        processes_of_environment()


def test_shares_of_a_batch_make_up_the_batch_in_order() -> None:
    batch = torch.arange(24).reshape(12, 2)
    assert torch.equal(torch.cat([of_four(rank).own(batch) for rank in range(4)]), batch)
    assert [of_four(rank).is_first for rank in range(4)] == [True, False, False, False]


def test_one_process_has_all_rows_and_needs_no_answers() -> None:
    batch = torch.arange(6.0)
    assert torch.equal(ALONE.own(batch), batch)
    assert torch.equal(ALONE.mean(batch), batch)
    assert (ALONE.agree(True), ALONE.agree(False)) == (True, False)
    with ALONE.joined(), ALONE.first_goes_first():
        assert ALONE.agree(True)


def test_the_others_begin_after_the_first_process_and_never_if_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
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
