"""What can be scored: which images a source draws, and what is refused."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pocketgan import Generator
from pocketgan.errors import ModelError, PocketganError
from pocketgan_trainer.data.published import BUNDLED_FOLDER, Digits
from pocketgan_trainer.errors import DataError
from pocketgan_trainer.evaluate import sources
from pocketgan_trainer.evaluate.sources import FixedSource, ModelSource, open_source

MODELS = Path(__file__).parents[2] / "runtime" / "models"
CONDITIONAL = str(MODELS / "tiny_conditional.onnx")


@pytest.fixture
def fixed(digits: Digits) -> FixedSource:
    """2,000 digits whose classes are known."""
    return FixedSource("some.npz", digits.images, digits.labels.astype(np.int64))


def test_a_bundled_model_draws_the_images_of_the_seed_whatever_the_number_of_threads() -> None:
    source = open_source("mlp", threads=2)
    assert source.name == "mlp"
    assert not source.has_classes
    assert source.sha256 == Generator.load("mlp").sha256
    expected = Generator.load("mlp").generate(100, seed=5)
    np.testing.assert_array_equal(source.draw(np.zeros(100, dtype=np.int64), 5), expected)
    np.testing.assert_array_equal(open_source("mlp", threads=1).draw(np.ones(100, dtype=np.int64), 5), expected)


def test_a_model_with_classes_draws_image_i_of_class_i(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "IMAGE_SHAPE", (8, 8))
    source = open_source(CONDITIONAL, threads=1)
    assert source.has_classes
    labels = np.array([7, 7, 0, 3, 9] * 30)
    images = source.draw(labels, seed=2)
    generator = Generator.load(CONDITIONAL)
    for index in (0, 1, 2, 77, 149):
        np.testing.assert_array_equal(images[index], generator.generate(1, int(labels[index]), seed=2, start=index)[0])


def test_without_a_name_it_is_the_model_that_gan_gen_takes(folder: Path) -> None:
    source = open_source(None, threads=1)
    assert isinstance(source, ModelSource)
    assert source.generator.path == Generator.load().path
    assert source.name == Generator.load().path.stem
    (folder / "model.onnx").write_bytes(Generator.load("mlp").path.read_bytes())
    assert open_source(None, threads=1).sha256 == Generator.load("mlp").sha256


def test_a_model_of_other_images_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ModelError, match=r"tiny_conditional\.onnx draws images of 8x8 with 10 classes: only digits can be scored"
    ):
        open_source(CONDITIONAL, threads=1)


def test_a_fixed_source_draws_each_image_once_and_of_the_class_that_is_asked_for(fixed: FixedSource) -> None:
    labels = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3] * 20)
    images = fixed.draw(labels, seed=1)
    rows_of = {image.tobytes(): row for row, image in enumerate(fixed.images)}
    rows = [rows_of[image.tobytes()] for image in images]
    assert len(set(rows)) == len(labels)
    assert fixed.labels is not None
    np.testing.assert_array_equal(fixed.labels[rows], labels)
    np.testing.assert_array_equal(fixed.draw(labels, seed=1), images)
    assert (fixed.draw(labels, seed=2) != images).any()


def test_a_fixed_source_without_classes_gives_any_of_its_images(digits: Digits) -> None:
    source = FixedSource("folder", digits.images, None)
    assert not source.has_classes
    labels = np.arange(50) % 10
    images = source.draw(labels, seed=4)
    row_of = {image.tobytes(): row for row, image in enumerate(digits.images)}
    rows = [row_of[image.tobytes()] for image in images]
    assert len(set(rows)) == 50
    # Files may be sorted by class: the first ones would be of one kind.
    assert max(rows) > len(digits) / 2
    np.testing.assert_array_equal(source.draw(labels, seed=4), images)
    assert (source.draw(labels, seed=5) != images).any()


def test_too_few_images_are_said_with_how_many_there_are(fixed: FixedSource) -> None:
    without_classes = FixedSource("folder", fixed.images[:30], None)
    without_classes.require(np.zeros(30, dtype=np.int64), "")
    told = "folder holds 30 images, 40 are needed for 40 in all: it has enough for about 30; make more, or draw fewer"
    with pytest.raises(DataError, match=re.escape(told)):
        without_classes.require(np.zeros(40, dtype=np.int64), "draw fewer")

    assert fixed.labels is not None
    twos = int((fixed.labels == 2).sum())
    fixed.require(np.full(twos, 2), "")
    told = (
        f"some.npz holds {twos} images of the digit 2, 400 are needed for 401 in all: it has enough for about {401 * twos // 400}"
    )
    with pytest.raises(DataError, match=told):
        fixed.draw(np.array([5] + [2] * 400), seed=0)


def test_files_are_opened_by_their_kind(tmp_path: Path, digits: Digits) -> None:
    np.savez(tmp_path / "some.npz", images=digits.images[:5], labels=digits.labels[:5])
    npz = open_source(str(tmp_path / "some.npz"), threads=1)
    assert isinstance(npz, FixedSource)
    assert npz.has_classes
    assert npz.name == str(tmp_path / "some.npz")
    assert npz.sha256 == hashlib.sha256((tmp_path / "some.npz").read_bytes()).hexdigest()

    idx = open_source(str(BUNDLED_FOLDER / "t10k-images-idx3-ubyte.gz"), threads=1)
    assert isinstance(idx, FixedSource)
    assert idx.has_classes
    assert len(idx.images) == 10_000

    (tmp_path / "drawn").mkdir()
    Image.fromarray(digits.images[0]).save(tmp_path / "drawn" / "00000000.png")
    drawn = open_source(str(tmp_path / "drawn"), threads=1)
    assert isinstance(drawn, FixedSource)
    assert not drawn.has_classes
    assert drawn.sha256 is None


@pytest.mark.parametrize(
    ("named", "make", "told"),
    [
        (
            "absent",
            lambda path: None,
            "there is no absent: expected a bundled model .*dcgan.*, an .onnx file, a folder of PNG files",
        ),
        ("absent.npz", lambda path: None, "there is no absent.npz"),
        ("absent.onnx", lambda path: None, "no model absent.onnx"),
        ("digits.txt", lambda path: path.write_text("7"), "digits.txt is of no kind that can be scored: expected"),
        ("empty", lambda path: path.mkdir(), "empty holds no images"),
        ("my.onnx", lambda path: path.write_text("no model"), "model my.onnx"),
    ],
)
def test_what_is_absent_or_of_no_known_kind_is_named(folder: Path, named: str, make: Callable[[Path], object], told: str) -> None:
    make(folder / named)
    with pytest.raises(PocketganError, match=told):
        open_source(named, threads=1)
