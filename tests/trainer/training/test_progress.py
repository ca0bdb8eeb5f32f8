"""The position of a run, and the sums and means of what it measured."""

import time

import pytest
import torch

from pocketgan_trainer.training.progress import Means, Progress, Stopwatch, add_statistics, means, zero_sums
from pocketgan_trainer.training.steps import StepStatistics


def test_a_step_counts_its_images_and_its_time() -> None:
    progress = Progress(epoch=2, step=3, images_seen=100, seconds=1.5, best_score=4.0).after_step(64, 0.25)
    assert progress == Progress(epoch=2, step=4, images_seen=164, seconds=1.75, best_score=4.0)


@pytest.mark.parametrize(
    ("best", "score", "is_best"), [(None, 9.0, True), (4.0, 3.0, True), (4.0, 4.0, True), (4.0, 4.39, True), (4.0, 4.41, False)]
)
def test_a_score_counts_as_the_best_within_a_tenth_of_the_lowest(best: float | None, score: float, is_best: bool) -> None:
    assert Progress(best_score=best).is_best(score) is is_best


@pytest.mark.parametrize(
    ("best", "score", "new_best"),
    [(None, 5.0, 5.0), (4.0, 5.0, 4.0), (4.0, 3.0, 3.0), (None, None, None), (4.0, None, 4.0)],
)
def test_an_epoch_resets_the_steps_and_keeps_the_lowest_known_score(
    best: float | None, score: float | None, new_best: float | None
) -> None:
    progress = Progress(epoch=2, step=9, images_seen=100, seconds=1.5, best_score=best).after_epoch(score, 0.5)
    assert progress == Progress(epoch=3, step=0, images_seen=100, seconds=2.0, best_score=new_best)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epoch": -1},
        {"step": 1.0},
        {"images_seen": "3"},
        {"epoch": True},
        {"seconds": float("nan")},
        {"seconds": "1"},
        {"best_score": float("inf")},
        {"best_score": "low"},
    ],
)
def test_a_position_that_no_run_can_have_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"expected (whole numbers from 0|finite numbers)"):
        Progress(**wrong)  # type: ignore[arg-type]


def test_means_are_over_the_steps_and_keep_their_order() -> None:
    sums = zero_sums(torch.device("cpu"))
    assert means(sums) == Means(0.0, 0.0, 0.0, 0.0)
    for factor in (1.0, 3.0):
        add_statistics(sums, StepStatistics(True, *(factor * torch.tensor(value) for value in (1.0, 2.0, 0.25, 0.5))))
    assert means(sums) == Means(generator_loss=2.0, discriminator_loss=4.0, real_score=0.5, fake_score=1.0)


def test_sums_do_not_lose_small_steps() -> None:
    sums = torch.full((5,), 2.0**25, dtype=torch.float64)
    add_statistics(sums, StepStatistics(True, *torch.full((4,), 0.125)))
    assert sums.tolist() == [2.0**25 + 0.125] * 4 + [2.0**25 + 1]


def test_the_stopwatch_restarts_when_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([10.0, 13.0, 14.5])
    monkeypatch.setattr(time, "monotonic", lambda: next(readings))
    stopwatch = Stopwatch()
    assert (stopwatch.seconds(), stopwatch.seconds()) == (3.0, 1.5)
