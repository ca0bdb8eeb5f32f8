"""Folders of pictures: one folder per class, all in one, and as gan-gen writes them."""

import os
from pathlib import Path

import numpy as np
import pytest
from image_data import different_images, write_idx, write_pictures
from PIL import Image

from pocketgan_trainer.data.images import load_training_images
from pocketgan_trainer.errors import DataError

IMAGES = different_images(240)
"""More than the 200 that are the fewest, in two classes of 120."""


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
    assert f"Deeper folders, such as {tmp_path / 'notes'}, were skipped." in loaded.notes
    np.testing.assert_array_equal(loaded.images, IMAGES)


def test_what_gan_gen_writes_beside_its_images_is_no_picture(clothes: Path) -> None:
    for name in ("labels.csv", "manifest_00000625.json"):
        (clothes / name).write_text("")
    for name in ("grid.png", "grid_00000093.png", "walk.gif"):
        Image.fromarray(IMAGES[0]).save(clothes / name)
    loaded = load_training_images(str(clothes))
    assert len(loaded) == 240
    assert not any("skipped" in note for note in loaded.notes)


def test_a_note_says_that_classes_were_taken_from_names_unless_there_are_hardly_two_images_each(tmp_path: Path) -> None:
    for index, image in enumerate(IMAGES):
        Image.fromarray(image).save(tmp_path / f"{index:08d}_{index % 120}.png")
    loaded = load_training_images(str(tmp_path))
    assert len(loaded.classes) == 120
    assert "Classes were taken from the ends of file names such as 00000000_0.png." in loaded.notes
    (tmp_path / "00000000_0.png").rename(tmp_path / "00000000_more.png")
    loaded = load_training_images(str(tmp_path))
    assert loaded.labels is None
    expected = "File names such as 00000000_more.png would give 121 classes, hardly two images each: none was taken."
    assert expected in loaded.notes


def test_classes_are_not_taken_from_names_if_only_some_have_them(tmp_path: Path) -> None:
    write_pictures(tmp_path, IMAGES)
    Image.fromarray(IMAGES[0, ::-1]).save(tmp_path / "20240131_101500.png")
    loaded = load_training_images(str(tmp_path))
    assert loaded.labels is None
    assert "Only 1 of 241 file names ends in a class, such as 20240131_101500.png: none was taken." in loaded.notes


def test_files_of_other_formats_are_passed_over_with_a_note(clothes: Path) -> None:
    (clothes / "bag" / "notes.txt").write_text("bought in May")
    found = f"1 other was skipped, such as {clothes / 'bag' / 'notes.txt'}."
    assert f"Only files named as PNG, JPEG, BMP, GIF, WEBP are read: {found}" in load_training_images(str(clothes)).notes
    (clothes / "scan.tiff").write_bytes(b"II*\x00")
    loaded = load_training_images(str(clothes))
    assert len(loaded) == 240
    found = f"2 others were skipped, such as {clothes / 'scan.tiff'}."
    assert f"Only files named as PNG, JPEG, BMP, GIF, WEBP are read: {found}" in loaded.notes


def test_folders_within_those_of_classes_are_passed_over_with_a_note(clothes: Path) -> None:
    write_pictures(clothes / "bag" / "red", different_images(20, seed=1))
    loaded = load_training_images(str(clothes))
    assert len(loaded) == 240
    assert f"Deeper folders, such as {clothes / 'bag' / 'red'}, were skipped." in loaded.notes


def test_a_note_names_folders_with_pictures_whose_names_begin_with_two_underscores(clothes: Path) -> None:
    for name in ("__MACOSX", ".trash"):
        write_pictures(clothes / name, IMAGES[:1])
    (clothes / "__pycache__").mkdir()
    assert not any("begin with __" in note for note in load_training_images(str(clothes)).notes)
    write_pictures(clothes / "__hats", IMAGES[:1])
    loaded = load_training_images(str(clothes))
    assert loaded.classes == ("Tshirt", "bag")
    note = "Folders whose names begin with __ are skipped: "
    assert f"{note}1 of them holds pictures, such as {clothes / '__hats'}." in loaded.notes
    write_pictures(clothes / "__shoes", IMAGES[:1])
    assert f"{note}2 of them hold pictures, such as {clothes / '__hats'}." in load_training_images(str(clothes)).notes


def test_where_all_folders_have_such_names_the_error_says_so(tmp_path: Path) -> None:
    (tmp_path / "__a").mkdir()
    assert refusal(tmp_path).endswith(", or IDX files")
    write_pictures(tmp_path / "__hats", IMAGES)
    assert refusal(tmp_path).endswith(f"; rename {tmp_path / '__hats'} if it is one, to begin without __")


@pytest.mark.parametrize("suffix", [".gif", ".png"])
def test_a_note_says_that_only_the_first_frame_of_animations_was_taken(clothes: Path, suffix: str) -> None:
    write_pictures(clothes / "bag", different_images(3, seed=1), suffix=f"-still{suffix}")
    assert not any("frame" in note for note in load_training_images(str(clothes)).notes)
    first, *others = (Image.fromarray(image) for image in different_images(3, seed=2))
    paths = [clothes / "bag" / f"{name}{suffix}" for name in ("hop", "jump")]
    first.save(paths[0], save_all=True, append_images=others)
    loaded = load_training_images(str(clothes))
    assert f"Only the first frame was taken of 1 animated picture, such as {paths[0]}." in loaded.notes
    assert any("1 of 28x28 (" in note and ", animated)" in note for note in loaded.notes) is (suffix != ".png")
    first.save(paths[1], save_all=True, append_images=others)
    expected = f"Only the first frame was taken of 2 animated pictures, such as {paths[0]}."
    assert expected in load_training_images(str(clothes)).notes


@pytest.mark.parametrize("like_mnist", [False, True])
def test_dark_ink_on_transparency_is_kept_and_counts_as_dark_on_white(tmp_path: Path, like_mnist: bool) -> None:
    (tmp_path / "black").mkdir()
    for place, image in enumerate(IMAGES):
        picture = Image.new("RGBA", (28, 28), "black")
        picture.putalpha(Image.fromarray(image))
        picture.save(tmp_path / "black" / f"picture{place:05d}.png")
    write_pictures(tmp_path / "white", IMAGES)
    loaded = load_training_images(str(tmp_path / "black"), None, like_mnist)
    light = load_training_images(str(tmp_path / "white"), None, like_mnist)
    np.testing.assert_array_equal(loaded.images if like_mnist else 255 - loaded.images, light.images)
    found = "were dark on white and were inverted." if like_mnist else "look dark on white: "
    assert any(note.startswith(f"240 of 240 images {found}") for note in loaded.notes)


def test_a_note_counts_pictures_of_several_kinds(clothes: Path) -> None:
    write_pictures(clothes / "bag", different_images(20, 64, 48, seed=1), ".jpg")
    Image.fromarray(np.stack([IMAGES[0]] * 3, axis=-1)).save(clothes / "bag" / "colour.png")
    loaded = load_training_images(str(clothes))
    assert loaded.images.shape == (261, 28, 28)
    kinds = "240 of 28x28 (grey), 20 of 48x64 (grey), 1 of 28x28 (colour)"
    assert f"The images are of 3 kinds: {kinds}; all were made grey images of 28x28." in loaded.notes


def test_a_note_describes_pictures_of_one_other_kind(tmp_path: Path) -> None:
    write_pictures(tmp_path, different_images(200, 40))
    assert "All 200 images are 40x40 (grey); they were made grey images of 28x28." in load_training_images(str(tmp_path)).notes


def test_a_note_on_many_kinds_shows_five(tmp_path: Path) -> None:
    write_pictures(tmp_path, IMAGES)
    for size in range(30, 36):
        Image.fromarray(different_images(1, size)[0]).save(tmp_path / f"of{size}.png")
    (found,) = [note for note in load_training_images(str(tmp_path)).notes if "kinds" in note]
    assert found.startswith("The images are of 7 kinds: 240 of 28x28 (grey), 1 of 30x30 (grey)")
    assert "1 of 33x33 (grey), and 2 kinds more; all were made" in found


def test_a_class_without_images_is_refused(clothes: Path) -> None:
    (clothes / "hat").mkdir()
    (clothes / "hat" / "notes.txt").write_text("none yet")
    assert refusal(clothes).startswith(
        f"{clothes / 'hat'} holds no images: expected PNG, JPEG, BMP, GIF, WEBP files in each class"
    )
    (clothes / "shoe").mkdir()
    assert "hat holds no images, like 1 more of 4 folders: " in refusal(clothes)


def test_the_error_names_class_folders_one_level_deeper(clothes: Path) -> None:
    assert f"give the path {clothes} if its folders are the classes" in refusal(clothes.parent)


def test_of_class_folders_one_level_deeper_the_error_names_those_for_training(clothes: Path) -> None:
    write_pictures(clothes.parent / "TEST" / "bag", IMAGES[:1])
    training = clothes.rename(clothes.with_name("Train"))
    message = refusal(clothes.parent)
    assert message.startswith(f"{training} holds no images, like 1 more of 2 folders: ")
    assert message.endswith(f"; give the path {training} if its folders are the classes")


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "emnist-letters-train-images-idx3-ubyte.gz"])
def test_idx_files_one_or_two_levels_deeper_are_taken(tmp_path: Path, name: str) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    write_idx(raw / name, IMAGES)
    for folder in (tmp_path, raw.parent):
        loaded = load_training_images(str(folder))
        assert len(loaded) == 240
        assert f"The IDX files of {raw} were taken." in loaded.notes
    assert not any("IDX files" in note for note in load_training_images(str(raw)).notes)
    (raw / name).unlink()
    assert refusal(raw.parent).endswith("; fill or remove it")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("t10k-images-idx3-ubyte", "train-images-idx3-ubyte"),
        ("emnist-letters-test-images-idx3-ubyte.gz", "emnist-letters-train-images-idx3-ubyte.gz"),
    ],
)
def test_a_folder_of_idx_files_for_testing_only_is_refused(tmp_path: Path, name: str, wanted: str) -> None:
    path = tmp_path / name
    write_idx(path, IMAGES)
    assert refusal(tmp_path) == (
        f"{tmp_path} holds only test images, {name}: expected training images, {wanted}; put them there, or give the path {path}"
    )
    assert len(load_training_images(str(path))) == 240


def test_images_in_the_folder_and_in_sub_folders_are_refused(clothes: Path) -> None:
    Image.fromarray(IMAGES[0]).save(clothes / "one.png")
    assert "holds images both in it and in sub-folders, such as" in refusal(clothes)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path).startswith(f"{tmp_path} holds no images: expected PNG, JPEG, BMP, GIF, WEBP files, in it or")


def test_five_damaged_pictures_are_named_and_the_others_counted(clothes: Path) -> None:
    damaged = [clothes / "T-shirt" / "picture00003.png", *(clothes / "bag" / f"picture0000{place}.png" for place in range(6))]
    damaged[0].write_bytes(b"damaged")
    message = refusal(clothes)
    assert message.startswith(f"{damaged[0]} cannot be read")
    assert "either" not in message
    for path in damaged[1:5]:
        path.write_bytes(b"damaged")
    assert refusal(clothes) == f"{message}; cannot be used either: {', '.join(map(str, damaged[1:5]))}"
    for path in damaged[5:]:
        path.write_bytes(b"damaged")
    assert refusal(clothes).endswith(f"{damaged[4]}, and 2 more of 240 files")


def test_a_picture_that_breaks_off_is_named(clothes: Path) -> None:
    for name in ("picture00003.png", "picture00005.png"):
        path = clothes / "bag" / name
        path.write_bytes(path.read_bytes()[:300])
    message = refusal(clothes)
    assert message.startswith(f"{clothes / 'bag' / 'picture00003.png'} cannot be read (")
    assert message.endswith(f"; cannot be used either: {clothes / 'bag' / 'picture00005.png'}")


@pytest.mark.parametrize("name", ["lost+found", "$RECYCLE.BIN", ".Trash-1000"])
def test_folders_that_systems_make_are_passed_over_with_a_note(clothes: Path, name: str) -> None:
    write_pictures(clothes / name, IMAGES[:1])
    (clothes / name).chmod(0)
    (clothes / "bag" / name).mkdir()
    (clothes / "bag" / "Thumbs.db").write_bytes(b"")
    loaded = load_training_images(str(clothes))
    assert len(loaded) == 240
    assert (
        f"Files and folders that systems and tools create were skipped: {', '.join(sorted([name, 'Thumbs.db']))}." in loaded.notes
    )
    assert not any("Deeper" in note or "Only files" in note for note in loaded.notes)


def test_a_folder_that_a_system_made_is_never_advised(tmp_path: Path) -> None:
    write_pictures(tmp_path / "lost+found", IMAGES)
    assert "lost+found" not in refusal(tmp_path)


@pytest.mark.parametrize("names", [("Training", "val"), ("train",), ("train", "validation", "more")])
def test_pictures_straight_in_parts_of_a_data_set_are_no_classes(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        write_pictures(tmp_path / name, IMAGES)
    message = refusal(tmp_path)
    assert "named like parts of a data set: expected one folder per class" in message
    assert f"; give the path {tmp_path / names[0]}, or rename the folders that are classes" in message


def test_of_parts_the_error_names_those_for_training_though_only_others_hold_pictures(tmp_path: Path) -> None:
    write_pictures(tmp_path / "test", IMAGES)
    write_pictures(tmp_path / "train" / "bag", IMAGES)
    assert f"; give the path {tmp_path / 'train'}, or rename" in refusal(tmp_path)


def test_a_class_of_trains_is_one(clothes: Path) -> None:
    write_pictures(clothes / "train", IMAGES[:100, ::-1])
    assert load_training_images(str(clothes)).classes == ("Tshirt", "bag", "train")


@pytest.mark.parametrize(("brightest", "depth"), [(255, 8), (256, 10), (4095, 12), (16_384, 16)])
def test_of_16_bits_as_many_are_taken_as_are_in_use_in_all_pictures_together(tmp_path: Path, brightest: int, depth: int) -> None:
    values = (different_images(220).astype(np.int64) * brightest // 255).astype(np.uint16)
    values[0, 14, 14] = brightest
    write_pictures(tmp_path, values)
    loaded = load_training_images(str(tmp_path))
    np.testing.assert_array_equal(loaded.images, values >> (depth - 8))
    found = f"220 pictures have pixels of 16 bits, the brightest with the value {brightest:,} of 65,535"
    assert f"{found}: all were read as {depth} bits." in loaded.notes


def test_the_error_names_a_format_that_is_not_read_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("label,pixel0\n")
    assert f"; {tmp_path / 'train.csv'} is a table in text: read it with numpy.loadtxt" in refusal(tmp_path)


def test_a_named_pipe_among_pictures_says_what_it_is(clothes: Path) -> None:
    os.mkfifo(clothes / "bag" / "pipe.png")
    (clothes / "bag" / "nowhere.png").symlink_to("absent")
    assert "pipe.png cannot be read (it is a named pipe, not a file)" in refusal(clothes)
    (clothes / "bag" / "pipe.png").unlink()
    assert len(load_training_images(str(clothes))) == 240
