"""The training loop on a few hundred real digits: what it leaves on disk, and that stopping leaves no trace."""

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import torch
from full_disk import small_files_only
from mean_image_watch import MeanImageWatch, mean_image_watch, rough_observation
from numpy.typing import NDArray
from silent_report import SilentReport
from torch import Tensor

from pocketgan.errors import OutputError
from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.errors import CheckpointError, TrainingError
from pocketgan_trainer.training import loop, recorder, schedule
from pocketgan_trainer.training.checkpoint import Checkpoint, load_checkpoint, restore_generator, save_checkpoint
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.drawing import draw
from pocketgan_trainer.training.loop import MOST_SKIPPED_STEPS, count_steps, image_order
from pocketgan_trainer.training.presets import PRESETS, build_gan
from pocketgan_trainer.training.progress import Means, Progress
from pocketgan_trainer.training.recorder import WATCHED_SEED, Recorder, Report, Watch
from pocketgan_trainer.training.run_folder import RunFolder
from pocketgan_trainer.training.schedule import ema_decay, learning_rate, penalty_weight, update_ema
from pocketgan_trainer.training.steps import Batch, Gan, StepStatistics, alternating_step
from pocketgan_trainer.watch.signs import Observation, Sign
from pocketgan_trainer.watch.validation_watch import Verdicts

CPU = torch.device("cpu")
MLP = replace(PRESETS["mlp"].config, epochs=2)
MLP_IMAGES = 330
MLP_STEPS = 5
"""In an epoch: 10 images are left over."""
DCGAN = replace(PRESETS["dcgan"].config, epochs=2, batch_size=16, bfloat16=False)
NANO = replace(
    PRESETS["nano"].config,
    epochs=2,
    batch_size=16,
    bfloat16=False,
    seed=2,  # whose first weights do not draw everything black
    final_rate_share=0.1,
    gradient_penalty=0.5,
    final_penalty_share=0.2,
    refinement_share=0.4,
    class_weight=0.25,
    shifted_share=0.75,
    batch_statistics_share=0.5,
    ema_halflife_images=1000,
)
FEW_IMAGES = 66
"""Four batches of 16 in an epoch: 2 images are left over."""

NewRun = Callable[[], RunFolder]


@pytest.fixture(autouse=True)
def early_frozen_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Freeze statistics within these few steps, in every test."""
    monkeypatch.setattr(schedule, "LEAST_IMAGES_OF_BATCH_STATISTICS", 0)


@pytest.fixture(autouse=True)
def small_sheets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw few images for the sheets after an epoch, in every test."""
    monkeypatch.setattr(recorder, "SHEET_IMAGES", 9)


@pytest.fixture(scope="module")
def watch(digits: Digits) -> MeanImageWatch:
    """A quick watch by 50 images of the classes of digits that no test here trains on."""
    return mean_image_watch(Digits(digits.images[-50:], digits.labels[-50:]))


def train(
    config: TrainingConfig,
    digits: Digits,
    watch: Watch,
    run: RunFolder,
    device: torch.device,
    report: Report,
    stop_requested: Callable[[], bool],
    resume_from: Checkpoint | None = None,
) -> bool:
    """Train and record in `run`."""
    return loop.train(config, digits, device, Recorder(config, watch, run, report), stop_requested, resume_from)


@dataclass(frozen=True, eq=False)
class ScriptedWatch:
    """Sees scores that were decided beforehand, and keeps what it is given."""

    labels: NDArray[np.int64]
    scores: Iterator[float]
    given: list[NDArray[np.uint8]]

    def observe(self, images: NDArray[np.uint8], discriminator_logits: Verdicts) -> Observation:
        """Return the next score."""
        self.given.append(images)
        return rough_observation(next(self.scores))


@pytest.fixture
def new_run(tmp_path: Path) -> NewRun:
    """Makes empty run folders."""
    numbers = count()

    def make() -> RunFolder:
        path = tmp_path / f"run{next(numbers)}"
        path.mkdir()
        return RunFolder(path)

    return make


def never() -> bool:
    """Ask for no stop."""
    return False


def after(calls: int) -> Callable[[], bool]:
    """Return a stop request that comes with the given call and stays."""
    made = count(1)
    return lambda: next(made) >= calls


def few(digits: Digits, count: int) -> Digits:
    """Return the first digits."""
    return Digits(digits.images[:count], digits.labels[:count])


def digits_for(config: TrainingConfig, digits: Digits) -> Digits:
    """Return as many digits as the tests use with a preset."""
    return few(digits, MLP_IMAGES if config.preset == "mlp" else FEW_IMAGES)


def statistics(run: RunFolder) -> list[dict[str, float]]:
    """Return the lines of `stats.jsonl` without their times, and without what the run was to be when they were written."""
    lines = [json.loads(line) for line in (run.path / "stats.jsonl").read_text().splitlines()]
    assert all(line.pop("seconds") > 0 for line in lines)
    assert all(line.pop("planned_epochs") >= line["epoch"] for line in lines)
    return lines


def assert_same_state(found: Checkpoint, expected: Checkpoint) -> None:
    """Compare two checkpoints bit for bit, but for the time that they took."""
    assert found.config == expected.config
    assert replace(found.progress, seconds=0) == replace(expected.progress, seconds=0)
    assert found.tensors.keys() == expected.tensors.keys()
    for name, tensor in expected.tensors.items():
        assert torch.equal(tensor, found.tensors[name]), name


def assert_same_run(found: RunFolder, expected: RunFolder) -> None:
    """Compare all that two runs left, bit for bit, but for the time that they took."""
    assert sorted(path.name for path in found.path.iterdir()) == sorted(path.name for path in expected.path.iterdir())
    assert statistics(found) == statistics(expected)
    for sheet in expected.path.glob("*.png"):
        assert (found.path / sheet.name).read_bytes() == sheet.read_bytes(), sheet.name
    assert_same_state(load_checkpoint(found.last), load_checkpoint(expected.last))
    assert_same_state(load_checkpoint(found.best), load_checkpoint(expected.best))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, digits: Digits, watch: Watch) -> RunFolder:
    """Two epochs of the mlp preset in one go."""
    run = RunFolder(tmp_path_factory.mktemp("uninterrupted"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder, "SHEET_IMAGES", 9)
        assert train(MLP, digits_for(MLP, digits), watch, run, CPU, SilentReport(), never)
    return run


def test_a_run_leaves_config_statistics_pictures_and_three_checkpoints(uninterrupted: RunFolder) -> None:
    assert sorted(path.name for path in uninterrupted.path.iterdir()) == [
        "best.safetensors",
        "config.json",
        "curves.png",
        "fakes_epoch_0001.png",
        "fakes_epoch_0002.png",
        "last.safetensors",
        "previous.safetensors",
        "reals.png",
        "stats.jsonl",
    ]
    epochs = [load_checkpoint(path).progress.epoch for path in (uninterrupted.previous, uninterrupted.last)]
    assert epochs == [1, 2]
    assert TrainingConfig.from_json((uninterrupted.path / "config.json").read_text()) == MLP


def test_statistics_hold_position_means_and_score_of_each_epoch(uninterrupted: RunFolder) -> None:
    lines = statistics(uninterrupted)
    assert [(line["epoch"], line["images_seen"]) for line in lines] == [(1, 320), (2, 640)]
    for line in lines:
        assert list(line) == [
            "epoch",
            "images_seen",
            "generator_loss",
            "discriminator_loss",
            "real_score",
            "fake_score",
            "frechet_ratio",
            "class_shares",
            "coverage",
            "variety",
            "pairs_named_training",
            "pairs_named_held_out",
            "pairs_lead_training",
            "pairs_lead_held_out",
            "skipped_steps",
            "signs",
        ]
        assert 0 < line["fake_score"] < 1
        assert 0 < line["real_score"] < 1
        assert line["frechet_ratio"] > 0


def test_last_checkpoint_stands_at_the_end_of_the_last_epoch(uninterrupted: RunFolder) -> None:
    checkpoint = load_checkpoint(uninterrupted.last)
    assert checkpoint.config == MLP
    assert (checkpoint.progress.epoch, checkpoint.progress.step, checkpoint.progress.images_seen) == (2, 0, 640)
    assert checkpoint.progress.best_score == min(line["frechet_ratio"] for line in statistics(uninterrupted))
    assert checkpoint.tensors["sums"].tolist() == [0, 0, 0, 0, 0]


@pytest.mark.parametrize(("scores", "best_epoch"), [([3.0, 2.0], 2), ([2.0, 3.0], 1), ([2.0, 2.0], 2), ([2.0, 2.1], 2)])
def test_best_checkpoint_is_the_last_of_those_with_the_lowest_score_but_for_noise(
    new_run: NewRun, digits: Digits, scores: list[float], best_epoch: int
) -> None:
    run, scripted = new_run(), ScriptedWatch(np.arange(7), iter(scores), given=[])
    train(MLP, digits_for(MLP, digits), scripted, run, CPU, SilentReport(), never)
    best, last = load_checkpoint(run.best), load_checkpoint(run.last)
    assert (best.progress.epoch, last.progress.epoch) == (best_epoch, 2)
    assert (best.progress.best_score, last.progress.best_score) == (2.0, 2.0)
    assert [line["frechet_ratio"] for line in statistics(run)] == scores


@pytest.mark.parametrize("config", [MLP, NANO], ids=["without classes", "with classes and an average"])
def test_what_is_scored_is_what_the_checkpoints_generator_draws(new_run: NewRun, digits: Digits, config: TrainingConfig) -> None:
    run, scripted = new_run(), ScriptedWatch(np.array([3, 1, 4, 1, 5, 9, 2, 6]), iter([1.0, 0.5]), given=[])
    train(config, digits_for(config, digits), scripted, run, CPU, SilentReport(), never)
    preset = PRESETS[config.preset]
    labels = scripted.labels if preset.is_conditional else None
    expected = draw(restore_generator(load_checkpoint(run.best)), preset.latent_size, WATCHED_SEED, 0, 8, labels)
    assert np.array_equal(scripted.given[1], expected)
    assert not np.array_equal(scripted.given[0], expected)


def test_the_sheet_of_a_conditional_preset_shows_the_classes_in_turn(new_run: NewRun, digits: Digits, watch: Watch) -> None:
    run, config = new_run(), replace(NANO, epochs=1)
    train(config, digits_for(NANO, digits), watch, run, CPU, SilentReport(), never)
    generator = restore_generator(load_checkpoint(run.last))
    expected = draw(generator, PRESETS["nano"].latent_size, 0, 0, 9, np.arange(9))
    RunFolder(run.path).write_sheet(run.path / "expected.png", expected)
    assert (run.path / "fakes_epoch_0001.png").read_bytes() == (run.path / "expected.png").read_bytes()


def test_report_is_told_of_every_step_and_epoch(new_run: NewRun, digits: Digits, watch: Watch) -> None:
    report, run = SilentReport(), new_run()
    train(MLP, digits_for(MLP, digits), watch, run, CPU, report, never)
    assert report.steps == [(epoch, step) for epoch in (0, 1) for step in range(1, MLP_STEPS + 1)]
    assert [progress.epoch for progress, _, _ in report.epochs] == [1, 2]
    for (_, measured, seen), line in zip(report.epochs, statistics(run), strict=True):
        assert line["frechet_ratio"] == seen.frechet_ratio
        assert line["generator_loss"] == measured.generator_loss


def test_the_same_seed_gives_the_same_run_and_another_seed_another(
    uninterrupted: RunFolder, new_run: NewRun, digits: Digits, watch: Watch
) -> None:
    same, other = new_run(), new_run()
    torch.rand(3)  # the state of the process must not matter
    train(MLP, digits_for(MLP, digits), watch, same, CPU, SilentReport(), never)
    train(replace(MLP, seed=1), digits_for(MLP, digits), watch, other, CPU, SilentReport(), never)
    assert_same_run(same, uninterrupted)
    assert statistics(other) != statistics(uninterrupted)


def resume_until_done(config: TrainingConfig, digits: Digits, watch: Watch, run: RunFolder, steps_each: Iterator[int]) -> int:
    """Train in pieces of so many steps each; return the number of times that it had to be resumed."""
    checkpoint: Checkpoint | None = None
    for resumed in count():
        if train(config, digits_for(config, digits), watch, run, CPU, SilentReport(), after(next(steps_each)), checkpoint):
            return resumed
        checkpoint = load_checkpoint(run.last)
    raise AssertionError


# In an epoch of 5 steps: within the first, within the second, in both, at the end of the first, and after every single step.
# The end of an epoch asks once more, so that a request at call 6 comes there.
@pytest.mark.parametrize(
    ("steps_each", "resumed"),
    [([3, 99], 1), ([8, 99], 1), ([2, 2, 4, 99], 3), ([5, 99], 1), ([6, 99], 1), ([1] * 99, 9)],
    ids=["first epoch", "second epoch", "both", "last step of an epoch", "between epochs", "every step"],
)
def test_stopping_and_resuming_equals_never_having_stopped(
    uninterrupted: RunFolder, new_run: NewRun, digits: Digits, watch: Watch, steps_each: list[int], resumed: int
) -> None:
    run = new_run()
    assert resume_until_done(MLP, digits, watch, run, iter(steps_each)) == resumed
    assert_same_run(run, uninterrupted)


def test_the_same_holds_for_dropout_and_batch_normalization_of_the_dcgan(new_run: NewRun, digits: Digits, watch: Watch) -> None:
    whole, pieces = new_run(), new_run()
    train(DCGAN, digits_for(DCGAN, digits), watch, whole, CPU, SilentReport(), never)
    assert resume_until_done(DCGAN, digits, watch, pieces, iter([2, 4, 99])) == 2
    assert_same_run(pieces, whole)


def test_the_same_holds_for_classes_the_average_a_falling_rate_and_refinement(
    new_run: NewRun, digits: Digits, watch: Watch
) -> None:
    whole, pieces = new_run(), new_run()
    train(NANO, digits_for(NANO, digits), watch, whole, CPU, SilentReport(), never)
    # After step 7 of 8, and before: the last three are refined.
    assert resume_until_done(NANO, digits, watch, pieces, iter([2, 4, 1, 99])) == 3
    assert_same_run(pieces, whole)


def test_a_stop_within_an_epoch_keeps_its_sums(new_run: NewRun, digits: Digits, watch: Watch) -> None:
    run, report = new_run(), SilentReport()
    assert not train(MLP, digits_for(MLP, digits), watch, run, CPU, report, after(3))
    checkpoint = load_checkpoint(run.last)
    assert (checkpoint.progress.epoch, checkpoint.progress.step, checkpoint.progress.images_seen) == (0, 3, 192)
    assert checkpoint.tensors["sums"].abs().min() > 0
    assert report.epochs == []
    assert not run.best.exists()
    assert not (run.path / "stats.jsonl").exists()


def test_a_stop_at_the_very_end_is_a_finished_run(new_run: NewRun, digits: Digits, watch: Watch) -> None:
    assert train(MLP, digits_for(MLP, digits), watch, new_run(), CPU, SilentReport(), after(2 * MLP_STEPS + 1))


def test_a_finished_run_goes_on_with_more_epochs(new_run: NewRun, uninterrupted: RunFolder, digits: Digits, watch: Watch) -> None:
    run = new_run()
    train(replace(MLP, epochs=1), digits_for(MLP, digits), watch, run, CPU, SilentReport(), never)
    assert train(MLP, digits_for(MLP, digits), watch, run, CPU, SilentReport(), never, load_checkpoint(run.last))
    assert_same_run(run, uninterrupted)
    planned = [json.loads(line)["planned_epochs"] for line in (run.path / "stats.jsonl").read_text().splitlines()]
    assert planned == [1, 2]


def test_a_finished_run_that_is_resumed_changes_nothing(new_run: NewRun, digits: Digits, watch: Watch) -> None:
    run, report = new_run(), SilentReport()
    config = replace(MLP, epochs=1)
    train(config, digits_for(MLP, digits), watch, run, CPU, report, never)
    before = {path.name: path.read_bytes() for path in run.path.iterdir()}
    again = SilentReport()
    assert train(config, digits_for(MLP, digits), watch, run, CPU, again, never, load_checkpoint(run.last))
    assert {path.name: path.read_bytes() for path in run.path.iterdir()} == before
    assert (again.steps, again.epochs) == ([], [])


@pytest.mark.parametrize("saves_before", [3, 4], ids=["before the best checkpoint", "before the last checkpoint"])
def test_a_kill_between_statistics_and_checkpoint_doubles_nothing(
    monkeypatch: pytest.MonkeyPatch,
    new_run: NewRun,
    uninterrupted: RunFolder,
    digits: Digits,
    watch: Watch,
    saves_before: int,
) -> None:
    run, saves = new_run(), count()

    def save_until_killed(
        path: Path, config: TrainingConfig, gan: Gan, progress: Progress, sums: Tensor, previous: Path | None = None
    ) -> None:
        if next(saves) >= saves_before:
            raise KeyboardInterrupt
        save_checkpoint(path, config, gan, progress, sums, previous)

    scores = [line["frechet_ratio"] for line in statistics(uninterrupted)]
    assert scores[1] < scores[0]  # the second epoch saves twice as well
    with monkeypatch.context() as patch:
        patch.setattr(recorder, "save_checkpoint", save_until_killed)
        with pytest.raises(KeyboardInterrupt):
            train(MLP, digits_for(MLP, digits), watch, run, CPU, SilentReport(), never)
    assert [line["epoch"] for line in statistics(run)] == [1, 2]
    assert load_checkpoint(run.last).progress.epoch == 1
    assert train(MLP, digits_for(MLP, digits), watch, run, CPU, SilentReport(), never, load_checkpoint(run.last))
    assert_same_run(run, uninterrupted)


def test_the_config_on_disk_is_that_of_the_last_resumption(new_run: NewRun, digits: Digits, watch: Watch) -> None:
    run = new_run()
    train(MLP, digits_for(MLP, digits), watch, run, CPU, SilentReport(), after(2))
    longer = replace(MLP, epochs=9)
    train(longer, digits_for(MLP, digits), watch, run, CPU, SilentReport(), after(2), load_checkpoint(run.last))
    assert TrainingConfig.from_json((run.path / "config.json").read_text()) == longer


def test_a_run_whose_losses_are_not_finite_ends_and_keeps_its_last_sound_checkpoint(
    monkeypatch: pytest.MonkeyPatch, new_run: NewRun, digits: Digits, watch: Watch
) -> None:
    steps = count(1)

    def diverge(gan: Gan, batch: Batch) -> StepStatistics:
        measured = alternating_step(gan, batch)
        return replace(measured, generator_loss=torch.tensor(torch.inf)) if next(steps) == MLP_STEPS + 2 else measured

    monkeypatch.setattr(loop, "PRESETS", MappingProxyType({"mlp": replace(PRESETS["mlp"], step=diverge)}))
    run = new_run()
    with pytest.raises(TrainingError, match="diverged in epoch 2: a loss is not finite; start again with a lower --lr"):
        train(MLP, digits_for(MLP, digits), watch, run, CPU, SilentReport(), never)
    assert load_checkpoint(run.last).progress.epoch == 1
    assert [line["epoch"] for line in statistics(run)] == [1]


def poison(monkeypatch: pytest.MonkeyPatch, config: TrainingConfig, is_ill: Callable[[int], bool]) -> None:
    """Let one gradient of the generator be no number in some of a run's steps, counted from 0."""
    own = PRESETS[config.preset]

    def step(gan: Gan, batch: Batch) -> StepStatistics:
        if not is_ill(batch.step):
            return own.step(gan, batch)
        weight = next(gan.generator.parameters())
        hook = weight.register_hook(lambda gradient: gradient * torch.nan)
        measured = own.step(gan, batch)
        hook.remove()
        return measured

    monkeypatch.setattr(loop, "PRESETS", MappingProxyType({config.preset: replace(own, step=step)}))


@pytest.mark.parametrize("config", [MLP, DCGAN, NANO], ids=["mlp", "dcgan", "nano"])
def test_a_step_whose_gradients_are_not_finite_is_skipped_and_told(
    monkeypatch: pytest.MonkeyPatch, new_run: NewRun, digits: Digits, watch: Watch, config: TrainingConfig
) -> None:
    poison(monkeypatch, config, lambda step: step in (1, 6))
    run, report = new_run(), SilentReport()
    assert train(config, digits_for(config, digits), watch, run, CPU, report, never)
    assert report.skipped_steps == [2, 7]
    assert [line["skipped_steps"] for line in statistics(run)] == [1, 1]
    assert all(np.isfinite(line["generator_loss"]) for line in statistics(run))
    assert all(tensor.isfinite().all() for tensor in load_checkpoint(run.last).tensors.values())


def test_a_step_that_is_skipped_moves_neither_the_generator_nor_its_statistics_nor_the_average(
    monkeypatch: pytest.MonkeyPatch, new_run: NewRun, digits: Digits, watch: Watch
) -> None:
    poison(monkeypatch, NANO, lambda step: step == 1)
    run, checkpoint, states = new_run(), None, []
    for _ in range(2):
        train(NANO, digits_for(NANO, digits), watch, run, CPU, SilentReport(), after(1), checkpoint)
        checkpoint = load_checkpoint(run.last)
        states.append(checkpoint.tensors)
    before, left = states
    names = [name for name in before if name.startswith(("generator.", "average.", "generator_optimizer."))]
    assert any("running_var" in name for name in names)
    assert all(torch.equal(before[name], left[name]) for name in names)


def assert_gives_up(run: RunFolder, digits: Digits, watch: Watch, told: str) -> SilentReport:
    """Check that a run ends with an error that begins so, and that its last checkpoint is sound; return what it reported."""
    report = SilentReport()
    with pytest.raises(TrainingError, match=f"^{told}.*start again with a lower --lr"):
        train(MLP, digits_for(MLP, digits), watch, run, CPU, report, never)
    checkpoint = load_checkpoint(run.last)
    assert checkpoint.progress.epoch == 1
    assert all(tensor.isfinite().all() for tensor in checkpoint.tensors.values())
    return report


def test_a_run_with_many_such_steps_in_a_row_gives_up_and_keeps_its_last_sound_checkpoint(
    monkeypatch: pytest.MonkeyPatch, new_run: NewRun, digits: Digits, watch: Watch
) -> None:
    assert MOST_SKIPPED_STEPS == 20
    monkeypatch.setattr(loop, "MOST_SKIPPED_STEPS", 3)
    poison(monkeypatch, MLP, lambda step: step in (1, 2) or step >= MLP_STEPS + 1)
    told = "diverged: 3 steps in a row, up to step 9, had gradients that are not finite; the checkpoints from before are kept"
    assert assert_gives_up(new_run(), digits, watch, told).skipped_steps == [2, 3, 7, 8, 9]


def test_a_run_with_an_epoch_of_such_steps_gives_up_and_keeps_its_last_sound_checkpoint(
    monkeypatch: pytest.MonkeyPatch, new_run: NewRun, digits: Digits, watch: Watch
) -> None:
    poison(monkeypatch, MLP, lambda step: step >= MLP_STEPS)
    assert_gives_up(new_run(), digits, watch, f"diverged: all {MLP_STEPS} steps of epoch 2 were skipped")


def test_a_run_that_is_stopped_among_skipped_steps_goes_on_as_if_it_had_not_been(
    monkeypatch: pytest.MonkeyPatch, new_run: NewRun, digits: Digits, watch: Watch
) -> None:
    poison(monkeypatch, MLP, lambda step: step in (1, 2, 6))
    whole, pieces = new_run(), new_run()
    train(MLP, digits_for(MLP, digits), watch, whole, CPU, SilentReport(), never)
    assert resume_until_done(MLP, digits, watch, pieces, iter([2, 2, 99])) == 2
    assert_same_run(pieces, whole)


class DiskThatFills(SilentReport):
    """A report after whose first epoch no file can grow large."""

    def __init__(self, largest_bytes: int) -> None:
        super().__init__()
        self._largest_bytes = largest_bytes
        self.disk = ExitStack()

    def epoch(self, progress: Progress, measured: Means, seen: Observation, warnings: list[Sign]) -> None:
        """Fill the disk."""
        self.disk.enter_context(small_files_only(self._largest_bytes))


@pytest.mark.parametrize(
    "largest_bytes", [100, 50_000, 1_000_000], ids=["no room at all", "room for a sheet", "no room for a checkpoint"]
)
def test_a_disk_that_fills_ends_the_run_and_the_old_checkpoint_survives(
    uninterrupted: RunFolder, new_run: NewRun, digits: Digits, watch: Watch, largest_bytes: int
) -> None:
    run, report = new_run(), DiskThatFills(largest_bytes)
    with report.disk, pytest.raises(OutputError, match=r"cannot write .*: File too large"):
        train(MLP, digits_for(MLP, digits), watch, run, CPU, report, never)
    checkpoint = load_checkpoint(run.last)
    assert checkpoint.progress.epoch == 1
    # With room again, it ends as if nothing had been.
    assert train(MLP, digits_for(MLP, digits), watch, run, CPU, SilentReport(), never, checkpoint)
    assert_same_run(run, uninterrupted)


def test_a_warning_is_told_when_it_is_there_for_the_second_time_and_not_again(new_run: NewRun, digits: Digits) -> None:
    ratios = [3.0, 2.9, 2.8, 2.7, 9.0, 9.0, 9.0, 2.6, 9.0, 9.0]
    run, report, config = new_run(), SilentReport(), replace(MLP, epochs=len(ratios))
    scripted = ScriptedWatch(np.arange(7), iter(ratios), given=[])
    train(config, digits_for(MLP, digits), scripted, run, CPU, report, never)
    assert report.warnings == [(6, "worse"), (10, "worse")]
    lines: list[dict[str, dict[str, str]]] = [json.loads(line) for line in (run.path / "stats.jsonl").read_text().splitlines()]
    assert [list(line["signs"]) for line in lines] == [["worse"] if ratio == 9.0 else [] for ratio in ratios]


def test_a_resumed_run_does_not_repeat_a_warning(new_run: NewRun, digits: Digits) -> None:
    ratios = [3.0, 2.9, 2.8, 2.7, 9.0, 9.0, 9.0]
    run, told = new_run(), []
    checkpoint = None
    for epochs in (5, 6, 7):
        report = SilentReport()
        scripted = ScriptedWatch(np.arange(7), iter(ratios[len(statistics(run)) if checkpoint else 0 :]), given=[])
        config = replace(MLP, epochs=epochs)
        train(config, digits_for(MLP, digits), scripted, run, CPU, report, never, checkpoint)
        told.append(report.warnings)
        checkpoint = load_checkpoint(run.last)
    assert told == [[], [(6, "worse")], []]


def test_a_checkpoint_of_another_preset_is_refused(
    uninterrupted: RunFolder, new_run: NewRun, digits: Digits, watch: Watch
) -> None:
    with pytest.raises(CheckpointError, match="its generator does not fit"):
        train(DCGAN, digits_for(DCGAN, digits), watch, new_run(), CPU, SilentReport(), never, load_checkpoint(uninterrupted.last))


def test_a_run_folder_that_is_gone_is_an_output_error(tmp_path: Path, digits: Digits, watch: Watch) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        train(MLP, digits_for(MLP, digits), watch, RunFolder(tmp_path / "gone"), CPU, SilentReport(), never)


def test_a_batch_larger_than_the_data_is_refused_before_anything_is_written(
    new_run: NewRun, digits: Digits, watch: Watch
) -> None:
    run = new_run()
    with pytest.raises(TrainingError, match="batch size 64 exceeds the 63 training images"):
        train(MLP, few(digits, 63), watch, run, CPU, SilentReport(), never)
    assert list(run.path.iterdir()) == []


@pytest.mark.parametrize(("images", "steps"), [(64, 1), (127, 1), (128, 2), (60_000, 937)])
def test_an_epoch_has_as_many_steps_as_there_are_whole_batches(images: int, steps: int) -> None:
    assert count_steps(MLP, images) == steps


class RecordingStep:
    """A training step that keeps what it is told and moves nothing."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.rates: list[tuple[float, float]] = []
        """Learning rates of both optimizers."""

    def __call__(self, gan: Gan, batch: Batch) -> StepStatistics:
        """Keep it."""
        self.batches.append(batch)
        optimizers = (gan.generator_optimizer, gan.discriminator_optimizer)
        first, second = (optimizer.param_groups[0]["lr"] for optimizer in optimizers)
        self.rates.append((first, second))
        return StepStatistics(True, *torch.zeros(4))


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> RecordingStep:
    """What the presets' steps are called with."""
    step = RecordingStep()
    presets = {name: replace(preset, step=step) for name, preset in PRESETS.items()}
    monkeypatch.setattr(loop, "PRESETS", MappingProxyType(presets))
    return step


def test_each_epoch_shows_each_image_at_most_once_in_its_own_order(
    recorded: RecordingStep, new_run: NewRun, digits: Digits, watch: Watch
) -> None:
    train(replace(MLP, seed=9), digits_for(MLP, digits), watch, new_run(), CPU, SilentReport(), never)
    for epoch in (0, 1):
        shown = torch.cat([batch.real for batch in recorded.batches[epoch * MLP_STEPS :][:MLP_STEPS]])
        expected = digits.images[image_order(9, epoch, MLP_IMAGES)[:320]].astype(np.float32) / 127.5 - 1
        assert shown.shape == (320, 1, 28, 28)
        torch.testing.assert_close(shown[:, 0], torch.from_numpy(expected))
        assert (shown.min().item(), shown.max().item()) == (-1, 1)


def test_steps_are_counted_over_the_whole_run(recorded: RecordingStep, new_run: NewRun, digits: Digits, watch: Watch) -> None:
    train(MLP, digits_for(MLP, digits), watch, new_run(), CPU, SilentReport(), never)
    assert [batch.step for batch in recorded.batches] == list(range(2 * MLP_STEPS))


def test_each_step_gets_new_normal_latents(recorded: RecordingStep, new_run: NewRun, digits: Digits, watch: Watch) -> None:
    train(MLP, digits_for(MLP, digits), watch, new_run(), CPU, SilentReport(), never)
    assert [batch.latent.shape for batch in recorded.batches] == [(64, 100)] * 10
    everything = torch.stack([batch.latent for batch in recorded.batches])
    # On a grid two latents may agree, but not two rows.
    assert len({tuple(row.tolist()) for row in everything.flatten(0, 1)}) == 640
    assert abs(everything.mean()) < 0.02
    assert abs(everything.std() - 1) < 0.02


def test_a_conditional_preset_is_told_the_labels_of_its_images(
    recorded: RecordingStep, new_run: NewRun, digits: Digits, watch: Watch
) -> None:
    train(replace(NANO, seed=9), digits_for(NANO, digits), watch, new_run(), CPU, SilentReport(), never)
    for epoch in (0, 1):
        told = torch.cat([torch.stack(batch.condition, dim=1) for batch in recorded.batches[4 * epoch :][:4]])
        assert told.dtype == torch.int64
        assert told[:, 0].tolist() == digits.labels[image_order(9, epoch, FEW_IMAGES)[:64]].tolist()


def test_a_preset_without_classes_is_told_no_labels(
    recorded: RecordingStep, new_run: NewRun, digits: Digits, watch: Watch
) -> None:
    train(MLP, digits_for(MLP, digits), watch, new_run(), CPU, SilentReport(), never)
    assert [batch.condition for batch in recorded.batches] == [()] * 10


def test_both_learning_rates_follow_the_schedule(recorded: RecordingStep, new_run: NewRun, digits: Digits, watch: Watch) -> None:
    train(NANO, digits_for(NANO, digits), watch, new_run(), CPU, SilentReport(), never)
    expected = [learning_rate(NANO, 16 * step, 8 * 16) for step in range(8)]
    assert recorded.rates == [(rate, rate) for rate in expected]
    assert expected[0] == NANO.learning_rate
    assert expected[4] == pytest.approx(NANO.learning_rate * 0.1**0.5)


def test_the_gradient_penalty_follows_the_schedule(
    recorded: RecordingStep, new_run: NewRun, digits: Digits, watch: Watch
) -> None:
    train(NANO, digits_for(NANO, digits), watch, new_run(), CPU, SilentReport(), never)
    expected = [penalty_weight(NANO, 16 * step, 8 * 16) for step in range(8)]
    assert [batch.penalty_weight for batch in recorded.batches] == expected
    assert expected[0] == 0.5
    assert expected[4] == pytest.approx(0.5 * 0.2**0.5)


def test_images_are_shifted_and_classes_named_in_the_last_part_of_a_run(
    recorded: RecordingStep, new_run: NewRun, digits: Digits, watch: Watch
) -> None:
    train(NANO, digits_for(NANO, digits), watch, new_run(), CPU, SilentReport(), never)
    assert [(batch.class_weight, batch.shifted_share) for batch in recorded.batches] == [(0, 0)] * 5 + [(0.25, 0.75)] * 3


class StatisticsRecorder:
    """Takes steps of the nano preset and keeps the running statistics and the weights of its first normalization."""

    def __init__(self) -> None:
        self.seen: list[tuple[Tensor, Tensor]] = []

    def __call__(self, gan: Gan, batch: Batch) -> StepStatistics:
        """Take a step."""
        measured = PRESETS["nano"].step(gan, batch)
        values = gan.generator.state_dict()
        self.seen.append((values["body.2.running_var"].clone(), values["body.2.weight"].clone()))
        return measured

    def moved(self) -> list[tuple[bool, bool]]:
        """Return whether statistics and weights moved, from each step to the next."""
        return [
            (not torch.equal(*variances), not torch.equal(*weights))
            for (variances, weights) in (zip(*pair, strict=True) for pair in itertools.pairwise(self.seen))
        ]


@pytest.fixture
def statistics_recorder(monkeypatch: pytest.MonkeyPatch) -> StatisticsRecorder:
    """Record the statistics in every run of the nano preset."""
    recorder = StatisticsRecorder()
    monkeypatch.setattr(loop, "PRESETS", MappingProxyType({"nano": replace(PRESETS["nano"], step=recorder)}))
    return recorder


@pytest.mark.parametrize("halflife", [1000, 0], ids=["with an average", "without one"])
def test_the_running_statistics_stand_still_from_the_share_of_the_run_that_was_set(
    statistics_recorder: StatisticsRecorder, new_run: NewRun, digits: Digits, watch: Watch, halflife: int
) -> None:
    config = replace(NANO, ema_halflife_images=halflife)
    train(config, digits_for(config, digits), watch, new_run(), CPU, SilentReport(), never)
    assert statistics_recorder.moved() == [(True, True)] * 3 + [(False, True)] * 4


def test_a_run_that_is_made_longer_keeps_its_statistics(
    statistics_recorder: StatisticsRecorder, new_run: NewRun, digits: Digits, watch: Watch
) -> None:
    run, longer = new_run(), replace(NANO, epochs=8)
    train(NANO, digits_for(NANO, digits), watch, run, CPU, SilentReport(), never)
    train(longer, digits_for(NANO, digits), watch, run, CPU, SilentReport(), never, load_checkpoint(run.last))
    # 8 steps, then 24: half of 32 would be 16.
    assert statistics_recorder.moved() == [(True, True)] * 3 + [(False, True)] * 28


def test_the_average_follows_the_generator_step_by_step(
    monkeypatch: pytest.MonkeyPatch, new_run: NewRun, digits: Digits, watch: Watch
) -> None:
    generators = []

    def remember(gan: Gan, batch: Batch) -> StepStatistics:
        measured = PRESETS["nano"].step(gan, batch)
        generators.append(deepcopy(gan.generator))
        return measured

    monkeypatch.setattr(loop, "PRESETS", MappingProxyType({"nano": replace(PRESETS["nano"], step=remember)}))
    run = new_run()
    train(NANO, digits_for(NANO, digits), watch, run, CPU, SilentReport(), never)
    average = deepcopy(generators[0])
    for step, generator in enumerate(generators[1:], start=1):
        update_ema(average, generator, ema_decay(1000, 16 * step, 16))
    tensors = load_checkpoint(run.last).tensors
    for name, value in average.state_dict().items():
        assert torch.equal(value, tensors[f"average.{name}"]), name
        assert torch.equal(generators[-1].state_dict()[name], tensors[f"generator.{name}"]), name


def test_bfloat16_computes_with_the_weights_as_they_are(
    monkeypatch: pytest.MonkeyPatch, new_run: NewRun, digits: Digits, watch: Watch
) -> None:
    """Autocast keeps bfloat16 copies of weights, which a step that moves a network twice would go on using."""
    batches: list[Batch] = []

    def remember(gan: Gan, batch: Batch) -> StepStatistics:
        batches.append(batch)
        return alternating_step(gan, batch)

    monkeypatch.setattr(loop, "PRESETS", MappingProxyType({"mlp": replace(PRESETS["mlp"], step=remember)}))
    config, run = replace(MLP, epochs=1, bfloat16=True), new_run()
    train(config, digits_for(MLP, digits), watch, run, CPU, SilentReport(), never)

    torch.manual_seed(config.seed)
    expected = build_gan(config, CPU)
    for batch in batches:
        with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
            alternating_step(expected, batch)
    tensors = load_checkpoint(run.last).tensors
    for name, network in (("generator", expected.generator), ("discriminator", expected.discriminator)):
        for key, value in network.state_dict().items():
            assert torch.equal(value, tensors[f"{name}.{key}"]), (name, key)


def test_bfloat16_changes_the_result_but_not_the_type_of_the_weights(
    uninterrupted: RunFolder, new_run: NewRun, digits: Digits, watch: Watch
) -> None:
    run = new_run()
    train(replace(MLP, bfloat16=True), digits_for(MLP, digits), watch, run, CPU, SilentReport(), never)
    weight, other = (load_checkpoint(path).tensors["generator.0.weight"] for path in (run.last, uninterrupted.last))
    assert weight.dtype == torch.float32
    assert not torch.equal(weight, other)


@pytest.mark.parametrize("count", [1, 7, 1000])
def test_image_order_is_a_permutation(count: int) -> None:
    assert sorted(image_order(0, 0, count).tolist()) == list(range(count))


def test_image_order_depends_on_seed_and_epoch_and_on_nothing_else() -> None:
    orders = {(seed, epoch): tuple(image_order(seed, epoch, 100).tolist()) for seed in (0, 1, 2) for epoch in (0, 1, 2)}
    assert len(set(orders.values())) == 9
    np.random.seed(5)
    assert tuple(image_order(1, 2, 100).tolist()) == orders[1, 2]


def test_image_order_of_a_seed_is_for_ever() -> None:
    # A run that is resumed under another version of numpy must find the same order.
    assert image_order(0, 0, 10).tolist() == [0, 7, 8, 6, 9, 5, 1, 3, 2, 4]
    assert image_order(3, 7, 10).tolist() == [6, 1, 5, 2, 9, 0, 7, 3, 8, 4]


def test_every_seed_that_a_config_takes_has_an_order_of_its_own() -> None:
    seeds = [2**53, 2**53 + 1, 2**63, 2**63 + 1, 2**64 - 2, 2**64 - 1]
    assert len({tuple(image_order(seed, 1, 100).tolist()) for seed in seeds}) == len(seeds)
    torch.manual_seed(max(seeds))


@pytest.mark.parametrize(
    "error",
    [MemoryError(), torch.OutOfMemoryError("CUDA"), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")],
)
def test_too_little_memory_is_told_in_a_line(
    new_run: NewRun, digits: Digits, watch: Watch, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(gan: Gan, batch: Batch) -> StepStatistics:
        raise error

    monkeypatch.setattr(loop, "PRESETS", {"mlp": replace(PRESETS["mlp"], step=fail)})
    with pytest.raises(TrainingError, match="not enough memory for --batch-size 64: choose a smaller one"):
        train(MLP, digits_for(MLP, digits), watch, new_run(), CPU, SilentReport(), never)
