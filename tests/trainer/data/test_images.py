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


def refusal(folder: Path, images: NDArray[np.uint8]) -> str:
    with pytest.raises(DataError) as caught:
        load(folder, images)
    assert "\n" not in str(caught.value)
    return str(caught.value)


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
        load_training_images(None, 27)


def test_a_name_that_is_neither_known_nor_a_path_is_refused_with_what_is_known(tmp_path: Path) -> None:
    kinds = [re.escape(kind.what) for kind in KINDS]
    expected = f"expected mnist, fashion-mnist, kmnist, {', '.join(kinds[:-1])}, or {kinds[-1]}$"
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


def test_fewer_than_200_images_are_refused(tmp_path: Path) -> None:
    assert "own.npz holds 199 images: expected at least 200" in refusal(tmp_path, different_images(199))
    assert "own.npz holds 1 image: expected at least 200" in refusal(tmp_path, different_images(1))
    load(tmp_path, different_images(200))


def test_more_images_than_memory_takes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MOST_IMAGES", 300)
    assert "own.npz holds 301 images: expected at most 300" in refusal(tmp_path, different_images(301))


def test_images_that_are_all_equal_are_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, different_images(1).repeat(200, axis=0))
    assert message.startswith(f"all 200 images of {tmp_path / 'own.npz'} are equal: expected at least 10 different ones; ")
    assert "own.npz are black: expected at least 10 different ones" in refusal(tmp_path, np.zeros((200, 28, 28), np.uint8))


@pytest.mark.parametrize("distinct", [2, 9])
def test_hardly_any_different_images_are_refused_however_many_there_are(tmp_path: Path, distinct: int) -> None:
    message = refusal(tmp_path, different_images(distinct).repeat(300, axis=0))
    found = f"the {300 * distinct:,} images of {tmp_path / 'own.npz'} are only {distinct} different ones, repeated"
    assert message.startswith(f"{found}: expected at least 10 different ones; ")


def test_ten_different_images_are_accepted(tmp_path: Path) -> None:
    assert len(load(tmp_path, different_images(10).repeat(20, axis=0))) == 200


def labelled(classes: tuple[str, ...], count: int) -> TrainingImages:
    labels = np.arange(count) % len(classes)
    return TrainingImages("own", classes, different_images(count), labels, ())


def test_a_description_names_every_class_and_counts_it() -> None:
    assert describe(labelled(("cat", "dog"), 2401)) == "own: 2,401 images of 28x28 in 2 classes: cat 1,201, dog 1,200"
    assert describe(labelled(("cat",), 200)) == "own: 200 images of 28x28 in 1 class: cat 200"


def test_a_description_of_more_than_12_classes_leaves_some_out() -> None:
    twelve = describe(labelled(tuple("abcdefghijkl"), 240))
    assert "..." not in twelve
    assert twelve.count(" 20") == 12
    many = describe(labelled(tuple("abcdefghijklmnopq"), 340))
    assert many.startswith("own: 340 images of 28x28 in 17 classes: a 20, b 20,")
    assert many.endswith("i 20, j 20, ..., q 20")


def test_a_description_says_that_there_are_no_labels() -> None:
    assert describe(TrainingImages("own", (), different_images(200, 32), None, ())) == "own: 200 images of 32x32 without labels"
