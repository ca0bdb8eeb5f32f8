"""The last lines of a run: how good it became, what was wrong, what to look at and what to do next."""

import shlex
from pathlib import Path

import pytest
from observations import class_view, line_of, observation

from pocketgan_trainer.errors import TrainingError
from pocketgan_trainer.training.reports import closing_lines
from pocketgan_trainer.training.run_folder import RunFolder
from pocketgan_trainer.watch.signs import Sign

WON = Sign("won", None, "the discriminator has won", "")
MISSING = Sign("missing", "3", "digit 3 is missing", "")


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run of three epochs, the second of which is the best, with its pictures."""
    folder = tmp_path / "0001-mlp-mnist"
    folder.mkdir()
    run = RunFolder(folder)
    for epoch, ratio in enumerate((3.0, 1.2345, 2.0), start=1):
        run.append_statistics(line_of(epoch, observation(ratio, (class_view("7", coverage=0.1 * epoch),))))
        run.sheet_of_epoch(epoch).write_bytes(b"")
    run.curves.write_bytes(b"")
    return run


def test_a_run_ends_with_its_best_epoch_what_to_look_at_and_what_to_do(run: RunFolder) -> None:
    assert closing_lines(run, 3, 2, is_newest=True) == [
        f"done: the best epoch is 2 of 3, its checkpoint {run.path}/best.safetensors",
        "its scores: Frechet ratio 1.234 (real images: 1)  classes 10.0% (digit 0) to 10.0% (digit 9)  "
        "coverage 0.20 at least (digit 7)  variety 0.90 at least (digit 0)  D names 75% of pairs, 75% of those it trains on",
        f"look at: {run.path}/curves.png, {run.path}/fakes_epoch_0002.png",
        "next: gan-export model.onnx",
    ]


def test_a_run_that_is_not_found_by_itself_is_named(run: RunFolder) -> None:
    assert closing_lines(run, 3, 2, is_newest=False)[-1] == f"next: gan-export model.onnx --checkpoint {run.path}"


@pytest.mark.parametrize("name", ["my runs", "it's", "$HOME", "a;b", "*"])
def test_odd_paths_survive_a_shell(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    command = closing_lines(RunFolder(folder), 1, 1, is_newest=False)[-1].removeprefix("next: ")
    assert shlex.split(command) == ["gan-export", "model.onnx", "--checkpoint", str(folder)]
    assert shlex.split(command, posix=False) != ["gan-export", "model.onnx", "--checkpoint", str(folder)]


def test_pictures_that_are_not_there_are_not_named(run: RunFolder) -> None:
    run.curves.unlink()
    assert f"look at: {run.path}/fakes_epoch_0002.png" in closing_lines(run, 3, 2, is_newest=True)
    run.sheet_of_epoch(2).unlink()
    assert not any("look at" in line for line in closing_lines(run, 3, 2, is_newest=True))


def test_what_stands_at_the_end_is_told_in_order(run: RunFolder) -> None:
    for epoch in (4, 5):
        run.append_statistics(line_of(epoch, observation(), (WON, MISSING)))
    told = closing_lines(run, 5, 2, is_newest=True)
    assert told[2:4] == [f"warning: at the end still: {sign.told}" for sign in (WON, MISSING)]


def test_what_went_by_before_the_end_is_not_told(run: RunFolder) -> None:
    for epoch, signs in ((4, (WON,)), (5, (WON,)), (6, ())):
        run.append_statistics(line_of(epoch, observation(), signs))
    assert not any("warning" in line for line in closing_lines(run, 6, 2, is_newest=True))


def test_what_was_there_in_the_last_epoch_alone_is_not_told(run: RunFolder) -> None:
    run.append_statistics(line_of(4, observation(), (WON,)))
    assert not any("warning" in line for line in closing_lines(run, 4, 2, is_newest=True))


def test_without_statistics_the_rest_is_told(run: RunFolder) -> None:
    (run.path / "stats.jsonl").unlink()
    told = closing_lines(run, 3, 2, is_newest=True)
    assert [line.split(":")[0] for line in told] == ["done", "look at", "next"]


def test_without_the_line_of_the_best_epoch_its_scores_are_left_out(run: RunFolder) -> None:
    assert not any("scores" in line for line in closing_lines(run, 9, 8, is_newest=True))


def test_half_a_line_is_left_out(run: RunFolder) -> None:
    whole = closing_lines(run, 3, 2, is_newest=True)
    with (run.path / "stats.jsonl").open("a") as file:
        file.write('{"epoch": 2, "frech')
    assert closing_lines(run, 3, 2, is_newest=True) == whole


def test_a_line_of_an_older_version_tells_its_ratio_alone(run: RunFolder) -> None:
    run.append_statistics({"epoch": 4, "frechet_ratio": 1.5})
    assert "its scores: Frechet ratio 1.500 (real images: 1)" in closing_lines(run, 4, 4, is_newest=True)


def test_a_line_without_a_ratio_is_no_trouble(run: RunFolder) -> None:
    run.append_statistics({"epoch": 4, "generator_loss": 0.5})
    assert closing_lines(run, 4, 4, is_newest=True)[-1] == "next: gan-export model.onnx"


def test_statistics_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    (tmp_path / "stats.jsonl").mkdir()
    with pytest.raises(TrainingError, match=r"cannot read .*stats\.jsonl: it is a folder"):
        closing_lines(RunFolder(tmp_path), 1, 1, is_newest=True)
