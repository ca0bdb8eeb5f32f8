"""What all data has in common: sizes, errors and notes."""

from pathlib import Path

import numpy as np
import pytest
from image_data import different_images, write_pictures
from numpy.typing import NDArray

from pocketgan_trainer.data import source
from pocketgan_trainer.data.images import TrainingImages, load_training_images
from pocketgan_trainer.errors import DataError


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
        ((64, 64), None, 28),
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
        is_told = any("were made grey images" in note for note in loaded.notes)
        assert is_told is (shape != (size, size))


def test_pictures_of_two_sizes_get_28_pixels(tmp_path: Path) -> None:
    write_pictures(tmp_path, different_images(200, 32))
    write_pictures(tmp_path, different_images(1, 28))
    assert load_training_images(str(tmp_path)).images.shape == (200, 28, 28)


@pytest.mark.parametrize("size", [0, 27, 64])
def test_another_size_is_refused(size: int) -> None:
    with pytest.raises(DataError, match=f"an image size of {size} is not possible: expected 28 or 32"):
        load_training_images(None, size)


def test_a_name_that_is_neither_known_nor_a_path_is_refused_with_what_is_known(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="mnits does not exist: expected mnist, fashion-mnist, kmnist, or a folder of images"):
        load_training_images("mnits")
    (tmp_path / "images.tar").write_bytes(b"")
    with pytest.raises(DataError, match=r"images\.tar is an archive: expected mnist.*; unpack it and give the folder"):
        load_training_images(str(tmp_path / "images.tar"))


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


def test_good_data_has_no_notes(tmp_path: Path) -> None:
    assert load(tmp_path, different_images(2000), np.arange(2000) % 10).notes == ()


def test_few_images_are_told(tmp_path: Path) -> None:
    (note,) = load(tmp_path, different_images(1999), np.arange(1999) % 10).notes
    assert note.startswith("Only 1,999 images: with fewer than 2,000")


def test_absent_labels_and_a_single_class_are_told(tmp_path: Path) -> None:
    images = different_images(2000)
    assert load(tmp_path, images).notes == (
        "There are no labels, so the model will draw whatever comes, without classes to choose from.",
    )
    assert load(tmp_path, images, np.array(["cat"] * 2000)).notes == ("All images are of one class, cat.",)


def test_small_classes_are_named_the_smallest_first_at_most_five(tmp_path: Path) -> None:
    images = different_images(2000)
    labels = np.repeat(["a", "b", "c", "d"], [1000, 851, 49, 100])
    assert load(tmp_path, images, labels).notes == (
        "Some classes have few images beside the largest with 1,000, and may be drawn badly: c 49.",
    )
    labels = np.repeat(["a", "b", "c"], [1000, 901, 99])
    assert load(tmp_path, images, labels).notes[0].endswith("may be drawn badly: c 99.")
    labels = np.repeat(["a", "b", "c", "d", "e", "f", "g", "h"], [1000, 888, 16, 20, 17, 21, 18, 20])
    assert load(tmp_path, images, labels).notes[0].endswith(": c 16, e 17, g 18, d 20, h 20, and 1 more.")


def test_where_all_classes_are_small_that_is_told(tmp_path: Path) -> None:
    labels = np.arange(200) // 40
    labels[-1] = 0
    few = "All classes have few images, 41 at most, and may be drawn badly: 4 39, 1 40, 2 40, 3 40, 0 41."
    assert few in load(tmp_path, different_images(200), labels).notes


def test_images_of_one_grey_value_are_told(tmp_path: Path) -> None:
    images = different_images(2000)
    labels = np.arange(2000) % 10
    images[7] = 3
    assert load(tmp_path, images, labels).notes == ("1 of 2,000 images is of one grey value everywhere and shows nothing.",)
    images[8] = 0
    told = "2 of 2,000 images are of one grey value everywhere and show nothing."
    assert load(tmp_path, images, labels).notes == (told,)
    assert told in load_training_images(str(tmp_path / "own.npz"), 32).notes


def test_exact_duplicates_are_counted(tmp_path: Path) -> None:
    images = different_images(2000)
    images[10] = images[0]
    assert load(tmp_path, images, np.arange(2000) % 10).notes == ("1 of 2,000 images is an exact duplicate of another.",)
    images[10:13] = images[0]
    assert load(tmp_path, images, np.arange(2000) % 10).notes == ("3 of 2,000 images are exact duplicates of others.",)


def test_dark_on_white_is_told_where_more_than_half_of_the_images_are_so(tmp_path: Path) -> None:
    images = different_images(2000)
    labels = np.arange(2000) % 10
    images[:1000] = 255 - images[:1000]
    assert load(tmp_path, images, labels).notes == ()
    images[1000] = 255 - images[1000]
    (note,) = load(tmp_path, images, labels).notes
    assert note.startswith("1,001 of 2,000 images look dark on white: ")
    assert "--like-mnist" in note


def test_dark_on_white_is_seen_before_pictures_are_padded(tmp_path: Path) -> None:
    write_pictures(tmp_path, 255 - different_images(200, 60, 30))
    assert any(note.startswith("200 of 200 images look dark on white") for note in load_training_images(str(tmp_path)).notes)


def test_names_of_classes_are_those_that_a_model_card_takes(tmp_path: Path) -> None:
    names = np.array(["T-shirt/top", "a" * 50, "Über", "10"])
    loaded = load(tmp_path, different_images(400), np.resize(names, 400))
    assert len(loaded.classes) == 4
    assert all(name.isascii() and name.isalnum() and len(name) <= 32 for name in loaded.classes)


@pytest.mark.parametrize(("peak", "is_told"), [(127, True), (128, False)])
def test_dark_images_are_told_though_a_few_pixels_are_bright(tmp_path: Path, peak: int, is_told: bool) -> None:
    images = different_images(2000).clip(0, peak)
    images[:10, 14, 14] = 255
    notes = load(tmp_path, images, np.arange(2000) % 10).notes
    assert (f"The images are dark: half of them have no pixel brighter than {peak} of 255" in "".join(notes)) is is_told
