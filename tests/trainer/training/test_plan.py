"""The config of a new run, from its preset and the user's options, and the run to resume."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pocketgan_trainer.data.images import MNIST_FACTS, DataFacts
from pocketgan_trainer.errors import CheckpointError, TrainingError
from pocketgan_trainer.training import plan, presets
from pocketgan_trainer.training.checkpoint import load_checkpoint, save_checkpoint
from pocketgan_trainer.training.config import Setting, parse_setting
from pocketgan_trainer.training.plan import changed_settings, plan_new_run, plan_resumed_run, training_command, training_commands
from pocketgan_trainer.training.presets import PRESETS, build_gan, preset_config
from pocketgan_trainer.training.progress import Progress, zero_sums
from pocketgan_trainer.training.run_folder import RunFolder, create_run_folder

CPU = torch.device("cpu")
SHOES = DataFacts("shoes", "/my shoes", False, 32, ("sneaker", "boot"), "ab" * 32)
LETTERS = replace(SHOES, name="letters", source="letters", is_like_mnist=True, is_laid_out=True)


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
    config = preset_config(preset, presets.has_canvas(preset, MNIST_FACTS))
    assert plan_new_run(preset, {}, CPU) == replace(config, bfloat16=native and config.bfloat16)


def test_options_override_the_preset_within_their_ranges() -> None:
    options = {"epochs": 3, "batch_size": 32, "learning_rate": 0.01, "seed": 5}
    config = plan_new_run("mlp", options, CPU)
    assert (config.epochs, config.batch_size, config.learning_rate, config.seed) == (3, 32, 0.01, 5)
    with pytest.raises(TrainingError, match="learning rate 0 is out of range"):
        plan_new_run("mlp", {"learning_rate": 0}, CPU)


@pytest.mark.parametrize("preset", list(PRESETS))
def test_images_laid_out_like_mnist_get_a_canvas_where_there_is_one(preset: str) -> None:
    has_canvas = PRESETS[preset].canvas is not None
    expected = preset_config(preset, has_canvas)
    config = plan_new_run(preset, {"bfloat16": expected.bfloat16}, CPU)
    assert config == expected
    assert changed_settings(config) == {}
    if has_canvas:
        config = plan_new_run(preset, {"canvas": False, "bfloat16": True}, CPU)
        assert config == PRESETS[preset].config
        assert changed_settings(config) == {"canvas": False}


def test_other_images_get_no_canvas() -> None:
    assert plan_new_run("nano", {"bfloat16": True}, CPU, SHOES) == replace(PRESETS["nano"].config, data=SHOES)
    with pytest.raises(TrainingError, match=r"^canvas does not suit the images of /my shoes: expected white ink in a box of 24 "):
        plan_new_run("nano", {"canvas": True}, CPU, SHOES)


@pytest.mark.parametrize(
    ("options", "off"),
    [
        ({"trait_weight": 0.0}, {"hidden_traits_share"}),
        ({"refinement_share": 0.0}, {"hidden_traits_share", "class_weight", "shifted_share"}),
        ({"refinement_share": 0.0, "canvas": False}, {"class_weight", "shifted_share"}),
    ],
)
def test_what_is_switched_off_takes_along_what_depends_on_it(options: dict[str, Setting], off: set[str]) -> None:
    config = plan_new_run("pocket", options, CPU)
    for name in off:
        assert getattr(config, name) == 0
        with pytest.raises(TrainingError, match=f"^{name} 0.5 has no effect: expected a "):
            plan_new_run("pocket", {**options, name: 0.5}, CPU)


@pytest.mark.parametrize("options", [{}, {"epochs": 1, "batch_size": 64, "learning_rate": 1e-3, "seed": 0}, {"epochs": 5}])
def test_a_run_is_resumed_with_its_own_config_and_perhaps_more_epochs(run: RunFolder, options: dict[str, int | float]) -> None:
    resumed = plan_resumed_run(run.path.parent, "mlp" if options else None, options)
    assert (resumed.run, resumed.checkpoint.path, resumed.notes) == (run, run.last, ())
    assert resumed.config == replace(load_checkpoint(run.last).config, epochs=int(options.get("epochs", 1)))


def test_a_run_that_was_made_longer_is_written_as_all_its_commands() -> None:
    config = replace(preset_config("nano", canvas=True), epochs=9)
    planned = [5, 5, 5, 7, 7, 9, 9]
    longer = ["gan-train --resume --epochs 7", "gan-train --resume --epochs 9"]
    assert training_commands(config, planned) == ["gan-train --preset nano --epochs 5", *longer]
    assert training_commands(config, [9] * 9) == [training_command(config)]
    assert training_commands(config, [9]) == [training_command(config)]


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        ({"preset": "pocket", "canvas": True}, "gan-train --epochs 50"),
        ({"preset": "pocket", "canvas": True, "epochs": 7, "learning_rate": 2e-3}, "gan-train --epochs 7 --lr 0.002"),
        (
            {"preset": "nano", "canvas": True, "seed": 3, "bfloat16": False},
            "gan-train --preset nano --epochs 50 --set bfloat16=false --seed 3",
        ),
        (
            {"preset": "nano", "canvas": False, "gradient_penalty": 1.5},
            "gan-train --preset nano --epochs 50 --set gradient_penalty=1.5 --set canvas=false",
        ),
        (
            {"preset": "dcgan", "canvas": False, "final_rate_share": 0.5},
            "gan-train --preset dcgan --epochs 50 --set final_rate_share=0.5",
        ),
        (
            {"preset": "pocket", "canvas": False, "data": SHOES},
            "gan-train --data '/my shoes' --image-size 32 --epochs 50",
        ),
        (
            {"preset": "pocket", "canvas": True, "data": LETTERS},
            "gan-train --data letters --image-size 32 --like-mnist --epochs 50",
        ),
    ],
)
def test_a_config_is_written_as_the_command_that_makes_it(changes: dict[str, str | float | DataFacts], command: str) -> None:
    config = replace(preset_config(str(changes["preset"]), bool(changes["canvas"])), **changes)  # type: ignore[arg-type]
    assert training_command(config) == command
    for word in re.findall("--set ([^ ]*)", command):
        name, value = parse_setting(word)
        assert getattr(config, name) == value


def test_a_note_says_what_more_epochs_change_in_a_run_with_schedules(tmp_path: Path) -> None:
    config = replace(PRESETS["nano"].config, epochs=2)
    run = create_run_folder(tmp_path, config.preset, "mnist")
    run.write_config(config)
    save_checkpoint(run.last, config, build_gan(config, CPU), Progress(), zero_sums(CPU))
    assert plan_resumed_run(run.path, None, {"epochs": 2}).notes == ()
    (note,) = plan_resumed_run(run.path, None, {"epochs": 4}).notes
    assert note.startswith(
        "4 epochs instead of 2: the run continues as the longer one would, so the learning rate takes a step up"
    )


@pytest.mark.parametrize(("preset", "name"), [("mlp", "batch_statistics_share"), ("dcgan", "gradient_penalty")])
def test_an_option_without_effect_on_a_preset_is_refused(preset: str, name: str) -> None:
    others = " or ".join(other for other, row in PRESETS.items() if name not in row.ignores)
    assert others.startswith("pocket or nano")
    with pytest.raises(TrainingError, match=f"{name} has no effect on preset {preset}: leave it out, or choose {others}$"):
        plan_new_run(preset, {name: 0.5}, CPU)
    own = getattr(PRESETS[preset].config, name)
    assert plan_new_run(preset, {name: own}, CPU).preset == preset


def test_every_differing_option_is_listed(run: RunFolder) -> None:
    with pytest.raises(TrainingError) as caught:
        plan_resumed_run(run.path, "dcgan", {"epochs": 5, "batch_size": 32, "learning_rate": 0.01, "seed": 7})
    differing = ("--preset dcgan (the run has mlp)", "--batch-size 32 (the run has 64)", "--lr 0.01 (the run has 0.001)")
    assert str(caught.value).startswith(f"cannot resume {run.path} with {', '.join(differing)}, --seed 7 (the run has 0): leave")


def test_fewer_epochs_than_were_planned_are_refused(run: RunFolder) -> None:
    checkpoint = load_checkpoint(run.last)
    longer = replace(checkpoint, config=replace(checkpoint.config, epochs=6))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "load_checkpoint", lambda path: longer)
        with pytest.raises(TrainingError, match="is a run of 6 epochs: expected at least as many --epochs"):
            plan_resumed_run(run.path, None, {"epochs": 5})
        assert plan_resumed_run(run.path, None, {"epochs": 6}).config.epochs == 6


def test_a_run_without_a_last_checkpoint_cannot_be_resumed(run: RunFolder) -> None:
    run.last.unlink()
    run.previous.unlink()
    with pytest.raises(TrainingError, match="no training run"):
        plan_resumed_run(run.path.parent, None, {})
    with pytest.raises(CheckpointError, match=r"cannot read checkpoint .*last.safetensors"):
        plan_resumed_run(run.path, None, {})


def test_instead_of_a_damaged_last_checkpoint_the_one_before_is_taken(run: RunFolder) -> None:
    shutil.copy(run.last, run.previous)
    run.last.write_bytes(b"")
    resumed = plan_resumed_run(run.path, None, {})
    assert resumed.checkpoint.path == run.previous
    assert resumed.uses_previous
    (note,) = resumed.notes
    assert note.startswith(f"{run.last} is damaged")
    assert note.endswith(f"; taking the one before, {run.previous}")
    run.previous.unlink()
    with pytest.raises(CheckpointError, match=r"last.safetensors is damaged"):
        plan_resumed_run(run.path, None, {})


def test_a_run_that_was_killed_while_its_checkpoint_was_renamed_is_found(run: RunFolder) -> None:
    run.last.rename(run.previous)
    resumed = plan_resumed_run(run.path.parent, None, {})
    assert resumed.checkpoint.path == run.previous
    assert resumed.notes == (f"{run.last} is absent, as after a kill while it was saved; taking {run.previous}",)
