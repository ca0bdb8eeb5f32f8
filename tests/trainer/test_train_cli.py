"""`gan-train` as a user meets it: its options, what it prints, which files it leaves and how it fails."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from train_command import Command, assert_fails

from pocketgan_trainer import train_run
from pocketgan_trainer.data.images import MNIST_FACTS, TrainingImages
from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.evaluate.judge import load_judge
from pocketgan_trainer.train_run import StopFlag
from pocketgan_trainer.training import recorder
from pocketgan_trainer.training.checkpoint import load_checkpoint
from pocketgan_trainer.training.estimate import estimate
from pocketgan_trainer.training.presets import PRESETS
from pocketgan_trainer.watch.curves import write_curves


@pytest.mark.usefixtures("few_digits")
def test_a_dry_run_says_what_it_would_do_and_writes_nothing(
    gan_train: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_run, "estimate", estimate)
    result = gan_train(
        "--dry-run", "--preset", "mlp", "--epochs", 7, "--lr", 0.002, "--seed", 5, "--batch-size", 32, "--threads", 1
    )
    assert result.exit_code == 0
    assert result.stdout == ""
    assert result.stderr.startswith("mnist: 380 images of 28x28 in 10 classes (0: ")
    assert "\nmlp on 320 images: 7 epochs, batch 32, learning rate 0.002, seed 5, float32 on cpu" in result.stderr
    assert "60 more images are held out, to choose the best epoch" in result.stderr
    assert re.search(r"generator: [\d,]+ weights.*\n.*\n2,240 images to train on, in about 0:00:0", result.stderr)
    assert "changed from the preset" not in result.stderr
    assert "dry run: nothing was trained and no run folder made" in result.stderr
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("few_digits")
def test_any_hyper_parameter_of_the_default_preset_can_be_set(gan_train: Command) -> None:
    lines = gan_train("--dry-run", "--set", "gradient_penalty=2", "--set", "shifted_share=0.7", "--set", "bfloat16=false").stderr
    config = PRESETS["pocket"].config
    numbers = f"{config.epochs} epochs, batch {config.batch_size}, learning rate {config.learning_rate:g}, seed 0, float32 on cpu"
    assert f"\npocket (with a canvas) on 320 images: {numbers}" in lines
    assert "changed from the preset: --set gradient_penalty=2.0 --set shifted_share=0.7\n" in lines


@pytest.mark.usefixtures("few_digits")
@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_a_place_where_no_run_folder_can_be_made_is_refused_before_anything_is_read(gan_train: Command, dry: list[str]) -> None:
    Path("notes").touch()
    result = gan_train("--out", "notes/runs", *dry)
    assert result.exit_code == 1
    assert result.stderr == "error: cannot make a run folder in notes/runs: notes is not a folder; choose another --out\n"


def test_all_presets_are_listed_with_their_descriptions(gan_train: Command, folder: Path) -> None:
    result = gan_train("--preset", "list")
    assert (result.exit_code, result.stderr) == (0, "")
    assert [line.split(maxsplit=1) for line in result.stdout.splitlines()] == [
        [name, preset.description] for name, preset in PRESETS.items()
    ]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "--epochs"),
        (["--batch-size", "1"], "--batch-size"),
        (["--seed", "-1"], "--seed"),
        (["--threads", "0"], "--threads"),
        (["--device", "tpu"], "--device"),
        (["--preset", "biggan"], "'biggan' is not a preset: expected one of pocket, nano, dcgan, mlp"),
        (["--preset", "pockte"], "expected one of pocket, nano, dcgan, mlp; did you mean pocket?"),
        (["--set", "lr=1"], "'lr=1' is not a setting: use the option --lr"),
        (["--set", "class_wait=1"], "ema_halflife_images; did you mean class_weight?"),
        (["mnist"], "mnist"),
        (["--set", "gamma=1"], "gradient_penalty"),
        (["--set", "bfloat16=true", "--set", "bfloat16=false"], "the same name is set twice"),
    ],
)
def test_wrong_usage_ends_with_2_and_names_the_option(
    gan_train: Command, folder: Path, arguments: list[str], message: str
) -> None:
    result = gan_train(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("few_digits")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lr", "0"], "error: learning rate 0.0 is out of range: expected between 0 and 1"),
        (["--set", "batch_statistics_share=2"], "error: batch_statistics_share has no effect on preset mlp: leave it out, or"),
        (["--batch-size", "321"], "error: batch size 321 exceeds the 320 training images"),
        (["--batch-size", "321", "--dry-run"], "error: batch size 321 exceeds the 320 training images"),
        (["--resume"], "error: no training run .*runs.*: .*; run gan-train without --resume"),
        (["--resume", "--out", "elsewhere"], "error: no training run .*elsewhere"),
        (["--device", "cuda"], "error: --device cuda: torch finds no CUDA device here; use --device cpu"),
    ],
)
def test_values_that_cannot_be_used_end_with_1_and_leave_no_run_folder(
    gan_train: Command, folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert_fails(gan_train("--preset", "mlp", *arguments), 1, message)
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("few_digits")
def test_a_canvas_is_for_images_that_are_laid_out_like_mnist(
    gan_train: Command, folder: Path, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    canvas = ("--preset", "nano", "--set", "canvas=true", "--dry-run")
    assert "changed from the preset" not in gan_train(*canvas).stderr
    assert "changed from the preset: --set canvas=false" in gan_train("--set", "canvas=false", "--dry-run").stderr
    moved = TrainingImages(
        "moved", MNIST_FACTS.classes, np.roll(digits.images[:380], 1, axis=1), digits.labels[:380].astype(np.int64), notes=()
    )
    monkeypatch.setattr(train_run, "load_training_images", lambda *arguments: moved)
    assert_fails(gan_train(*canvas), 1, "error: canvas does not suit the images of mnist: expected white ink in a box of 20 ")
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("few_digits")
def test_a_judge_that_is_missing_ends_with_1(
    gan_train: Command, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pocketgan_trainer.train_run.load_judge", load_judge)
    monkeypatch.setattr("pocketgan_trainer.evaluate.judge.FOLDER", tmp_path)
    assert_fails(gan_train("--preset", "mlp"), 1, r"error: cannot read the first judge .*first.safetensors: No such file")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(("arguments", "threads"), [((), 1), (("--threads", 3), 3)])
def test_one_thread_is_used_where_all_are_hardly_faster(
    gan_train: Command, monkeypatch: pytest.MonkeyPatch, arguments: tuple[object, ...], threads: int
) -> None:
    monkeypatch.setattr("pocketgan_trainer.train_run.usable_cpus", lambda: 4)
    monkeypatch.setattr("pocketgan_trainer.train_run.fastest_threads", lambda config, training, most: 1)
    printed = gan_train("--dry-run", "--preset", "mlp", *arguments).stderr
    assert f"CPU threads: {threads}\n" in printed
    has_note = "note: 4 CPU threads were hardly faster than 1 just now; --threads 4 uses them anyway\n" in printed
    assert has_note is (not arguments)


def test_notes_on_data_take_a_line_each_and_cannot_control_the_terminal(
    gan_train: Command, monkeypatch: pytest.MonkeyPatch, digits: Digits
) -> None:
    notes = ("a\x1b[31m\nerror: forged\r\x9b\u202e\udcff became a.", ":smile: [bold]b[/bold].")
    labels = digits.labels[:380].astype(np.int64)
    images = TrainingImages("mnist", MNIST_FACTS.classes, digits.images[:380], labels, notes)
    monkeypatch.setattr("pocketgan_trainer.train_run.load_training_images", lambda *arguments: images)
    monkeypatch.setattr("pocketgan_trainer.data.split.VALIDATION_DIGITS", 60)
    lines = gan_train("--preset", "mlp", "--dry-run").stderr.splitlines()
    assert lines[1:3] == ["note: a?[31m?error: forged???? became a.", "note: :smile: [bold]b[/bold]."]


def test_version_is_that_of_the_package(gan_train: Command) -> None:
    result = gan_train("--version")
    assert result.exit_code == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", result.stdout)


def epoch_score(lines: list[str], epoch: int) -> str:
    """Return the Frechet ratio that was printed at the end of an epoch."""
    (line,) = (line for line in lines if line.startswith(f"epoch {epoch}/"))
    return line.split("Frechet ratio ")[1].split()[0]


@pytest.mark.usefixtures("few_digits")
def test_a_run_prints_its_folder_a_line_for_each_epoch_and_the_best_one(
    gan_train: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "write_curves", write_curves)
    result = gan_train("--preset", "mlp", "--epochs", 2, "--threads", 1)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines.pop(2).startswith("note: 10 steps in all are not enough for a GAN: ")
    assert lines[1] == ("mlp on 320 images: 2 epochs, batch 64, learning rate 0.001, seed 0, float32 on cpu, CPU threads: 1")
    assert lines[2] == "run folder runs/0001-mlp-mnist"
    assert [line.split("  ")[0] for line in lines[3:5]] == ["epoch 1/2", "epoch 2/2"]
    best = load_checkpoint(Path("runs/0001-mlp-mnist/best.safetensors")).progress.epoch
    assert lines[5:8] == [
        f"done: the best epoch is {best} of 2, the last within a tenth of the lowest score",
        f"    Frechet ratio {epoch_score(lines, best)} (real images: 1)",
        "    coverage 0.50",
    ]
    assert lines[-5:] == [
        "look at:",
        f"    runs/0001-mlp-mnist/fakes_epoch_{best:04d}.png",
        "    runs/0001-mlp-mnist/progress.gif",
        "    runs/0001-mlp-mnist/curves.png",
        "next: gan-export model.onnx",
    ]
    assert "\x1b" not in result.stderr
    assert load_checkpoint(Path("runs/0001-mlp-mnist/last.safetensors")).progress.epoch == 2
    assert Path("runs/0001-mlp-mnist/curves.png").read_bytes().startswith(b"\x89PNG")
    with (
        Image.open("runs/0001-mlp-mnist/progress.gif") as progress,
        Image.open("runs/0001-mlp-mnist/fakes_epoch_0002.png") as sheet,
    ):
        _, last = [np.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(progress)]
        assert np.array_equal(last, np.asarray(sheet)[::2, ::2])


@pytest.mark.usefixtures("few_digits")
def test_images_of_each_epoch_can_be_shown(gan_train: Command) -> None:
    result = gan_train("--preset", "mlp", "--epochs", 2, "--threads", 1, "--show")
    lines = result.stderr.splitlines()
    of_epochs = [number for number, line in enumerate(lines) if line.startswith("epoch ")]
    assert len(of_epochs) == 2
    # Two rows of images of 28 pixels, reduced from a width of 146 pixels to 80, two of them in a line.
    assert of_epochs[1] - of_epochs[0] == 1 + 16


@pytest.mark.usefixtures("few_digits")
def test_the_next_command_names_a_run_that_is_not_in_runs(gan_train: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    result = gan_train("--preset", "mlp", "--epochs", 1, "--out", "my runs")
    assert result.stderr.endswith("next: gan-export model.onnx --checkpoint 'my runs/0001-mlp-mnist'\n")
    monkeypatch.setattr(StopFlag, "__call__", lambda flag: True)
    result = gan_train("--preset", "mlp", "--epochs", 1, "--out", "my runs")
    assert result.stderr.endswith("gan-train --resume --out 'my runs' continues from there\n")


@pytest.mark.usefixtures("few_digits")
def test_a_conditional_preset_trains_with_the_options_given(gan_train: Command) -> None:
    arguments = ("--epochs", 1, "--batch-size", 32, "--lr", 0.01, "--seed", 3, "--threads", 1, "--out", "elsewhere")
    result = gan_train("--preset", "nano", *arguments)
    assert result.exit_code == 0, result.output
    checkpoint = load_checkpoint(Path("elsewhere/0001-nano-mnist/best.safetensors"))
    config = checkpoint.config
    assert (config.epochs, config.batch_size, config.learning_rate, config.seed) == (1, 32, 0.01, 3)
    assert checkpoint.progress.images_seen == 320


@pytest.mark.usefixtures("few_digits")
def test_pictures_that_cannot_be_drawn_get_a_warning_and_training_goes_on(
    gan_train: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise FileNotFoundError("no font\nat all")

    monkeypatch.setattr(recorder, "write_curves", fail)
    monkeypatch.setattr("pocketgan_trainer.training.run_folder.contact_sheet", fail)
    result = gan_train("--preset", "mlp", "--epochs", 1, "--tensorboard")
    assert result.exit_code == 0, result.output
    run = "runs/0001-mlp-mnist"
    for picture in ("reals", "fakes_epoch_0001", "curves"):
        warning = f"warning: {run}/{picture}.png was not drawn (FileNotFoundError: no font); training continues without it"
        assert warning in result.stderr.splitlines()
    assert not [line for line in result.stderr.splitlines() if line.startswith("look at")]
    assert load_checkpoint(Path(f"{run}/best.safetensors")).progress.epoch == 1
