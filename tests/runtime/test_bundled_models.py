"""The models that come with the package: what they say of themselves, and that their pixels stay what they are."""

import hashlib
import json
import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

import pocketgan
import pocketgan_models
from pocketgan.generator import Generator
from pocketgan.model.checked import DEFAULT_MODEL
from pocketgan.model.session import Provider
from pocketgan_models.__pyinstaller import hook_folders

NAMES = ["dcgan", "mlp", "nano", "pocket"]
LARGEST_BYTES = {"dcgan": 2_000_000, "mlp": 300_000, "nano": 64 * 1024, "pocket": 256 * 1024}

EPOCHS = {
    "dcgan": 50,
    "mlp": 50,
    "nano": 47,
    "pocket": 50,
}
"""Epochs before the exported checkpoint, the best of its run, by model."""

LATENT_SIZES = {"dcgan": 100, "mlp": 100, "nano": 124, "pocket": 164}
CLASSES = {"dcgan": (), "mlp": (), "nano": tuple("0123456789"), "pocket": tuple("0123456789")}

PIXELS_SHA256: dict[str, str] = {
    "dcgan": "46239f181b7e12fb7a97e82eec2c7491ce078588f5773c2b1463dccb3fd32d5f",
    "mlp": "b0b3f2d915402092af01128a68f221cd777fbb7b955a359e859ffcba18f9e6ce",
    "nano": "ebc72e743ffa503dbb4a940e6cf4d61911f7a90df6dd4df4bc9c16c26f43d68e",
    "pocket": "4ae26617122edb3ddd82a4b662f4d618786b1c4ef1b5b1fc5c4994c165e9ac52",
}
"""Digest of images 0 to 99 of seed 0, by model: to be set anew when a model is released, and never otherwise."""


@pytest.fixture(params=pocketgan_models.names())
def name(request: pytest.FixtureRequest) -> str:
    """The name of each bundled model in turn."""
    parameter: str = request.param
    return parameter


def test_the_bundled_models_are_our_own_two_and_the_two_classics() -> None:
    assert pocketgan_models.names() == NAMES
    assert set(PIXELS_SHA256) == set(NAMES)


def test_the_default_model_is_bundled() -> None:
    assert DEFAULT_MODEL in pocketgan_models.names()
    assert pocketgan_models.path(DEFAULT_MODEL).is_file()


def test_a_model_that_is_not_bundled_has_a_path_all_the_same() -> None:
    assert not pocketgan_models.path("absent").exists()


def test_a_bundled_model_is_small(name: str) -> None:
    assert pocketgan_models.path(name).stat().st_size <= LARGEST_BYTES[name]


def test_a_bundled_model_says_what_it_is(name: str) -> None:
    generator = Generator.load(name)
    card = generator.card
    assert (generator.path, generator.reason) == (pocketgan_models.path(name), "bundled")
    assert generator.provider is Provider.cpu
    assert card.architecture == name
    assert card.latent_size == LATENT_SIZES[name]
    assert card.classes == CLASSES[name]
    assert (card.image_height, card.image_width) == (28, 28)
    assert card.precision == "int8"
    assert (card.training.data_set, card.training.epochs) == ("mnist", EPOCHS[name])
    assert card.training.images_seen >= EPOCHS[name] * 50_000
    assert len(bytes.fromhex(card.training.checkpoint_sha256)) == 32


def test_a_bundled_model_draws_digits_and_not_blank_or_equal_images(name: str) -> None:
    images = Generator.load(name).generate(100)
    assert len(np.unique(images.reshape(100, -1), axis=0)) == 100
    for image in images:
        assert 0.01 < (image > 127).mean() < 0.5  # real digits cover 2 to 33 %
    border = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], axis=1)
    assert (border < 64).mean() > 0.95
    assert images.std(axis=0).max() > 60


def test_pocket_fits_its_budget_and_was_scored() -> None:
    assert pocketgan_models.path("pocket").stat().st_size <= 256 * 1024
    quality = Generator.load("pocket").card.quality
    assert 0.9 < quality["asked_class_accuracy"] <= 1
    assert quality["frechet_ratio_first_judge"] > 0


def test_pocket_draws_the_digit_that_it_is_asked_for() -> None:
    pocket = Generator.load("pocket")
    ones, zeros = pocket.generate(50, digits=1), pocket.generate(50, digits=0)
    # A zero has much more ink than a one, and none in its middle.
    assert zeros.mean() > 1.5 * ones.mean()
    assert ones[:, 13:15, 13:15].mean() > 150
    assert zeros[:, 13:15, 13:15].mean() < 60


def test_gan_info_compares_with_the_same_digests() -> None:
    golden = json.loads(pocketgan_models.golden().read_text())
    assert (golden["seed"], golden["count"], golden["pixels_sha256"]) == (0, 100, PIXELS_SHA256)


def test_the_pixels_of_a_bundled_model_stay_what_they_are(name: str) -> None:
    images = Generator.load(name).generate(100)
    assert hashlib.sha256(images.tobytes()).hexdigest() == PIXELS_SHA256[name]


def test_a_package_in_a_zip_archive_says_that_its_models_cannot_be_opened(tmp_path: Path) -> None:
    archive = tmp_path / "app.zip"
    with ZipFile(archive, "w") as packages:
        for package in map(Path, (pocketgan.__path__[0], pocketgan_models.__path__[0])):
            for file in package.rglob("*"):
                packages.write(file, file.relative_to(package.parent))
    script = "from pocketgan.gen_cli import main; main()"
    command = [sys.executable, "-c", script, "--count", "2"]
    environment = os.environ | {"PYTHONPATH": str(archive)}

    def drawn(*options: str) -> tuple[int, str]:
        done = subprocess.run([*command, *options], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    code, said = drawn()
    assert code == 1
    assert re.fullmatch(rf"error: .*{archive}/pocketgan_models.* cannot be opened there: unpack [^\n]*\n", said)
    assert drawn("--model", str(pocketgan_models.path(DEFAULT_MODEL)), "--quiet") == (0, "")


def test_programs_that_pyinstaller_makes_carry_every_bundled_model_and_the_golden_pixels() -> None:
    (folder,) = hook_folders()
    carried = runpy.run_path(f"{folder}/hook-pocketgan_models.py")["datas"]
    assert {Path(file) for file, _ in carried} == {*map(pocketgan_models.path, NAMES), pocketgan_models.golden()}
    assert {target for _, target in carried} == {"pocketgan_models"}


def test_programs_that_pyinstaller_makes_carry_the_parts_of_a_page() -> None:
    (folder,) = hook_folders()
    carried = runpy.run_path(f"{folder}/hook-pocketgan.page.py")["datas"]
    names = {"controls.js", "executor.js", "latents.js", "page.css", "page.html", "sheet.js", "state.js", "worker.js"}
    assert {Path(source).name for source, _ in carried} == names
    assert {target for _, target in carried} == {"pocketgan/page"}


def test_the_project_names_the_hook_for_pyinstaller() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    expected = f"{hook_folders.__module__}:{hook_folders.__name__}"
    assert project["entry-points"]["pyinstaller40"] == {"hook-dirs": expected}
