"""Folders of pictures: one folder a class, all in one, and as gan-gen writes them."""

import json
from pathlib import Path

import numpy as np
import pytest
from drawings import drain, drawing_of
from image_data import different_images, write_pictures
from PIL import Image

from pocketgan import Generator
from pocketgan.drawing_run import Existing, Grid
from pocketgan.output.labels_file import write_labels
from pocketgan.output.png_files import PngFiles
from pocketgan.output.sheet import write_sheet
from pocketgan.output.walk_file import write_walk
from pocketgan_trainer.data.training_images import load_training_images
from pocketgan_trainer.errors import DataError

IMAGES = different_images(240)


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_training_images(str(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def clothes(tmp_path: Path) -> Path:
    """120 images each of two classes."""
    folder = tmp_path / "My Clothes"
    write_pictures(folder / "T-shirt", IMAGES[:120])
    write_pictures(folder / "bag", IMAGES[120:])
    return folder


def test_each_sub_folder_is_a_class(clothes: Path) -> None:
    (clothes / ".thumbnails").mkdir()
    (clothes / "bag" / ".DS_Store").write_bytes(b"")
    loaded = load_training_images(str(clothes))
    assert (loaded.name, loaded.classes) == ("my-clothes", ("Tshirt", "bag"))
    np.testing.assert_array_equal(loaded.images, IMAGES)
    assert loaded.labels is not None
    assert loaded.labels.dtype == np.int64
    assert loaded.labels.tolist() == [0] * 120 + [1] * 120
    assert "Class names were reduced to ASCII letters and digits: T-shirt became Tshirt." in loaded.notes


def test_numbered_classes_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for place, name in enumerate(("9", "10", "0")):
        write_pictures(tmp_path / name, IMAGES[80 * place : 80 * place + 80])
    loaded = load_training_images(str(tmp_path))
    assert loaded.classes == ("0", "9", "10")
    assert loaded.labels is not None
    of_nine = loaded.images[loaded.labels == 1]
    np.testing.assert_array_equal(of_nine, IMAGES[:80])


def test_without_sub_folders_there_are_no_labels(tmp_path: Path) -> None:
    write_pictures(tmp_path, IMAGES)
    (tmp_path / "notes").mkdir()
    loaded = load_training_images(str(tmp_path))
    assert (loaded.labels, loaded.classes) == (None, ())
    assert f"Folders further down, such as {tmp_path / 'notes'}, were not looked into." in loaded.notes
    np.testing.assert_array_equal(loaded.images, IMAGES)


@pytest.mark.parametrize("has_class_folders", [False, True])
def test_a_folder_of_gan_gen_comes_back_with_its_classes(tmp_path: Path, has_class_folders: bool) -> None:
    drawing = drawing_of(Generator.load("pocket"), 200, names=("2", "7"))
    batches = list(drawing.batches(drawing.selection.indices))
    files = PngFiles(tmp_path, drawing, has_class_folders)
    drain(files.write(batches, Existing.refuse))
    (tmp_path / "manifest.json").write_text(json.dumps({"seed": 0}))
    write_labels(tmp_path / "labels.csv", drawing, files.file_of)
    write_sheet(tmp_path / "grid.png", drawing, Grid(columns=5, rows=2))
    write_walk(tmp_path / "walk.gif", drawing)
    loaded = load_training_images(str(tmp_path))
    assert loaded.classes == ("2", "7")
    drawn = np.concatenate([batch.images for batch in batches])
    order = [*range(0, 200, 2), *range(1, 200, 2)] if has_class_folders else list(range(200))
    np.testing.assert_array_equal(loaded.images, drawn[order])
    assert loaded.labels is not None
    assert loaded.labels.tolist() == [place % 2 for place in order]
    from_names = "Classes were taken from the ends of file names such as 00000000_2.png."
    assert (from_names in loaded.notes) is not has_class_folders


def test_a_few_names_that_seem_to_tell_a_class_are_told_but_not_used(tmp_path: Path) -> None:
    write_pictures(tmp_path, IMAGES)
    Image.fromarray(IMAGES[0, ::-1]).save(tmp_path / "20240131_101500.png")
    loaded = load_training_images(str(tmp_path))
    assert loaded.labels is None
    assert "Only 1 of 241 file names tell a class, such as 20240131_101500.png: none was taken from them." in loaded.notes


def test_files_that_are_no_pictures_are_passed_over_and_told(clothes: Path) -> None:
    (clothes / "bag" / "notes.txt").write_text("bought in May")
    (clothes / "licence").write_text("mine")
    loaded = load_training_images(str(clothes))
    assert len(loaded) == 240
    assert f"2 files that are no pictures were passed over, such as {clothes / 'licence'}." in loaded.notes


def test_folders_within_those_of_classes_are_passed_over_and_told(clothes: Path) -> None:
    write_pictures(clothes / "bag" / "red", different_images(20, seed=1))
    loaded = load_training_images(str(clothes))
    assert len(loaded) == 240
    assert f"Folders further down, such as {clothes / 'bag' / 'red'}, were not looked into." in loaded.notes


def test_pictures_of_several_kinds_are_told_by_number(clothes: Path) -> None:
    write_pictures(clothes / "bag", different_images(20, 64, 48, seed=1), ".jpg")
    Image.fromarray(np.stack([IMAGES[0]] * 3, axis=-1)).save(clothes / "bag" / "colour.png")
    loaded = load_training_images(str(clothes))
    assert loaded.images.shape == (261, 28, 28)
    kinds = "240 of 28x28 (grey), 20 of 48x64 (grey), 1 of 28x28 (colour)"
    assert f"The images are of 3 kinds: {kinds}; all were made grey images of 28x28." in loaded.notes


def test_pictures_of_one_other_kind_are_told(tmp_path: Path) -> None:
    write_pictures(tmp_path, different_images(200, 40))
    assert "All 200 images are 40x40 (grey); they were made grey images of 28x28." in load_training_images(str(tmp_path)).notes


def test_pictures_of_many_kinds_are_told_in_part(tmp_path: Path) -> None:
    write_pictures(tmp_path, IMAGES)
    for size in range(30, 36):
        Image.fromarray(different_images(1, size)[0]).save(tmp_path / f"of{size}.png")
    (told,) = [note for note in load_training_images(str(tmp_path)).notes if "kinds" in note]
    assert told.startswith("The images are of 7 kinds: 240 of 28x28 (grey), 1 of 30x30 (grey)")
    assert "1 of 33x33 (grey), and 2 kinds more; all were made" in told


def test_a_class_without_images_is_refused(clothes: Path) -> None:
    (clothes / "hat").mkdir()
    (clothes / "hat" / "notes.txt").write_text("none yet")
    assert refusal(clothes).startswith(
        f"{clothes / 'hat'} holds no images: expected PNG, JPEG, BMP, GIF, WEBP files in each class"
    )
    (clothes / "shoe").mkdir()
    assert "hat holds no images, like 1 more of 4 folders: " in refusal(clothes)


def test_class_folders_one_level_deeper_are_told(clothes: Path) -> None:
    assert f"give the path {clothes} if its folders are the classes" in refusal(clothes.parent)


def test_images_in_the_folder_and_in_sub_folders_are_refused(clothes: Path) -> None:
    Image.fromarray(IMAGES[0]).save(clothes / "one.png")
    assert "holds images both in it and in sub-folders, such as" in refusal(clothes)


def test_classes_whose_names_become_equal_are_refused(clothes: Path) -> None:
    write_pictures(clothes / "Tshirt", IMAGES[:1])
    assert f"{clothes} has classes 'T-shirt' and 'Tshirt', which are both Tshirt" in refusal(clothes)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path).startswith(f"{tmp_path} holds no images: expected PNG, JPEG, BMP, GIF, WEBP files, in it or")


def test_the_first_damaged_picture_is_named_and_the_others_counted(clothes: Path) -> None:
    (clothes / "T-shirt" / "picture00003.png").write_bytes(b"damaged")
    assert "same goes" not in refusal(clothes)
    (clothes / "bag" / "picture00007.png").write_bytes(b"damaged")
    (clothes / "bag" / "picture00009.png").write_bytes(b"damaged")
    message = refusal(clothes)
    assert message.startswith(f"{clothes / 'T-shirt' / 'picture00003.png'} cannot be read")
    assert message.endswith("; the same goes for 2 more of 240 files")


def test_a_picture_that_breaks_off_is_named(clothes: Path) -> None:
    for name in ("picture00003.png", "picture00005.png"):
        path = clothes / "bag" / name
        path.write_bytes(path.read_bytes()[:300])
    message = refusal(clothes)
    assert message.startswith(f"{clothes / 'bag' / 'picture00003.png'} cannot be read (")
    assert message.endswith("; the same goes for 1 more of 240 files")
