"""The files of a run, what it reports, and which epoch is its best."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from observations import line_of, observation
from short_runs import MLP, MLP_STEPS, NANO, SHEET_IMAGES, NewRun, SilentReport, rough_observation, statistics, train

from pocketgan_trainer.training.checkpoint import load_checkpoint, restore_generator
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.drawing import draw
from pocketgan_trainer.training.presets import PRESETS
from pocketgan_trainer.training.recorder import WATCHED_SEED
from pocketgan_trainer.training.run_folder import RunFolder
from pocketgan_trainer.watch.observation import Observation, Texture
from pocketgan_trainer.watch.validation_watch import DiscriminatorLogits


@dataclass(frozen=True, eq=False)
class ScriptedWatch:
    """Returns fixed scores, and keeps the images that it gets."""

    labels: NDArray[np.int64]
    scores: Iterator[float]
    given: list[NDArray[np.uint8]]

    def observe(self, images: NDArray[np.uint8], discriminator_logits: DiscriminatorLogits) -> Observation:
        """Return the next score."""
        self.given.append(images)
        return rough_observation(next(self.scores))


def scripted(*scores: float) -> ScriptedWatch:
    """Return a watch with these scores."""
    return ScriptedWatch(np.array([3, 1, 4, 1, 5, 9, 2, 6]), iter(scores), given=[])


def test_a_run_leaves_config_statistics_pictures_and_three_checkpoints(uninterrupted: RunFolder) -> None:
    assert sorted(path.name for path in uninterrupted.path.iterdir()) == [
        "best.safetensors",
        "config.json",
        "curves.png",
        "fakes_epoch_0001.png",
        "fakes_epoch_0002.png",
        "last.safetensors",
        "previous.safetensors",
        "progress.gif",
        "reals.png",
        "stats.jsonl",
    ]
    assert TrainingConfig.from_json((uninterrupted.path / "config.json").read_text()) == MLP
    previous, last = load_checkpoint(uninterrupted.previous), load_checkpoint(uninterrupted.last)
    assert last.config == MLP
    assert (previous.progress.epoch, last.progress.epoch, last.progress.step, last.progress.images_seen) == (1, 2, 0, 640)
    assert last.progress.best_score == min(line["frechet_ratio"] for line in statistics(uninterrupted))
    assert last.tensors["sums"].tolist() == [0, 0, 0, 0, 0]


def test_statistics_hold_position_means_and_score_of_each_epoch(uninterrupted: RunFolder) -> None:
    lines = [json.loads(line) for line in (uninterrupted.path / "stats.jsonl").read_text().splitlines()]
    assert [(line["epoch"], line["images_seen"]) for line in lines] == [(1, 320), (2, 640)]
    for line in lines:
        assert list(line) == list(line_of(1, observation()))
        assert 0 < line["fake_score"] < 1
        assert 0 < line["real_score"] < 1
        assert line["frechet_ratio"] > 0


@pytest.mark.parametrize(("scores", "best_epoch"), [([3.0, 2.0], 2), ([2.0, 3.0], 1), ([2.0, 2.0], 2), ([2.0, 2.1], 2)])
def test_best_checkpoint_is_the_last_of_those_with_the_best_score_but_for_noise(
    new_run: NewRun, scores: list[float], best_epoch: int
) -> None:
    run = new_run()
    train(MLP, run, watch=scripted(*scores))
    best, last = load_checkpoint(run.best), load_checkpoint(run.last)
    assert (best.progress.epoch, last.progress.epoch) == (best_epoch, 2)
    assert (best.progress.best_score, last.progress.best_score) == (2.0, 2.0)
    assert [line["frechet_ratio"] for line in statistics(run)] == scores


def test_texture_chooses_between_epochs_of_the_same_frechet_ratio(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run()
    textures = iter([Texture(0.8, 0.5, ""), Texture(0.9, 0.5, "")])
    observe = ScriptedWatch.observe
    monkeypatch.setattr(ScriptedWatch, "observe", lambda *seen: replace(observe(*seen), texture=next(textures)))
    train(MLP, run, watch=scripted(2.0, 2.0))
    assert load_checkpoint(run.best).progress.epoch == 1
    assert load_checkpoint(run.last).progress.best_score == pytest.approx(2.0 * 0.6)


@pytest.mark.parametrize("config", [MLP, NANO], ids=["without classes", "with classes and an average"])
def test_what_is_scored_is_what_the_checkpoints_generator_draws(new_run: NewRun, config: TrainingConfig) -> None:
    run, watch = new_run(), scripted(1.0, 0.5)
    train(config, run, watch=watch)
    preset = PRESETS[config.preset]
    generator = restore_generator(load_checkpoint(run.best))
    labels = watch.labels if preset.is_conditional else None
    expected = draw(generator, preset.latent_size, WATCHED_SEED, 0, 8, labels)
    assert np.array_equal(watch.given[1], expected)
    assert not np.array_equal(watch.given[0], expected)
    # The sheet shows other latents, and the classes in turn.
    labels = np.arange(SHEET_IMAGES) % 10 if preset.is_conditional else None
    run.write_sheet(run.path / "expected.png", draw(generator, preset.latent_size, 0, 0, SHEET_IMAGES, labels))
    assert run.sheet_of_epoch(2).read_bytes() == (run.path / "expected.png").read_bytes()


def test_all_reports_get_every_step_and_epoch(new_run: NewRun) -> None:
    report, other, run = SilentReport(), SilentReport(), new_run()
    train(MLP, run, report, other)
    assert report.steps == [(epoch, step) for epoch in (0, 1) for step in range(1, MLP_STEPS + 1)]
    assert [progress.epoch for progress, _, _ in report.epochs] == [1, 2]
    for (_, measured, seen), line in zip(report.epochs, statistics(run), strict=True):
        assert line["frechet_ratio"] == seen.frechet_ratio
        assert line["generator_loss"] == measured.generator_loss
    assert (other.steps, other.epochs) == (report.steps, report.epochs)
    for epoch, images in enumerate(report.images, start=1):
        run.write_sheet(run.path / "expected.png", images)
        assert run.sheet_of_epoch(epoch).read_bytes() == (run.path / "expected.png").read_bytes()


def test_a_warning_is_reported_in_its_second_epoch_and_only_then(new_run: NewRun) -> None:
    ratios = [3.0, 2.9, 2.8, 2.7, 9.0, 9.0, 9.0, 2.6, 9.0, 9.0]
    run, report = new_run(), SilentReport()
    train(replace(MLP, epochs=len(ratios)), run, report, watch=scripted(*ratios))
    assert report.warnings == [(6, "worse"), (10, "worse")]
    lines: list[dict[str, dict[str, str]]] = [json.loads(line) for line in (run.path / "stats.jsonl").read_text().splitlines()]
    assert [list(line["signs"]) for line in lines] == [["worse"] if ratio == 9.0 else [] for ratio in ratios]


def test_a_resumed_run_does_not_repeat_a_warning(new_run: NewRun) -> None:
    ratios = [3.0, 2.9, 2.8, 2.7, 9.0, 9.0, 9.0]
    run, warnings, checkpoint = new_run(), [], None
    for done, epochs in ((0, 5), (5, 6), (6, 7)):
        report = SilentReport()
        train(replace(MLP, epochs=epochs), run, report, watch=scripted(*ratios[done:]), resume_from=checkpoint)
        warnings.append(report.warnings)
        checkpoint = load_checkpoint(run.last)
    assert warnings == [[], [(6, "worse")], []]
