"""What a run prints while it goes on and when it ends."""

import io
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mean_image_watch import rough_observation
from observations import class_view, line_of, observation
from rich.console import Console

from pocketgan_trainer.errors import TrainingError
from pocketgan_trainer.training import reports as report_module
from pocketgan_trainer.training.progress import Means, Progress
from pocketgan_trainer.training.reports import ConsoleReport, closing_lines
from pocketgan_trainer.training.run_folder import RunFolder
from pocketgan_trainer.watch.signs import Sign

MEASURED = Means(generator_loss=0.5, discriminator_loss=1.25, real_score=0.75, fake_score=0.125)
ONE_STEP = torch.tensor([0.5, 1.25, 0.75, 0.125, 1], dtype=torch.float64)
"""What it adds to the sums."""
STEPS, BATCH = 4, 100


@pytest.fixture
def pass_seconds(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Move the clock that the report reads; it stands still otherwise."""
    now = [1000.0]

    def move(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(report_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return move


def terminal(width: int = 160) -> Console:
    """Return a console that takes itself for a terminal without colours, on which only the filled part of a bar is drawn."""
    return Console(file=io.StringIO(), force_terminal=True, color_system=None, width=width, highlight=False, soft_wrap=True)


def written(console: Console) -> str:
    """Return all that was written to a console."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def shown(
    is_terminal: bool,
    epochs: int,
    pass_seconds: Callable[[float], None],
    steps_done_before: int = 0,
    warnings: Sequence[Sign] = (),
) -> str:
    """Return all that is written during a run of `epochs` epochs with a second for each step."""
    console = terminal() if is_terminal else Console(file=io.StringIO(), width=160, highlight=False, soft_wrap=True)
    progress = Progress(step=steps_done_before, images_seen=BATCH * steps_done_before)
    with ConsoleReport(console, epochs, STEPS) as report:
        while progress.epoch < epochs:
            while progress.step < STEPS:
                pass_seconds(1)
                progress = progress.after_step(BATCH, 1)
                report.step(progress, progress.step * ONE_STEP)
            progress = progress.after_epoch(10.0 + progress.epoch, 0)
            report.epoch(progress, MEASURED, rough_observation(9.0 + progress.epoch), list(warnings))
    return written(console)


def test_away_from_a_terminal_an_epoch_begins_with_its_numbers(pass_seconds: Callable[[float], None]) -> None:
    lines = shown(False, 3, pass_seconds).splitlines()[::2]
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    for line in lines:
        assert "loss G 0.500 D 1.250  D(x) 0.75 D(G(z)) 0.12  Frechet ratio" in line
        assert "\x1b" not in line


def test_the_line_tells_speed_remaining_time_and_score(pass_seconds: Callable[[float], None]) -> None:
    lines = shown(False, 3, pass_seconds).splitlines()[::2]
    assert "100 images/s  ETA 0:00:04" in lines[1]
    assert "100 images/s  ETA 0:00:00" in lines[2]
    assert "Frechet ratio 11.000" in lines[1]


def test_only_epochs_as_good_as_the_best_so_far_are_called_so(pass_seconds: Callable[[float], None]) -> None:
    lines = shown(False, 3, pass_seconds).splitlines()[::2]
    assert [line.endswith("  best") for line in lines] == [True, True, False]


def test_away_from_a_terminal_the_device_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, pass_seconds: Callable[[float], None]
) -> None:
    def read_device(*_: object) -> Means:
        raise AssertionError("the sums were read between two epochs")

    monkeypatch.setattr(report_module, "means", read_device)
    assert len(shown(False, 2, pass_seconds).splitlines()) == 4


def test_a_resumed_epoch_does_not_count_what_was_done_before(pass_seconds: Callable[[float], None]) -> None:
    # Two of four steps were done before; the third starts the clock, and only the fourth is measured.
    lines = shown(False, 2, pass_seconds, steps_done_before=2).splitlines()[::2]
    assert lines[0].startswith("epoch 1/2  100 images/s")
    assert lines[1].startswith("epoch 2/2  100 images/s")


def bar_length(text: str) -> int:
    """Return how many of its 12 columns the bar fills where it is drawn for the last time."""
    return len(re.findall("━+", text)[-1])


def test_on_a_terminal_there_are_a_bar_the_numbers_and_the_lines(pass_seconds: Callable[[float], None]) -> None:
    text = shown(True, 2, pass_seconds)
    assert "epoch 2/2" in text
    assert bar_length(text) == 12
    assert "100 images/s" in text
    assert "loss G 0.500 D 1.250  D(x) 0.75 D(G(z)) 0.12" in text
    assert "Frechet ratio 10.000  best" in text


@pytest.mark.parametrize(("step", "length"), [(2, 3), (4, 6)])
def test_the_bar_moves_with_the_steps(pass_seconds: Callable[[float], None], step: int, length: int) -> None:
    console = terminal()
    with ConsoleReport(console, 2, STEPS) as report:
        report.step(Progress(step=1, images_seen=100), torch.zeros(5))
        pass_seconds(1)
        report.step(Progress(step=step, images_seen=100 * step), torch.zeros(5))
    assert bar_length(written(console)) == length


def test_the_bar_of_a_resumed_run_begins_in_the_middle(pass_seconds: Callable[[float], None]) -> None:
    console = terminal()
    with ConsoleReport(console, 2, STEPS) as report:
        report.step(Progress(epoch=1, step=2, images_seen=600), torch.zeros(5))
    assert "epoch 2/2" in written(console)
    assert bar_length(written(console)) == 9


def test_the_bar_fits_on_eighty_columns(pass_seconds: Callable[[float], None]) -> None:
    console = terminal(width=80)
    with ConsoleReport(console, 9999, 1000) as report:
        report.step(Progress(epoch=9998, step=1, images_seen=10**9), torch.zeros(5))
        pass_seconds(1)
        report.step(
            Progress(epoch=9998, step=999, images_seen=10**9 + 999_999), 999 * torch.tensor([12.345, 12.345, 0.5, 0.5, 1.0])
        )
    assert "999,999 images/s" in written(console)
    assert "loss G 12.345 D 12.345  D(x) 0.50 D(G(z)) 0.50" in written(console)


def test_the_bar_moves_at_most_twice_a_second(monkeypatch: pytest.MonkeyPatch, pass_seconds: Callable[[float], None]) -> None:
    read = []

    def count_readings(sums: torch.Tensor) -> Means:
        read.append(sums)
        return MEASURED

    monkeypatch.setattr(report_module, "means", count_readings)
    with ConsoleReport(Console(file=io.StringIO(), force_terminal=True), 1, 100) as report:
        for step in range(1, 41):
            report.step(Progress(step=step, images_seen=step), torch.zeros(5))
            pass_seconds(0.125)
    assert len(read) == 7  # of 40 steps in 5 seconds


@pytest.mark.parametrize(("seconds", "told"), [(0, "0:00:00"), (29.5, "0:00:59"), (30.5, "0:01:01"), (18_305, "10:10:10")])
def test_remaining_time_is_told_in_hours_minutes_and_seconds(
    pass_seconds: Callable[[float], None], seconds: float, told: str
) -> None:
    console = Console(file=io.StringIO(), highlight=False, soft_wrap=True)
    report = ConsoleReport(console, 2, STEPS)
    report.step(Progress(step=2, images_seen=100), torch.zeros(5))
    pass_seconds(seconds)
    # The second half of an epoch took so long: the whole next one will take twice that.
    report.epoch(Progress(epoch=1, images_seen=200), MEASURED, rough_observation(1.0), [])
    assert f"ETA {told}  loss" in written(console)


def test_a_warning_is_told_below_its_epoch_with_what_to_try(pass_seconds: Callable[[float], None]) -> None:
    signs = [Sign("missing", name, f"digit {name} is missing: rare", "a lower --lr") for name in "38"]
    signs.append(Sign("won", None, "the discriminator has won", "another --lr"))
    text = shown(False, 1, pass_seconds, warnings=signs)
    assert text.splitlines()[2:] == [
        "    warning: digit 3, digit 8 are missing; try a lower --lr",
        "    warning: the discriminator has won; try another --lr",
    ]


def test_an_epoch_tells_what_its_images_are_like(pass_seconds: Callable[[float], None]) -> None:
    assert shown(False, 1, pass_seconds).splitlines()[1] == (
        "    coverage 0.50  variety 1.00  D right in 75% of pairs, 75% of those it trains on"
    )


@pytest.mark.parametrize(("skipped", "lines", "counted"), [(1, 1, False), (3, 3, False), (4, 3, True), (300, 3, True)])
def test_of_skipped_steps_the_first_few_are_told_and_then_their_number(skipped: int, lines: int, counted: bool) -> None:
    console = Console(file=io.StringIO(), width=160, highlight=False, soft_wrap=True)
    report = ConsoleReport(console, 2, STEPS)
    for epoch in (1, 2):
        for step in range(skipped):
            report.skipped(1000 * epoch + step)
        report.epoch(Progress(epoch=epoch, images_seen=200), MEASURED, rough_observation(1.0), [])
    text = written(console)
    assert text.count("warning: NaN in step") == 2 * lines
    assert "warning: NaN in step 1,000: skipped; if there are many, try a lower --lr" in text
    assert "warning: NaN in step 2,000: skipped" in text
    assert text.count(f"    warning: {skipped} steps of this epoch were skipped") == 2 * counted


@pytest.mark.parametrize(("threads", "seconds", "is_said"), [(2, 3.5, True), (2, 2.5, False), (1, 9.0, False)])
def test_an_epoch_that_takes_far_longer_than_others_is_remarked_on(
    pass_seconds: Callable[[float], None], threads: int, seconds: float, is_said: bool
) -> None:
    console = Console(file=io.StringIO(), width=160, highlight=False, soft_wrap=True)
    progress = Progress()
    with ConsoleReport(console, 3, STEPS, threads) as report:
        for passed in (1.0, 1.0, seconds):
            report.step(progress, ONE_STEP)
            pass_seconds(passed)
            progress = progress.after_step(BATCH, passed).after_epoch(1.0, 0.0)
            report.epoch(progress, MEASURED, rough_observation(1.0), [])
    assert ("times slower than before, perhaps because other programs use the CPU" in written(console)) is is_said


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
        "coverage 0.20 at least (digit 7)  variety 0.90 at least (digit 0)  D right in 75% of pairs, 75% of those it trains on",
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
    assert told[2:4] == [f"warning: at the end still: {sign.message}" for sign in (WON, MISSING)]


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
