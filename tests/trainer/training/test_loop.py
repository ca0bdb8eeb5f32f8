"""The training loop on a few hundred real digits: what it leaves on disk, and that stopping leaves no trace."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from silent_report import SilentReport
from torch import Tensor

from pocketgan.errors import OutputError
from pocketgan_trainer.errors import CheckpointError, TrainingError
from pocketgan_trainer.evaluate.pixel_frechet import PixelSpace, fit_pixel_space
from pocketgan_trainer.training import loop
from pocketgan_trainer.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.loop import build_players, count_steps, image_order, train
from pocketgan_trainer.training.presets import PRESETS
from pocketgan_trainer.training.progress import Progress
from pocketgan_trainer.training.run_folder import RunFolder
from pocketgan_trainer.training.steps import Players, StepStatistics, alternating_step

CPU = torch.device("cpu")
MLP = replace(PRESETS["mlp"].config, epochs=2)
MLP_IMAGES = 330
MLP_STEPS = 5
"""In an epoch: 10 images are left over."""
DCGAN = replace(PRESETS["dcgan"].config, epochs=2, batch_size=16, bfloat16=False)
DCGAN_IMAGES = 66
"""The pixel space has 64 components, and needs more images than that."""

NewRun = Callable[[], RunFolder]


_pixel_spaces: dict[bytes, PixelSpace] = {}


def fit_pixel_space_once(images: NDArray[np.uint8]) -> PixelSpace:
    """Return what `fit_pixel_space` does, which takes longer than an epoch here, from memory the second time."""
    key = images.tobytes()
    if key not in _pixel_spaces:
        _pixel_spaces[key] = fit_pixel_space(images)
    return _pixel_spaces[key]


def shorten(patch: pytest.MonkeyPatch) -> None:
    """Draw dozens of images after an epoch instead of thousands."""
    patch.setattr(loop, "SCORED_IMAGES", 50)
    patch.setattr(loop, "SHEET_IMAGES", 9)
    patch.setattr(loop, "fit_pixel_space", fit_pixel_space_once)


@pytest.fixture(autouse=True)
def short_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten what follows the steps of an epoch, in every test."""
    shorten(monkeypatch)


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


def images_for(config: TrainingConfig, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return as many images as the tests use with a preset."""
    return images[: MLP_IMAGES if config.preset == "mlp" else DCGAN_IMAGES]


def statistics(run: RunFolder) -> list[dict[str, float]]:
    """Return the lines of `stats.jsonl` without their times."""
    lines = [json.loads(line) for line in (run.path / "stats.jsonl").read_text().splitlines()]
    assert all(line.pop("seconds") > 0 for line in lines)
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
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, images: NDArray[np.uint8]) -> RunFolder:
    """Two epochs of the mlp preset in one go."""
    run = RunFolder(tmp_path_factory.mktemp("uninterrupted"))
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        assert train(MLP, images_for(MLP, images), run, CPU, SilentReport(), never)
    return run


def test_a_run_leaves_config_statistics_sheets_and_two_checkpoints(uninterrupted: RunFolder) -> None:
    assert sorted(path.name for path in uninterrupted.path.iterdir()) == [
        "best.safetensors",
        "config.json",
        "fakes_epoch_0001.png",
        "fakes_epoch_0002.png",
        "last.safetensors",
        "reals.png",
        "stats.jsonl",
    ]
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
            "pixel_frechet",
        ]
        assert 0 < line["fake_score"] < 1
        assert 0 < line["real_score"] < 1
        assert line["pixel_frechet"] > 0


def test_last_checkpoint_stands_at_the_end_of_the_last_epoch(uninterrupted: RunFolder) -> None:
    checkpoint = load_checkpoint(uninterrupted.last)
    assert checkpoint.config == MLP
    assert (checkpoint.progress.epoch, checkpoint.progress.step, checkpoint.progress.images_seen) == (2, 0, 640)
    assert checkpoint.progress.best_score == min(line["pixel_frechet"] for line in statistics(uninterrupted))
    assert checkpoint.tensors["sums"].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(("scores", "best_epoch"), [([3.0, 2.0], 2), ([2.0, 3.0], 1), ([2.0, 2.0], 1)])
def test_best_checkpoint_is_that_of_the_lowest_score(
    monkeypatch: pytest.MonkeyPatch, new_run: NewRun, images: NDArray[np.uint8], scores: list[float], best_epoch: int
) -> None:
    remaining = iter(scores)
    monkeypatch.setattr(loop, "pixel_frechet", lambda space, drawn: next(remaining))
    run = new_run()
    train(MLP, images_for(MLP, images), run, CPU, SilentReport(), never)
    best, last = load_checkpoint(run.best), load_checkpoint(run.last)
    assert (best.progress.epoch, last.progress.epoch) == (best_epoch, 2)
    assert (best.progress.best_score, last.progress.best_score) == (2.0, 2.0)


def test_report_is_told_of_every_step_and_epoch(new_run: NewRun, images: NDArray[np.uint8]) -> None:
    report, run = SilentReport(), new_run()
    train(MLP, images_for(MLP, images), run, CPU, report, never)
    assert report.steps == [(epoch, step) for epoch in (0, 1) for step in range(1, MLP_STEPS + 1)]
    assert [progress.epoch for progress, _, _ in report.epochs] == [1, 2]
    for (_, measured, score), line in zip(report.epochs, statistics(run), strict=True):
        assert line["pixel_frechet"] == score
        assert line["generator_loss"] == measured.generator_loss


def test_the_same_seed_gives_the_same_run_and_another_seed_another(
    uninterrupted: RunFolder, new_run: NewRun, images: NDArray[np.uint8]
) -> None:
    same, other = new_run(), new_run()
    torch.rand(3)  # the state of the process must not matter
    train(MLP, images_for(MLP, images), same, CPU, SilentReport(), never)
    train(replace(MLP, seed=1), images_for(MLP, images), other, CPU, SilentReport(), never)
    assert_same_run(same, uninterrupted)
    assert statistics(other) != statistics(uninterrupted)


def resume_until_done(config: TrainingConfig, images: NDArray[np.uint8], run: RunFolder, steps_each: Iterator[int]) -> int:
    """Train in pieces of so many steps each; return the number of times that it had to be resumed."""
    checkpoint: Checkpoint | None = None
    for resumed in count():
        if train(config, images_for(config, images), run, CPU, SilentReport(), after(next(steps_each)), checkpoint):
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
    uninterrupted: RunFolder, new_run: NewRun, images: NDArray[np.uint8], steps_each: list[int], resumed: int
) -> None:
    run = new_run()
    assert resume_until_done(MLP, images, run, iter(steps_each)) == resumed
    assert_same_run(run, uninterrupted)


def test_the_same_holds_for_dropout_and_batch_normalization_of_the_dcgan(new_run: NewRun, images: NDArray[np.uint8]) -> None:
    whole, pieces = new_run(), new_run()
    train(DCGAN, images_for(DCGAN, images), whole, CPU, SilentReport(), never)
    assert resume_until_done(DCGAN, images, pieces, iter([2, 4, 99])) == 2
    assert_same_run(pieces, whole)


def test_a_stop_within_an_epoch_keeps_its_sums(new_run: NewRun, images: NDArray[np.uint8]) -> None:
    run, report = new_run(), SilentReport()
    assert not train(MLP, images_for(MLP, images), run, CPU, report, after(3))
    checkpoint = load_checkpoint(run.last)
    assert (checkpoint.progress.epoch, checkpoint.progress.step, checkpoint.progress.images_seen) == (0, 3, 192)
    assert checkpoint.tensors["sums"].abs().min() > 0
    assert report.epochs == []
    assert not run.best.exists()
    assert not (run.path / "stats.jsonl").exists()


def test_a_stop_at_the_very_end_is_a_finished_run(new_run: NewRun, images: NDArray[np.uint8]) -> None:
    assert train(MLP, images_for(MLP, images), new_run(), CPU, SilentReport(), after(2 * MLP_STEPS + 1))


def test_a_finished_run_goes_on_with_more_epochs(new_run: NewRun, uninterrupted: RunFolder, images: NDArray[np.uint8]) -> None:
    run = new_run()
    train(replace(MLP, epochs=1), images_for(MLP, images), run, CPU, SilentReport(), never)
    assert train(MLP, images_for(MLP, images), run, CPU, SilentReport(), never, load_checkpoint(run.last))
    assert_same_run(run, uninterrupted)


def test_a_finished_run_that_is_resumed_changes_nothing(new_run: NewRun, images: NDArray[np.uint8]) -> None:
    run, report = new_run(), SilentReport()
    config = replace(MLP, epochs=1)
    train(config, images_for(MLP, images), run, CPU, report, never)
    before = {path.name: path.read_bytes() for path in run.path.iterdir()}
    again = SilentReport()
    assert train(config, images_for(MLP, images), run, CPU, again, never, load_checkpoint(run.last))
    assert {path.name: path.read_bytes() for path in run.path.iterdir()} == before
    assert (again.steps, again.epochs) == ([], [])


@pytest.mark.parametrize("saves_before", [2, 3], ids=["before the best checkpoint", "before the last checkpoint"])
def test_a_kill_between_statistics_and_checkpoint_doubles_nothing(
    monkeypatch: pytest.MonkeyPatch,
    new_run: NewRun,
    uninterrupted: RunFolder,
    images: NDArray[np.uint8],
    saves_before: int,
) -> None:
    run, saves = new_run(), count()

    def save_until_killed(path: Path, config: TrainingConfig, players: Players, progress: Progress, sums: Tensor) -> None:
        if next(saves) >= saves_before:
            raise KeyboardInterrupt
        save_checkpoint(path, config, players, progress, sums)

    scores = [line["pixel_frechet"] for line in statistics(uninterrupted)]
    assert scores[1] < scores[0]  # the second epoch saves twice as well
    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_checkpoint", save_until_killed)
        with pytest.raises(KeyboardInterrupt):
            train(MLP, images_for(MLP, images), run, CPU, SilentReport(), never)
    assert [line["epoch"] for line in statistics(run)] == [1, 2]
    assert load_checkpoint(run.last).progress.epoch == 1
    assert train(MLP, images_for(MLP, images), run, CPU, SilentReport(), never, load_checkpoint(run.last))
    assert_same_run(run, uninterrupted)


def test_the_config_on_disk_is_that_of_the_last_resumption(new_run: NewRun, images: NDArray[np.uint8]) -> None:
    run = new_run()
    train(MLP, images_for(MLP, images), run, CPU, SilentReport(), after(2))
    longer = replace(MLP, epochs=9)
    train(longer, images_for(MLP, images), run, CPU, SilentReport(), after(2), load_checkpoint(run.last))
    assert TrainingConfig.from_json((run.path / "config.json").read_text()) == longer


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_run_that_diverges_ends_and_keeps_its_last_sound_checkpoint(
    monkeypatch: pytest.MonkeyPatch, new_run: NewRun, images: NDArray[np.uint8], loss: float
) -> None:
    steps = count(1)

    def diverge(players: Players, real: Tensor, latent: Tensor) -> StepStatistics:
        measured = alternating_step(players, real, latent)
        return replace(measured, generator_loss=torch.tensor(loss)) if next(steps) == MLP_STEPS + 2 else measured

    monkeypatch.setattr(loop, "PRESETS", MappingProxyType({"mlp": replace(PRESETS["mlp"], step=diverge)}))
    run = new_run()
    with pytest.raises(TrainingError, match="diverged in epoch 2: a loss is not finite; start again with a lower --lr"):
        train(MLP, images_for(MLP, images), run, CPU, SilentReport(), never)
    assert load_checkpoint(run.last).progress.epoch == 1
    assert [line["epoch"] for line in statistics(run)] == [1]


def test_a_checkpoint_of_another_preset_is_refused(uninterrupted: RunFolder, new_run: NewRun, images: NDArray[np.uint8]) -> None:
    with pytest.raises(CheckpointError, match="its generator does not fit"):
        train(DCGAN, images_for(DCGAN, images), new_run(), CPU, SilentReport(), never, load_checkpoint(uninterrupted.last))


def test_a_run_folder_that_is_gone_is_an_output_error(tmp_path: Path, images: NDArray[np.uint8]) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        train(MLP, images_for(MLP, images), RunFolder(tmp_path / "gone"), CPU, SilentReport(), never)


def test_a_batch_larger_than_the_data_is_refused_before_anything_is_written(new_run: NewRun, images: NDArray[np.uint8]) -> None:
    run = new_run()
    with pytest.raises(TrainingError, match="batch size 64 exceeds the 63 training images"):
        train(MLP, images[:63], run, CPU, SilentReport(), never)
    assert list(run.path.iterdir()) == []


@pytest.mark.parametrize(("images", "steps"), [(64, 1), (127, 1), (128, 2), (60_000, 937)])
def test_an_epoch_has_as_many_steps_as_there_are_whole_batches(images: int, steps: int) -> None:
    assert count_steps(MLP, images) == steps


class RecordingStep:
    """A training step that keeps its batches and moves nothing."""

    def __init__(self) -> None:
        self.reals: list[Tensor] = []
        self.latents: list[Tensor] = []

    def __call__(self, players: Players, real: Tensor, latent: Tensor) -> StepStatistics:
        """Keep the batch."""
        self.reals.append(real)
        self.latents.append(latent)
        return StepStatistics(*torch.zeros(4))


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> RecordingStep:
    """What the mlp preset's step is called with."""
    step = RecordingStep()
    monkeypatch.setattr(loop, "PRESETS", MappingProxyType({"mlp": replace(PRESETS["mlp"], step=step)}))
    return step


def test_each_epoch_shows_each_image_at_most_once_in_its_own_order(
    recorded: RecordingStep, new_run: NewRun, images: NDArray[np.uint8]
) -> None:
    train(replace(MLP, seed=9), images_for(MLP, images), new_run(), CPU, SilentReport(), never)
    for epoch in (0, 1):
        shown = torch.cat(recorded.reals[epoch * MLP_STEPS :][:MLP_STEPS])
        expected = images[image_order(9, epoch, MLP_IMAGES)[:320]].astype(np.float32) / 127.5 - 1
        assert shown.shape == (320, 1, 28, 28)
        torch.testing.assert_close(shown[:, 0], torch.from_numpy(expected))
        assert (shown.min().item(), shown.max().item()) == (-1, 1)


def test_each_step_gets_new_normal_latents(recorded: RecordingStep, new_run: NewRun, images: NDArray[np.uint8]) -> None:
    train(MLP, images_for(MLP, images), new_run(), CPU, SilentReport(), never)
    assert [latent.shape for latent in recorded.latents] == [(64, 100)] * 10
    everything = torch.stack(recorded.latents)
    assert len(set(everything.flatten().tolist())) > 0.99 * everything.numel()
    assert abs(everything.mean()) < 0.02
    assert abs(everything.std() - 1) < 0.02


def test_bfloat16_computes_with_the_weights_as_they_are(
    monkeypatch: pytest.MonkeyPatch, new_run: NewRun, images: NDArray[np.uint8]
) -> None:
    """Autocast keeps bfloat16 copies of weights, which a step that moves a network twice would go on using."""
    batches: list[tuple[Tensor, Tensor]] = []

    def remember(players: Players, real: Tensor, latent: Tensor) -> StepStatistics:
        batches.append((real, latent))
        return alternating_step(players, real, latent)

    monkeypatch.setattr(loop, "PRESETS", MappingProxyType({"mlp": replace(PRESETS["mlp"], step=remember)}))
    config, run = replace(MLP, epochs=1, bfloat16=True), new_run()
    train(config, images_for(MLP, images), run, CPU, SilentReport(), never)

    torch.manual_seed(config.seed)
    expected = build_players(config, CPU)
    for real, latent in batches:
        with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
            alternating_step(expected, real, latent)
    tensors = load_checkpoint(run.last).tensors
    for name, network in (("generator", expected.generator), ("discriminator", expected.discriminator)):
        for key, value in network.state_dict().items():
            assert torch.equal(value, tensors[f"{name}.{key}"]), (name, key)


def test_bfloat16_changes_the_result_but_not_the_type_of_the_weights(
    uninterrupted: RunFolder, new_run: NewRun, images: NDArray[np.uint8]
) -> None:
    run = new_run()
    train(replace(MLP, bfloat16=True), images_for(MLP, images), run, CPU, SilentReport(), never)
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
    new_run: NewRun, images: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(players: Players, real: Tensor, latent: Tensor) -> StepStatistics:
        raise error

    monkeypatch.setattr(loop, "PRESETS", {"mlp": replace(PRESETS["mlp"], step=fail)})
    with pytest.raises(TrainingError, match="not enough memory for --batch-size 64: choose a smaller one"):
        train(MLP, images_for(MLP, images), new_run(), CPU, SilentReport(), never)
