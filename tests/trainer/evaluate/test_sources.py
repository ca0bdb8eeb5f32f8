"""What can be scored: which images a source draws, and what is refused."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from drawings import drain, drawing_of
from image_data import write_idx
from numpy.typing import NDArray
from PIL import Image

from pocketgan import Generator
from pocketgan.errors import ModelError, PocketganError
from pocketgan.output.png import PngFiles
from pocketgan.output.sheet import write_grid
from pocketgan.request import Existing
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
    expected = "folder holds 30 images, 40 are needed for 40 in all: it has enough for about 30; make more, or draw fewer"
    with pytest.raises(DataError, match=re.escape(expected)):
        without_classes.require(np.zeros(40, dtype=np.int64), "draw fewer")

    assert fixed.labels is not None
    twos = int((fixed.labels == 2).sum())
    fixed.require(np.full(twos, 2), "")
    expected = (
        f"some.npz holds {twos} images of the digit 2, 400 are needed for 401 in all: it has enough for about {401 * twos // 400}"
    )
    with pytest.raises(DataError, match=expected):
        fixed.draw(np.array([5] + [2] * 400), seed=0)


@pytest.mark.parametrize("name", ["0001-pocket-mnist", "0001-pocket-mnist/best.safetensors"])
def test_a_training_run_is_to_be_exported_first(tmp_path: Path, name: str) -> None:
    run = tmp_path / "0001-pocket-mnist"
    run.mkdir()
    for checkpoint in ("last", "best"):
        (run / f"{checkpoint}.safetensors").write_bytes(b"")
    with pytest.raises(DataError, match=r"is of a training run: export it first, with gan-export model.onnx --checkpoint "):
        open_source(str(tmp_path / name), 1)


def test_a_misspelt_name_gets_the_nearest_one() -> None:
    with pytest.raises(DataError, match=r"^nno does not exist: .*; did you mean nano\?$"):
        open_source("nno", 1)


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
    ("named", "make", "reason"),
    [
        (
            "absent",
            lambda path: None,
            "absent does not exist: expected a bundled model .*dcgan.*, an .onnx file, .*, or a folder of pictures",
        ),
        ("absent.onnx", lambda path: None, "no model absent.onnx"),
        ("digits.txt", lambda path: path.write_text("7"), "digits.txt is a file of another kind: expected"),
        ("empty", lambda path: path.mkdir(), "empty holds no images"),
        ("my.onnx", lambda path: path.write_text("no model"), "model my.onnx"),
    ],
)
def test_what_is_absent_or_of_no_known_kind_is_named(
    folder: Path, named: str, make: Callable[[Path], object], reason: str
) -> None:
    make(folder / named)
    with pytest.raises(PocketganError, match=reason):
        open_source(named, threads=1)


def read(path: Path) -> tuple[NDArray[np.uint8], list[int] | None]:
    """Return the images and labels of a path."""
    source = open_source(str(path), threads=1)
    assert isinstance(source, FixedSource)
    return source.images, None if source.labels is None else source.labels.tolist()


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        open_source(str(path), threads=1)
    assert str(caught.value).isprintable()
    return str(caught.value)


def write_png(file: Path, image: NDArray[np.generic]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(file)


@pytest.mark.parametrize("sheet", ["grid.png", "grid_00000093.png", "grid_123456789012.png"])
def test_a_folder_of_gan_gen_comes_back_pixel_for_pixel_without_its_sheet(tmp_path: Path, sheet: str) -> None:
    model = Generator.load("mlp")
    drain(PngFiles(tmp_path, drawing_of(model, 70, seed=3)).write(model.stream(70, seed=3), Existing.refuse))
    write_grid(tmp_path / sheet, model.generate(20, seed=3), 10)
    images, labels = read(tmp_path)
    np.testing.assert_array_equal(images, model.generate(70, seed=3))
    assert labels is None


@pytest.mark.parametrize(("has_class_folders", "order"), [(False, [0, 1, 2, 3, 4]), (True, [0, 2, 4, 1, 3])])
def test_classes_come_from_the_names_or_folders_that_gan_gen_gives(
    tmp_path: Path, has_class_folders: bool, order: list[int]
) -> None:
    drawing = drawing_of(Generator.load("pocket"), 5, seed=2, names=("2", "7"))
    batches = list(drawing.batches(drawing.selection.indices))
    drain(PngFiles(tmp_path, drawing, has_class_folders).write(batches, Existing.refuse))
    write_grid(tmp_path / "grid.png", batches[0].images, 5)
    (tmp_path / "notes").mkdir()
    images, labels = read(tmp_path)
    assert labels == [(2, 7)[index % 2] for index in order]
    np.testing.assert_array_equal(images, batches[0].images[order])


def test_a_folder_without_images_or_with_classes_for_some_is_refused(tmp_path: Path, images: NDArray[np.uint8]) -> None:
    (tmp_path / "digit.jpg").write_bytes(b"")
    assert refusal(tmp_path).startswith(
        f"{tmp_path} holds no images: expected PNG files, in it or in one folder per class named 0 to 9"
    )
    write_png(tmp_path / "00000000_3.png", images[0])
    write_png(tmp_path / "00000001.png", images[1])
    assert "00000001.png has no class in its name, unlike others there" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("convert", "reason"),
    [
        (lambda image: np.stack([image] * 3, axis=-1), r"28x28 \(colour\): expected a grey image of 8 bits, 28x28"),
        (lambda image: image[:20], r"28x20 \(grey\): expected a grey image of 8 bits, 28x28"),
    ],
    ids=["colour", "size"],
)
def test_an_image_of_another_kind_is_named(
    tmp_path: Path, images: NDArray[np.uint8], convert: Callable[[NDArray[np.uint8]], NDArray[np.generic]], reason: str
) -> None:
    write_png(tmp_path / "a.png", images[0])
    write_png(tmp_path / "b.png", convert(images[1]))
    assert re.search(rf"b\.png is {reason}", refusal(tmp_path))


@pytest.mark.parametrize(
    ("images_shape", "labels", "reason"),
    [
        ((2, 28, 112), None, "holds images uint8 [2, 28, 112]: expected grey uint8 [N, 28, 28]"),
        ((0, 28, 28), None, "holds images uint8 [0, 28, 28]"),
        ((2, 28, 28), np.array([0, 10]), "has images of the class 10: expected digits, 0 to 9"),
        ((2, 28, 28), np.array(["3", "boot"]), "has images of the class boot: expected digits, 0 to 9"),
    ],
)
def test_arrays_of_anything_but_digits_are_refused(
    tmp_path: Path, images_shape: tuple[int, ...], labels: NDArray[np.generic] | None, reason: str
) -> None:
    arrays = {"images": np.zeros(images_shape, np.uint8), **({} if labels is None else {"labels": labels})}
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    assert f"a.npz {reason}" in refusal(tmp_path / "a.npz")


@pytest.mark.parametrize("labels_name", ["my-labels-idx1-ubyte.gz", None])
def test_idx_images_come_with_the_labels_beside_them(tmp_path: Path, images: NDArray[np.uint8], labels_name: str | None) -> None:
    write_idx(tmp_path / "my-images-idx3-ubyte", images[:3])
    if labels_name:
        write_idx(tmp_path / labels_name, np.array([5, 0, 4], dtype=np.uint8))
    for path in (tmp_path, tmp_path / "my-images-idx3-ubyte"):
        found, labels = read(path)
        np.testing.assert_array_equal(found, images[:3])
        assert labels == (None if labels_name is None else [5, 0, 4])
