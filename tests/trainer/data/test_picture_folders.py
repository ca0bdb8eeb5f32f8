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


PICTURES = "PNG, JPEG, BMP, GIF, WEBP"


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_training_images(str(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def add(folder: Path, names: str) -> None:
    """Add folders (names that end with a slash), pictures (.png, .gif) and empty files."""
    for name in names.split():
        path = folder / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if name.endswith((".png", ".gif")):
            Image.fromarray(IMAGES[0]).save(path)
        elif not name.endswith("/"):
            path.write_bytes(b"")


@pytest.fixture
def clothes(tmp_path: Path) -> Path:
    """120 images each of two classes."""
    folder = tmp_path / "My Clothes"
    write_pictures(folder / "T-shirt", IMAGES[:120])
    write_pictures(folder / "bag", IMAGES[120:])
    return folder


def test_each_sub_folder_is_a_class(clothes: Path) -> None:
    loaded = load_training_images(str(clothes))
    assert (loaded.name, loaded.classes) == ("my-clothes", ("Tshirt", "bag"))
    np.testing.assert_array_equal(loaded.images, IMAGES)
    assert loaded.labels is not None
    assert loaded.labels.dtype == np.int64
    assert loaded.labels.tolist() == [0] * 120 + [1] * 120


ONLY_FILES = f"Only files named as {PICTURES} are read: "
MADE = "Files and folders that systems and tools create were skipped: "
UNDERSCORES = "Folders whose names begin with __ are skipped: "


@pytest.mark.parametrize(
    ("names", "notes"),
    [
        (".thumbnails/1.png bag/.DS_Store", []),
        ("labels.csv manifest_00000625.json grid.png grid_00000093.png walk.gif", []),
        ("bag/notes.txt", [ONLY_FILES + "1 other was skipped, such as {}/bag/notes.txt."]),
        ("bag/notes.txt scan.tiff", [ONLY_FILES + "2 others were skipped, such as {}/scan.tiff."]),
        ("bag/red/1.png", ["Deeper folders, such as {}/bag/red, were skipped."]),
        ("__hats/1.png __none/", [UNDERSCORES + "1 of them holds pictures, such as {}/__hats."]),
        ("__hats/1.png __shoes/1.png", [UNDERSCORES + "2 of them hold pictures, such as {}/__hats."]),
        ("lost+found/1.png bag/lost+found/ bag/Thumbs.db", [MADE + "Thumbs.db, lost+found."]),
        ("$RECYCLE.BIN/1.png bag/$RECYCLE.BIN/ __MACOSX/1.png", [MADE + "$RECYCLE.BIN, __MACOSX."]),
        (".Trash-1000/1.png bag/.Trash-1000/", [MADE + ".Trash-1000."]),
    ],
)
def test_what_is_not_read_is_skipped_with_a_note(clothes: Path, names: str, notes: list[str]) -> None:
    add(clothes, names)
    if (unreadable := clothes / "lost+found").exists():
        unreadable.chmod(0)
    loaded = load_training_images(str(clothes))
    assert len(loaded) == 240
    renamed, few = loaded.notes[-2:]
    assert renamed == "Class names were reduced to ASCII letters and digits: T-shirt became Tshirt."
    assert few.startswith("240 images are few: ")
    assert loaded.notes[:-2] == tuple(note.replace("{}", str(clothes)) for note in notes)


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


def test_a_note_counts_pictures_of_several_kinds(clothes: Path, tmp_path: Path) -> None:
    write_pictures(tmp_path / "one", different_images(200, 40))
    one_kind = "All 200 images are 40x40 (grey); they were made grey images of 28x28."
    assert one_kind in load_training_images(str(tmp_path / "one")).notes
    write_pictures(clothes / "bag", different_images(20, 64, 48, seed=1), ".jpg")
    Image.fromarray(np.stack([IMAGES[0]] * 3, axis=-1)).save(clothes / "bag" / "colour.png")
    loaded = load_training_images(str(clothes))
    assert loaded.images.shape == (261, 28, 28)
    kinds = "240 of 28x28 (grey), 20 of 48x64 (grey), 1 of 28x28 (colour)"
    assert f"The images are of 3 kinds: {kinds}; all were made grey images of 28x28." in loaded.notes


def test_a_note_on_many_kinds_shows_five(tmp_path: Path) -> None:
    write_pictures(tmp_path, IMAGES)
    for size in range(30, 36):
        Image.fromarray(different_images(1, size)[0]).save(tmp_path / f"of{size}.png")
    (found,) = [note for note in load_training_images(str(tmp_path)).notes if "kinds" in note]
    assert found.startswith("The images are of 7 kinds: 240 of 28x28 (grey), 1 of 30x30 (grey)")
    assert "1 of 33x33 (grey), and 2 kinds more; all were made" in found


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


NONE = f"holds no images: expected {PICTURES} files, in it or in one folder per class, or IDX files"
NONE_IN_CLASS = f"expected {PICTURES} files in each class's folder; "
TEST_ONLY = "holds only test images, {0}: expected training images, {1}; put them there, or give the path {{}}/{0}"
BOTH = "expected one folder per class, or all images in one folder; move the others away"
PARTS = "named like parts of a data set: expected one folder per class; give the path {}/"
MNIST_TEST, EMNIST_TEST = "t10k-images-idx3-ubyte", "emnist-letters-test-images-idx3-ubyte.gz"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("", f"{{}} {NONE}"),
        ("__a/", f"{{}} {NONE}"),
        ("lost+found/1.png", f"{{}} {NONE}"),
        ("__hats/1.png", f"{{}} {NONE}; rename {{}}/__hats if it is one, to begin without __"),
        ("train.csv", f"{{}} {NONE}; {{}}/train.csv is a table in text: read it with numpy.loadtxt,"),
        ("bag/1.png hat/a.txt", f"{{}}/hat holds no images: {NONE_IN_CLASS}fill or remove it"),
        ("bag/1.png hat/ shoe/", f"{{}}/hat holds no images, like 1 more of 3 folders: {NONE_IN_CLASS}fill or remove it"),
        ("a/bag/1.png", f"{{}}/a holds no images: {NONE_IN_CLASS}give the path {{}}/a if its folders are the classes"),
        ("TEST/bag/1.png Train/bag/1.png", f"{{}}/Train holds no images, like 1 more of 2 folders: {NONE_IN_CLASS}give"),
        (
            "bag/1.png b/raw/images-idx3-ubyte",
            f"{{}}/b holds no images: {NONE_IN_CLASS}give the path {{}}/b/raw, which holds IDX",
        ),
        (MNIST_TEST, f"{{}} {TEST_ONLY.format(MNIST_TEST, 'train-images-idx3-ubyte')}"),
        (EMNIST_TEST, f"{{}} {TEST_ONLY.format(EMNIST_TEST, 'emnist-letters-train-images-idx3-ubyte.gz')}"),
        ("one.png bag/1.png", f"{{}} holds images both in it and in sub-folders, such as {{}}/bag/1.png: {BOTH}"),
        ("Training/1.png val/1.png", f"{{}} holds images directly in Training and val, {PARTS}Training, or rename the folders"),
        ("train/1.png", f"{{}} holds images directly in train, {PARTS}train, or"),
        ("train/1.png validation/1.png z/1.png", f"{{}} holds images directly in train and validation, {PARTS}train, or"),
        ("test/1.png train/bag/1.png", f"{{}} holds images directly in test, {PARTS}train, or"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_with_advice(tmp_path: Path, names: str, expected: str) -> None:
    add(tmp_path, names)
    message = refusal(tmp_path)
    assert message.startswith(expected.replace("{}", str(tmp_path)))
    assert ("; " in message) == ("; " in expected)


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


def test_a_named_pipe_among_pictures_says_what_it_is(clothes: Path) -> None:
    os.mkfifo(clothes / "bag" / "pipe.png")
    (clothes / "bag" / "nowhere.png").symlink_to("absent")
    assert "pipe.png cannot be read (it is a named pipe, not a file)" in refusal(clothes)
    (clothes / "bag" / "pipe.png").unlink()
    assert len(load_training_images(str(clothes))) == 240
