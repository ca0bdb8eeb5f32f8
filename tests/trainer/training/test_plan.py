"""What a run is going to be: the preset with the user's options, or the run that is gone on with."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pocketgan_trainer.errors import CheckpointError, TrainingError
from pocketgan_trainer.training import plan
from pocketgan_trainer.training.checkpoint import load_checkpoint
from pocketgan_trainer.training.plan import plan_new_run, plan_resumed_run
from pocketgan_trainer.training.presets import PRESETS
from pocketgan_trainer.training.run_folder import RunFolder

CPU = torch.device("cpu")


@pytest.fixture
def run(trained_run: RunFolder, tmp_path: Path) -> RunFolder:
    """A copy of the finished run: mlp, 1 epoch, batch 64, seed 0."""
    shutil.copytree(trained_run.path, tmp_path / "runs" / trained_run.path.name)
    return RunFolder(tmp_path / "runs" / trained_run.path.name)


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("preset", list(PRESETS))
def test_a_new_run_is_the_preset_in_bfloat16_only_where_that_is_native(
    monkeypatch: pytest.MonkeyPatch, preset: str, native: bool
) -> None:
    monkeypatch.setattr(plan, "supports_bfloat16", lambda device: native)
    config = PRESETS[preset].config
    assert plan_new_run(preset, {}, CPU) == replace(config, bfloat16=native and config.bfloat16)


def test_options_take_the_place_of_the_presets_values() -> None:
    options = {"epochs": 3, "batch_size": 32, "learning_rate": 0.01, "seed": 5}
    config = plan_new_run("mlp", options, CPU)
    assert (config.epochs, config.batch_size, config.learning_rate, config.seed) == (3, 32, 0.01, 5)


def test_an_option_out_of_range_is_refused() -> None:
    with pytest.raises(TrainingError, match="learning rate 0 is out of range"):
        plan_new_run("mlp", {"learning_rate": 0}, CPU)


def test_a_run_is_resumed_from_its_last_checkpoint_with_its_own_config(run: RunFolder) -> None:
    resumed = plan_resumed_run(run.path.parent, None, {})
    assert resumed.run == run
    assert resumed.checkpoint.path == run.last
    assert resumed.config == load_checkpoint(run.last).config


def test_options_that_agree_with_the_run_may_be_repeated(run: RunFolder) -> None:
    options = {"epochs": 1, "batch_size": 64, "learning_rate": 1e-3, "seed": 0}
    assert plan_resumed_run(run.path, "mlp", options).config == load_checkpoint(run.last).config


def test_more_epochs_are_a_longer_run(run: RunFolder) -> None:
    resumed = plan_resumed_run(run.path, None, {"epochs": 5})
    assert resumed.config == replace(load_checkpoint(run.last).config, epochs=5)


def test_every_differing_option_is_listed(run: RunFolder) -> None:
    options = {"epochs": 5, "batch_size": 32, "learning_rate": 0.01, "seed": 7}
    with pytest.raises(TrainingError) as caught:
        plan_resumed_run(run.path, "dcgan", options)
    message = str(caught.value)
    assert f"cannot resume {run.path}" in message
    for told in (
        "--preset dcgan (the run has mlp)",
        "--batch-size 32 (the run has 64)",
        "--lr 0.01 (the run has 0.001)",
        "--seed 7 (the run has 0)",
    ):
        assert told in message
    assert "epochs" not in message


def test_fewer_epochs_than_are_done_are_refused(run: RunFolder) -> None:
    checkpoint = load_checkpoint(run.last)
    later = replace(checkpoint, progress=replace(checkpoint.progress, epoch=4), config=replace(checkpoint.config, epochs=6))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "load_checkpoint", lambda path: later)
        with pytest.raises(TrainingError, match="has 4 epochs done already"):
            plan_resumed_run(run.path, None, {"epochs": 3})
        assert plan_resumed_run(run.path, None, {"epochs": 5}).config.epochs == 5


def test_a_run_without_a_last_checkpoint_cannot_be_resumed(run: RunFolder) -> None:
    run.last.unlink()
    with pytest.raises(TrainingError, match="no training run"):
        plan_resumed_run(run.path.parent, None, {})
    with pytest.raises(CheckpointError, match=r"cannot read checkpoint .*last.safetensors"):
        plan_resumed_run(run.path, None, {})


def test_without_a_run_there_is_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no training run"):
        plan_resumed_run(tmp_path, None, {})
