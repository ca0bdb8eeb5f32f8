"""From a user's own pictures to images of them: train, resume, export, draw; whatever the pictures are."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from pocketgan import Generator
from pocketgan.gen_cli import app as gan_gen
from pocketgan_trainer import train_run
from pocketgan_trainer.data.images import MNIST_FACTS, facts_of, load_training_images
from pocketgan_trainer.data.published import BUNDLED_FOLDER
from pocketgan_trainer.eval_cli import app as gan_eval
from pocketgan_trainer.export_cli import app as gan_export
from pocketgan_trainer.train_cli import app as gan_train
from pocketgan_trainer.training.checkpoint import load_checkpoint

KINDS = ("ring", "box", "bar")


def picture(kind: str, random: np.random.Generator) -> Image.Image:
    """Return a colour picture of 40x48 with a shape somewhere in it, white on black."""
    image = Image.new("RGB", (40, 48))
    left, top = random.integers(2, 12, 2).tolist()
    right, bottom = left + int(random.integers(12, 24)), top + int(random.integers(12, 30))
    draw = ImageDraw.Draw(image)
    if kind == "ring":
        draw.ellipse((left, top, right, bottom), outline="white", width=3)
    elif kind == "box":
        draw.rectangle((left, top, right, bottom), outline="white", width=3)
    else:
        draw.line((left, top, right, bottom), fill="white", width=4)
    return image


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one folder per class, 70 pictures in each."""
    folder = tmp_path_factory.mktemp("data") / "Shapes of mine"
    random = np.random.default_rng(0)
    for kind in KINDS:
        (folder / kind).mkdir(parents=True)
        for number in range(70):
            picture(kind, random).save(folder / kind / f"{number}.png")
    return folder


def run(app: object, *arguments: str | Path, code: int = 0) -> str:
    """Run a command, expect its exit code, and return all that it printed."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)  # type: ignore[arg-type]
    assert result.exit_code == code, result.output
    return result.output


def drawn(path: str, count: int) -> NDArray[np.uint8]:
    return Generator.load(path).generate(count)


@pytest.mark.parametrize(
    ("preset", "size"),
    [("nano", 28), pytest.param("nano", 32, marks=pytest.mark.slow), pytest.param("mlp", 32, marks=pytest.mark.slow)],
)
def test_pictures_of_ones_own_become_a_model_that_draws_them(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, preset: str, size: int
) -> None:
    monkeypatch.chdir(tmp_path)
    output = run(
        gan_train, "--data", pictures, "--image-size", str(size), "--preset", preset, "--epochs", "1", "--batch-size", "16"
    )
    assert "shapes-of-mine: 210 images" in output.replace("\n", " ")
    assert ("note: there is no canvas, so no slant, " in output) == (preset == "nano")
    assert "note: 11 steps in all are not enough for a GAN: choose a smaller --batch-size or more --epochs" in output
    run(gan_export, "model.onnx", "--force")
    generator = Generator.load("model.onnx")
    card = generator.card
    assert (card.image_height, card.image_width) == (size, size)
    assert (card.training.data_set, card.name) == ("shapes-of-mine", f"{preset}-shapes-of-mine")
    assert card.classes == (tuple(sorted(KINDS)) if preset == "nano" else ())
    assert generator.generate(3).shape == (3, size, size)
    if preset == "nano":
        run(gan_gen, "--class", "ring", "--count", "2", "--quiet")
        assert sorted(path.name for path in Path("digits").glob("*.png")) == ["00000000_ring.png", "00000001_ring.png"]
        assert "only digits can be scored" in run(gan_eval, "model.onnx", code=1)


@pytest.mark.parametrize("size", ["28", "32"])
def test_pictures_laid_out_like_mnist_suit_a_canvas(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, size: str
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = ("--data", pictures, "--image-size", size, "--preset", "nano", "--batch-size", "16", "--dry-run")
    assert "changed from the preset: --set canvas=false" in run(gan_train, *plan, "--set", "canvas=false", "--like-mnist")
    assert "there is no canvas" not in run(gan_train, *plan, "--like-mnist")
    asked = ("--set", "canvas=true")
    assert "changed from the preset" not in run(gan_train, *plan, *asked, "--like-mnist")
    assert f"error: canvas does not suit the images of {pictures}" in run(gan_train, *plan, *asked, code=1)


def test_ctrl_c_before_the_first_step_leaves_no_folder_behind(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train_run, "trait_latents", interrupted)
    options = ("--data", pictures, "--like-mnist", "--preset", "nano", "--batch-size", "16", "--out", "runs")
    assert "stopped before the first step: nothing was saved" in run(gan_train, *options, code=130)
    assert not list(Path("runs").iterdir())


@pytest.mark.slow
def test_pictures_without_classes_become_a_model_without_any(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("flat").mkdir()
    for kind in KINDS:
        for number in range(70):
            shutil.copy(pictures / kind / f"{number}.png", Path("flat") / f"{kind}{number}.png")
    run(gan_train, "--data", "flat", "--preset", "nano", "--epochs", "2", "--batch-size", "16")
    run(gan_export, "model.onnx", "--force")
    assert Generator.load("model.onnx").card.classes == ()
    assert drawn("model.onnx", 2).shape == (2, 28, 28)
    assert "has no classes" in run(gan_gen, "--digit", "1", code=1)


@pytest.mark.slow
def test_a_run_on_ones_own_pictures_is_resumed_with_the_same_ones_only(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(pictures, "mine")
    options = ("--preset", "mlp", "--batch-size", "16")
    run(gan_train, "--data", "mine", *options, "--epochs", "1")
    (folder,) = Path("runs").iterdir()
    assert folder.name == "0001-mlp-mine"
    judge = (folder / "judge.safetensors").read_bytes()
    assert json.loads((folder / "config.json").read_text())["data"]["source"] == str(tmp_path / "mine")
    run(gan_train, "--resume", "--epochs", "2")
    assert load_checkpoint(folder / "last.safetensors").progress.epoch == 2
    assert (folder / "judge.safetensors").read_bytes() == judge
    (tmp_path / "mine" / "ring" / "0.png").unlink()
    output = run(gan_train, "--resume", "--epochs", "3", code=1)
    assert f"cannot resume runs/0001-mlp-mine with the images of {tmp_path / 'mine'}: they are not those that" in output
    run(gan_train, "--resume", "--data", pictures, "--epochs", "3")  # the same images in another place
    assert "training a judge" not in run(gan_train, "--resume", "--epochs", "4")
    assert load_checkpoint(folder / "last.safetensors").config.data.source == str(pictures)


def test_what_is_no_data_is_refused_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "error: " in run(gan_train, "--data", "absent", code=1)
    assert list(tmp_path.iterdir()) == []


def test_mnist_is_mnist_wherever_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copytree(BUNDLED_FOLDER, tmp_path / "here")
    for source, is_like_mnist in ((str(tmp_path / "here"), False), ("~/here", True), ("mnist", True)):
        assert facts_of(load_training_images(source, None, is_like_mnist), source, is_like_mnist) == MNIST_FACTS


def test_a_path_is_remembered_from_the_root_on(tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copytree(pictures, tmp_path / "mine")
    assert facts_of(load_training_images("~/mine"), "~/mine", is_like_mnist=False).source == str(tmp_path / "mine")


@pytest.mark.slow
def test_a_damaged_checkpoint_does_not_take_the_place_of_the_sound_one_before(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run(gan_train, "--data", pictures, "--preset", "mlp", "--batch-size", "16", "--epochs", "2")
    (folder,) = Path("runs").iterdir()
    last = folder / "last.safetensors"
    last.write_bytes(last.read_bytes()[:-1])
    output = run(gan_train, "--resume", "--epochs", "3")
    assert "is damaged" in output
    assert "taking the one before" in output
    epochs = [load_checkpoint(folder / name).progress.epoch for name in ("previous.safetensors", "last.safetensors")]
    assert epochs == [2, 3]
