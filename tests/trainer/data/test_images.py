"""What all data has in common: sizes, refusals, and its description in one line."""

import re
from pathlib import Path

import numpy as np
import pytest
from drawings import drain, drawing_of
from image_data import different_images, write_pictures
from numpy.typing import NDArray

from pocketgan import Generator
from pocketgan.output.formats import Format
from pocketgan.output.sheet import write_sheet
from pocketgan.request import Existing, Grid
from pocketgan_trainer.data import source
from pocketgan_trainer.data.images import KINDS, TrainingImages, describe, load_training_images
from pocketgan_trainer.errors import DataError
from pocketgan_trainer.evaluate.sources import FixedSource, open_source


def load(folder: Path, images: NDArray[np.uint8], labels: NDArray[np.generic] | None = None) -> TrainingImages:
    """Load images by way of an NPZ file."""
    arrays = {"images": images} if labels is None else {"images": images, "labels": labels}
    np.savez(folder / "own.npz", **arrays)
    return load_training_images(str(folder / "own.npz"))


@pytest.mark.parametrize(
    ("shape", "wanted", "size"),
    [
        ((28, 28), None, 28),
        ((32, 32), None, 32),
        ((32, 30), None, 28),
        ((32, 32), 28, 28),
        ((28, 28), 32, 32),
        ((64, 48), 32, 32),
    ],
)
def test_images_get_28_pixels_unless_all_have_32_or_it_is_wanted(
    tmp_path: Path, shape: tuple[int, int], wanted: int | None, size: int
) -> None:
    images = different_images(200, *shape)
    np.savez(tmp_path / "own.npz", images=images)
    write_pictures(tmp_path / "own", images)
    for data in ("own.npz", "own"):
        loaded = load_training_images(str(tmp_path / data), wanted)
        assert loaded.images.shape == (200, size, size)
        assert loaded.images.dtype == np.uint8
        is_noted = any("were made grey images" in note for note in loaded.notes)
        assert is_noted is (shape != (size, size))


def test_pictures_of_two_sizes_get_28_pixels(tmp_path: Path) -> None:
    write_pictures(tmp_path, different_images(200, 32))
    write_pictures(tmp_path, different_images(1, 28))
    assert load_training_images(str(tmp_path)).images.shape == (200, 28, 28)


def test_another_size_is_refused() -> None:
    with pytest.raises(DataError, match="an image size of 27 is not possible: expected 28 or 32"):
        load_training_images("mnist", 27)


def test_a_name_that_is_neither_known_nor_a_path_is_refused_with_what_is_known(tmp_path: Path) -> None:
    kinds = [re.escape(kind.what) for kind in KINDS]
    expected = f"expected mnist, fashion-mnist, kmnist, {', '.join(kinds[:-1])}, or {kinds[-1]}; did you mean mnist\\?$"
    with pytest.raises(DataError, match=f"^mnits does not exist: {expected}"):
        load_training_images("mnits")
    (tmp_path / "images.tar").write_bytes(b"")
    with pytest.raises(DataError, match=r"images\.tar is an archive: expected mnist.*; unpack it and give the folder"):
        load_training_images(str(tmp_path / "images.tar"))


@pytest.mark.parametrize("file_format", [name for name in Format if name not in (Format.raw, Format.webdataset)])
def test_what_gan_gen_writes_comes_back_to_train_on_and_to_score(tmp_path: Path, file_format: Format) -> None:
    drawing = drawing_of(Generator.load("pocket"), 200, names=("2", "7"))
    batches = list(drawing.batches(drawing.selection.indices))
    drain(file_format.row.files(tmp_path, drawing).write(batches, Existing.refuse))
    (tmp_path / "manifest.json").write_text("{}")
    write_sheet(tmp_path / "grid.png", drawing, Grid(columns=5, rows=2))
    order = [*range(0, 200, 2), *range(1, 200, 2)] if file_format is Format.imagefolder else list(range(200))
    drawn = np.concatenate([batch.images for batch in batches])[order]
    path = {Format.npz: tmp_path / "digits.npz", Format.npy: tmp_path / "images.npy"}.get(file_format, tmp_path)
    loaded = load_training_images(str(path))
    assert loaded.classes == ("2", "7")
    assert loaded.labels is not None
    assert loaded.labels.tolist() == [index % 2 for index in order]
    np.testing.assert_array_equal(loaded.images, drawn)
    scored = open_source(str(path.parent if file_format is Format.npy else path), threads=1)
    assert isinstance(scored, FixedSource)
    assert scored.labels is not None
    assert scored.labels.tolist() == [(2, 7)[index % 2] for index in order]
    np.testing.assert_array_equal(scored.images, drawn)


def test_a_path_may_begin_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_pictures(tmp_path / "own", different_images(200))
    assert load_training_images("~/own").name == "own"


def test_a_folder_is_named_by_its_own_name_however_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pictures(tmp_path / "own", different_images(200))
    monkeypatch.chdir(tmp_path / "own")
    assert load_training_images(".").name == "own"


DIFFERENT = "expected at least 10 different ones; "


@pytest.mark.parametrize(
    ("distinct", "repeats", "expected"),
    [
        (199, 1, "{} holds 199 images: expected at least 200"),
        (1, 1, "{} holds 1 image: expected at least 200"),
        (301, 1, "{} holds 301 images: expected at most 300"),
        (0, 200, f"all 200 images of {{}} are black: {DIFFERENT}"),
        (1, 200, f"all 200 images of {{}} are equal: {DIFFERENT}"),
        (2, 150, f"the 300 images of {{}} are only 2 different ones, repeated: {DIFFERENT}"),
        (9, 33, f"the 297 images of {{}} are only 9 different ones, repeated: {DIFFERENT}"),
    ],
)
def test_too_few_too_many_and_equal_images_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, distinct: int, repeats: int, expected: str
) -> None:
    monkeypatch.setattr(source, "MOST_IMAGES", 300)
    images = different_images(distinct) if distinct else np.zeros((1, 28, 28), np.uint8)
    with pytest.raises(DataError) as caught:
        load(tmp_path, images.repeat(repeats, axis=0))
    assert str(caught.value).startswith(expected.format(tmp_path / "own.npz"))
    assert "\n" not in str(caught.value)


def test_ten_different_images_are_accepted(tmp_path: Path) -> None:
    assert len(load(tmp_path, different_images(10).repeat(20, axis=0))) == 200


@pytest.mark.parametrize(
    ("classes", "count", "expected"),
    [
        ("", 200, "own: 200 images of 28x28 without labels"),
        ("a", 200, "own: 200 images of 28x28 in 1 class (a: 200)"),
        ("ab", 2401, "own: 2,401 images of 28x28 in 2 classes (a: 1,201, b: 1,200)"),
        ("abcdefghijkl", 240, f"own: 240 images of 28x28 in 12 classes ({', '.join(f'{name}: 20' for name in 'abcdefghijkl')})"),
        (
            "abcdefghijklmnopq",
            340,
            f"own: 340 images of 28x28 in 17 classes ({', '.join(f'{name}: 20' for name in 'abcdefghij')}, ..., q: 20)",
        ),
    ],
)
def test_a_description_counts_each_class_and_shows_twelve_at_most(classes: str, count: int, expected: str) -> None:
    labels = np.arange(count) % len(classes) if classes else None
    assert describe(TrainingImages("own", tuple(classes), different_images(count), labels, ())) == expected
