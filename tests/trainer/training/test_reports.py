"""What a run prints while it trains and when it ends."""

import io
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from observations import class_view, line_of, observation
from rich.console import Console
from short_runs import rough_observation

from pocketgan_trainer.training import reports as report_module
from pocketgan_trainer.training.progress import Means, Progress
from pocketgan_trainer.training.reports import ConsoleReport, closing_lines
from pocketgan_trainer.training.run_folder import RunFolder
from pocketgan_trainer.watch.signs import Sign

MEASURED = Means(generator_loss=0.5, discriminator_loss=1.25, real_score=0.75, fake_score=0.125)
ONE_STEP = torch.tensor([0.5, 1.25, 0.75, 0.125, 1], dtype=torch.float64)
"""What one step adds to the sums."""
STEPS, BATCH = 4, 100
IMAGES = np.full((100, 4, 4), 255, np.uint8)


@pytest.fixture
def pass_seconds(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the clock that the report reads; otherwise the clock stands still."""
    now = [1000.0]

    def move(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(report_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return move


def new_console(is_terminal: bool, width: int = 160) -> Console:
    """Return a console without colours; on a terminal, such a console draws only the filled part of a bar."""
    file = io.StringIO()
    return Console(file=file, force_terminal=is_terminal, color_system=None, width=width, highlight=False, soft_wrap=True)


def written(console: Console) -> str:
    """Return all that was written to a console."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def report_run(console: Console, epochs: int, pass_seconds: Callable[[float], None], steps_done_before: int = 0) -> list[str]:
    """Report a run of `epochs` epochs with a second for each step; return the lines that were written."""
    progress = Progress(step=steps_done_before, images_seen=BATCH * steps_done_before)
    with ConsoleReport(console, epochs, STEPS) as report:
        while progress.epoch < epochs:
            while progress.step < STEPS:
                pass_seconds(1)
                progress = progress.after_step(BATCH, 1)
                report.step(progress, progress.step * ONE_STEP)
            progress = progress.after_epoch(10.0 + progress.epoch, 0)
            report.epoch(progress, MEASURED, rough_observation(9.0 + progress.epoch), [], IMAGES)
    return written(console).splitlines()


LOSSES = "loss G 0.500 D 1.250"


def test_each_epoch_has_a_line_and_the_device_is_not_waited_for_between(
    monkeypatch: pytest.MonkeyPatch, pass_seconds: Callable[[float], None]
) -> None:
    def read_device(*_: object) -> Means:
        raise AssertionError("the sums were read between two epochs")

    monkeypatch.setattr(report_module, "means", read_device)
    lines = report_run(new_console(is_terminal=False), 3, pass_seconds)
    assert lines == [
        f"epoch 1/3  ETA 0:00:08  {LOSSES}  Frechet ratio 10.000  best",
        f"epoch 2/3  ETA 0:00:04  {LOSSES}  Frechet ratio 11.000  best",
        f"epoch 3/3  ETA 0:00:00  {LOSSES}  Frechet ratio 12.000",
    ]


def test_without_a_bar_a_line_a_minute_says_how_far_an_epoch_is(pass_seconds: Callable[[float], None]) -> None:
    console = new_console(is_terminal=False)
    with ConsoleReport(console, 1, 100) as report:
        for step in range(1, 91):
            report.step(Progress(step=step, images_seen=50 * step), torch.tensor([2.0, 0.5, 0.5, 0.5, 1]))
            pass_seconds(1.5)
    # The first step starts the clock; the line comes with the first step that is more than a minute after the one before.
    assert written(console).splitlines() == [
        "    42% of epoch 1  33 images/s  loss G 2.000 D 0.500",
        "    83% of epoch 1  33 images/s  loss G 2.000 D 0.500",
    ]


def test_the_line_of_an_epoch_fits_on_eighty_columns() -> None:
    console = new_console(is_terminal=False)
    measured = Means(generator_loss=12.345, discriminator_loss=12.345, real_score=0.5, fake_score=0.5)
    ConsoleReport(console, 100, STEPS).epoch(
        Progress(epoch=99, images_seen=9900), measured, rough_observation(9999.9), [], IMAGES
    )
    (line,) = written(console).splitlines()
    assert "Frechet ratio 9999.900" in line
    assert len(line) <= 80


def test_a_resumed_epoch_does_not_count_what_was_done_before(pass_seconds: Callable[[float], None]) -> None:
    # Two of four steps were done before; the third starts the clock, and only the fourth is measured: 100 images in a second.
    lines = report_run(new_console(is_terminal=False), 2, pass_seconds, steps_done_before=2)
    assert [line.split("  ")[1] for line in lines] == ["ETA 0:00:04", "ETA 0:00:00"]


def bar_length(text: str) -> int:
    """Return how many of its 12 columns the bar fills where it is drawn for the last time."""
    return len(re.findall("━+", text)[-1])


ERASED = "\x1b[2K"
"""What rich writes to erase a line."""


def test_on_a_terminal_there_are_a_bar_and_the_lines(pass_seconds: Callable[[float], None]) -> None:
    text = "\n".join(report_run(new_console(is_terminal=True), 2, pass_seconds))
    assert "epoch 2/2" in text
    assert "━━━━━━━━━━━━ ETA 0:00:00 comparing images with real ones" in text
    assert "Frechet ratio 10.000  best" in text
    assert text.endswith(ERASED)  # the bar does not stay


def test_images_are_shown_between_the_lines_if_that_is_asked_for() -> None:
    console, shown = new_console(is_terminal=False), io.StringIO()
    for epoch, images in enumerate((IMAGES, IMAGES[:3]), start=1):
        report = ConsoleReport(console, 2, STEPS, shown_on=shown)
        report.epoch(Progress(epoch=epoch, images_seen=200), MEASURED, rough_observation(1.0), [], images)
    # Two rows of five images, each with a dark pixel around it, and then three side by side.
    assert [line.replace(" ", "") for line in shown.getvalue().splitlines()] == [
        *(20 * half_block for half_block in "▄█▀██"),
        "",
        *(12 * half_block for half_block in "▄█▀"),
    ]
    assert len(written(console).splitlines()) == 2


@pytest.mark.parametrize(
    ("positions", "length"),
    [([(0, 1), (0, 2)], 3), ([(0, 1), (0, 4)], 6), ([(1, 2)], 9)],
    ids=["a quarter", "half", "resumed at three quarters"],
)
def test_the_bar_moves_with_the_steps(
    pass_seconds: Callable[[float], None], positions: list[tuple[int, int]], length: int
) -> None:
    console = new_console(is_terminal=True)
    with ConsoleReport(console, 2, STEPS) as report:
        for epoch, step in positions:
            report.step(Progress(epoch, step, images_seen=100 * (STEPS * epoch + step)), torch.zeros(5))
            pass_seconds(1)
    assert bar_length(written(console)) == length


def test_the_bar_fits_on_eighty_columns(pass_seconds: Callable[[float], None]) -> None:
    console = new_console(is_terminal=True, width=80)
    with ConsoleReport(console, 9999, 1000) as report:
        for step, images in ((1, 0), (999, 999_999)):
            report.step(Progress(epoch=9998, step=step, images_seen=10**9 + images), torch.tensor([12.345, 12.345, 0.5, 0.5, 1]))
            pass_seconds(1)
    assert "999,999 images/s" in written(console)
    assert "loss G 12.345 D 12.345  D(x) 0.50 D(G(z)) 0.50" in written(console)


def test_the_bar_moves_at_most_twice_a_second(monkeypatch: pytest.MonkeyPatch, pass_seconds: Callable[[float], None]) -> None:
    read = []

    def count_readings(sums: torch.Tensor) -> Means:
        read.append(sums)
        return MEASURED

    monkeypatch.setattr(report_module, "means", count_readings)
    with ConsoleReport(new_console(is_terminal=True), 1, 100) as report:
        for step in range(1, 41):
            report.step(Progress(step=step, images_seen=step), torch.zeros(5))
            pass_seconds(0.125)
    assert len(read) == 7  # of 40 steps in 5 seconds


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00:00"), (29.5, "0:00:59"), (30.5, "0:01:01"), (18_305, "10:10:10")])
def test_remaining_time_is_shown_in_hours_minutes_and_seconds(
    pass_seconds: Callable[[float], None], seconds: float, shown: str
) -> None:
    console = new_console(is_terminal=False)
    report = ConsoleReport(console, 2, STEPS)
    report.step(Progress(step=2, images_seen=100), torch.zeros(5))
    pass_seconds(seconds)
    # This was the second half of an epoch: the whole next one will take twice as long.
    report.epoch(Progress(epoch=1, images_seen=200), MEASURED, rough_observation(1.0), [], IMAGES)
    assert f"ETA {shown}  loss" in written(console)


def test_warnings_are_printed_below_their_epoch_with_what_to_try() -> None:
    signs = [Sign("missing", name, f"digit {name} is missing: rare", "a lower --lr") for name in "38"]
    signs.append(Sign("won", None, "the discriminator has won", "another --lr"))
    console = new_console(is_terminal=False)
    ConsoleReport(console, 2, STEPS).epoch(Progress(epoch=1, images_seen=200), MEASURED, rough_observation(1.0), signs, IMAGES)
    assert written(console).splitlines()[1:] == [
        "    warning: digit 3, digit 8 are missing; try a lower --lr",
        "    warning: the discriminator has won; try another --lr",
    ]


@pytest.mark.parametrize(("skipped", "lines", "counted"), [(1, 1, False), (3, 3, False), (4, 3, True), (300, 3, True)])
def test_the_first_few_skipped_steps_are_printed_and_then_their_number(skipped: int, lines: int, counted: bool) -> None:
    console = new_console(is_terminal=False)
    report = ConsoleReport(console, 2, STEPS)
    for epoch in (1, 2):
        for step in range(skipped):
            report.skipped(1000 * epoch + step)
        report.epoch(Progress(epoch=epoch, images_seen=200), MEASURED, rough_observation(1.0), [], IMAGES)
    text = written(console)
    assert text.count("warning: NaN in step") == 2 * lines
    assert "warning: NaN in step 1,000: skipped; if there are many, try a lower --lr" in text
    assert "warning: NaN in step 2,000: skipped" in text
    assert text.count(f"    warning: {skipped} steps of this epoch were skipped") == 2 * counted


@pytest.mark.parametrize(("threads", "seconds", "warns"), [(2, 3.5, True), (2, 2.5, False), (1, 9.0, False)])
def test_an_epoch_that_takes_far_longer_than_others_gets_a_warning(
    pass_seconds: Callable[[float], None], threads: int, seconds: float, warns: bool
) -> None:
    console = new_console(is_terminal=False)
    progress = Progress()
    with ConsoleReport(console, 3, STEPS, threads) as report:
        for passed in (1.0, 1.0, seconds):
            report.step(progress, ONE_STEP)
            pass_seconds(passed)
            progress = progress.after_step(BATCH, passed).after_epoch(1.0, 0.0)
            report.epoch(progress, MEASURED, rough_observation(1.0), [], IMAGES)
    assert ("times slower than before, perhaps because other programs use the CPU" in written(console)) is warns


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
    run.progress.write_bytes(b"")
    return run


def test_a_run_ends_with_its_best_epoch_what_to_look_at_and_what_to_do(run: RunFolder) -> None:
    assert closing_lines(run, 3, 2, is_newest=True) == [
        "done: the best epoch is 2 of 3, the last within a tenth of the lowest score",
        "    Frechet ratio 1.234 (real images: 1)",
        "    classes 10.0% (digit 0) to 10.0% (digit 9)",
        "    coverage 0.20 at least (digit 7)",
        "    variety 0.90 at least (digit 0)",
        "    discriminator right in 75% of pairs, in 75% with images it trains on",
        "look at:",
        f"    {run.path}/fakes_epoch_0002.png",
        f"    {run.path}/progress.gif",
        f"    {run.path}/curves.png",
        "next: gan-export model.onnx",
    ]


@pytest.mark.parametrize("name", ["my runs", "it's", "$HOME", "a;b"])
def test_a_run_that_is_not_the_newest_is_named_so_that_a_shell_can_read_it(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    command = closing_lines(RunFolder(folder), 1, 1, is_newest=False)[-1].removeprefix("next: ")
    assert shlex.split(command) == ["gan-export", "model.onnx", "--checkpoint", str(folder)]


def test_another_models_file_is_not_named_as_the_one_to_write(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.path.parent)
    Path("model.onnx").touch()
    assert closing_lines(run, 3, 2, is_newest=True)[-1] == "next: gan-export 0001-mlp-mnist.onnx"


def test_pictures_that_do_not_exist_are_not_named(run: RunFolder) -> None:
    run.curves.unlink()
    run.progress.unlink()
    assert closing_lines(run, 3, 2, is_newest=True)[-3:-1] == ["look at:", f"    {run.path}/fakes_epoch_0002.png"]
    run.sheet_of_epoch(2).unlink()
    assert not any("look at" in line for line in closing_lines(run, 3, 2, is_newest=True))


@pytest.mark.parametrize(
    ("signs_of_epochs", "shown"),
    [([[WON, MISSING], [WON, MISSING]], [WON, MISSING]), ([[WON], [WON], []], []), ([[WON]], [])],
    ids=["in both last epochs", "not in the last", "in the last alone"],
)
def test_only_signs_that_still_stand_at_the_end_are_shown(
    run: RunFolder, signs_of_epochs: list[list[Sign]], shown: list[Sign]
) -> None:
    for epoch, signs in enumerate(signs_of_epochs, start=4):
        run.append_statistics(line_of(epoch, observation(), signs))
    lines = closing_lines(run, 6, 2, is_newest=True)
    assert [line for line in lines if "warning" in line] == [f"warning: at the end still: {sign.message}" for sign in shown]


@pytest.mark.parametrize(
    ("line", "scores"),
    [
        ({"epoch": 4, "frechet_ratio": 1.5}, ["    Frechet ratio 1.500 (real images: 1)"]),
        ({"epoch": 5, "frechet_ratio": 1.5}, []),
        (None, []),
    ],
    ids=["of an earlier version", "of another epoch", "no file"],
)
def test_scores_that_are_unknown_are_left_out(run: RunFolder, line: dict[str, object] | None, scores: list[str]) -> None:
    if line is None:
        (run.path / "stats.jsonl").unlink()
    else:
        run.append_statistics(line)
    lines = closing_lines(run, 4, 4, is_newest=True)
    assert lines[1 : lines.index("look at:")] == scores
