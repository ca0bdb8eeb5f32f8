"""Notes on images that may make the model worse: each is there where it should be, and not one image earlier."""

from pathlib import Path

import numpy as np
import pytest
from image_data import different_images, write_pictures
from numpy.typing import NDArray

from pocketgan_trainer.data.images import load_training_images


def notes_on(folder: Path, images: NDArray[np.uint8], labels: NDArray[np.generic] | None = None) -> tuple[str, ...]:
    """Return the notes on images that are loaded from an NPZ file."""
    arrays = {"images": images} if labels is None else {"images": images, "labels": labels}
    np.savez(folder / "own.npz", **arrays)
    return load_training_images(str(folder / "own.npz")).notes


def test_good_data_has_no_notes(tmp_path: Path) -> None:
    assert notes_on(tmp_path, different_images(2000), np.arange(2000) % 10) == ()


def test_a_note_says_that_there_are_few_images(tmp_path: Path) -> None:
    (note,) = notes_on(tmp_path, different_images(1999), np.arange(1999) % 10)
    assert note.startswith("1,999 images are few: trained on fewer than 2,000")


def test_a_note_says_that_labels_are_absent_or_of_a_single_class(tmp_path: Path) -> None:
    images = different_images(2000)
    assert notes_on(tmp_path, images) == ("There are no labels, so the model will have no classes to choose from.",)
    assert notes_on(tmp_path, images, np.array(["cat"] * 2000)) == ("All images are of one class, cat.",)


def test_small_classes_are_named_the_smallest_first_at_most_five(tmp_path: Path) -> None:
    images = different_images(2000)
    labels = np.repeat(["a", "b", "c", "d"], [1000, 851, 49, 100])
    assert notes_on(tmp_path, images, labels) == (
        "Some classes have few images compared with the largest, which has 1,000, and may be drawn badly: c 49.",
    )
    labels = np.repeat(["a", "b", "c"], [1000, 901, 99])
    assert notes_on(tmp_path, images, labels)[0].endswith("may be drawn badly: c 99.")
    labels = np.repeat(["a", "b", "c", "d", "e", "f", "g", "h"], [1000, 888, 16, 20, 17, 21, 18, 20])
    assert notes_on(tmp_path, images, labels)[0].endswith(": c 16, e 17, g 18, d 20, h 20, and 1 more.")


def test_a_note_says_that_all_classes_are_small(tmp_path: Path) -> None:
    labels = np.arange(200) // 40
    labels[-1] = 0
    few = "All classes have few images, 41 at most, and may be drawn badly: 4 39, 1 40, 2 40, 3 40, 0 41."
    assert few in notes_on(tmp_path, different_images(200), labels)


def test_images_of_one_grey_value_are_counted(tmp_path: Path) -> None:
    images = different_images(2000)
    labels = np.arange(2000) % 10
    images[7] = 3
    assert notes_on(tmp_path, images, labels) == ("1 of 2,000 images is of one grey value everywhere and shows nothing.",)
    images[8] = 0
    expected = "2 of 2,000 images are of one grey value everywhere and show nothing."
    assert notes_on(tmp_path, images, labels) == (expected,)
    assert expected in load_training_images(str(tmp_path / "own.npz"), 32).notes


def test_exact_duplicates_are_counted(tmp_path: Path) -> None:
    images = different_images(2000)
    images[10] = images[0]
    assert notes_on(tmp_path, images, np.arange(2000) % 10) == ("1 of 2,000 images is an exact duplicate of another.",)
    images[10:13] = images[0]
    assert notes_on(tmp_path, images, np.arange(2000) % 10) == ("3 of 2,000 images are exact duplicates of others.",)


def test_a_note_says_that_more_than_half_of_the_images_are_dark_on_white(tmp_path: Path) -> None:
    images = different_images(2000)
    labels = np.arange(2000) % 10
    images[:1000] = 255 - images[:1000]
    assert notes_on(tmp_path, images, labels) == ()
    images[1000] = 255 - images[1000]
    (note,) = notes_on(tmp_path, images, labels)
    assert note.startswith("1,001 of 2,000 images look dark on white: ")
    assert "--like-mnist" in note


def test_dark_on_white_is_seen_before_pictures_are_padded(tmp_path: Path) -> None:
    write_pictures(tmp_path, 255 - different_images(200, 60, 30))
    assert any(note.startswith("200 of 200 images look dark on white") for note in load_training_images(str(tmp_path)).notes)


@pytest.mark.parametrize(("peak", "is_noted"), [(127, True), (128, False)])
def test_a_note_says_that_images_are_dark_though_a_few_pixels_are_bright(tmp_path: Path, peak: int, is_noted: bool) -> None:
    images = different_images(2000).clip(0, peak)
    images[:10, 14, 14] = 255
    notes = notes_on(tmp_path, images, np.arange(2000) % 10)
    assert (f"The images are dark: half of them have no pixel brighter than {peak} of 255" in "".join(notes)) is is_noted
