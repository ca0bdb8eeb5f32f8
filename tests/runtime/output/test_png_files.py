"""PNG files of a drawing: one for each image, their names and text chunks, and replacing older ones."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawings import contents, drain, drawing_of, made, with_classes
from full_disk import small_files_only
from numpy.typing import NDArray
from PIL import Image

from pocketgan.address import Hand
from pocketgan.errors import OutputError
from pocketgan.generator import Batch, Generator
from pocketgan.output.png import PngFiles, encode_png
from pocketgan.request import Existing
from pocketgan.series import Series

OLDER = encode_png(np.zeros((2, 2), np.uint8), "pocketgan", "{}")
"""An image as another run may have written it."""


def all_of(drawing: Series) -> Iterator[Batch]:
    return drawing.batches(drawing.indices)


def write(files: PngFiles, existing: Existing = Existing.refuse) -> None:
    """Write all images."""
    made(files.folder)
    drain(files.write(all_of(files.drawing), existing))


def read(path: Path) -> NDArray[np.uint8]:
    """Return the pixels of a PNG file as Pillow reads them."""
    with Image.open(path) as image:
        assert (image.format, image.mode) == ("PNG", "L")
        return np.asarray(image)


@pytest.mark.parametrize(
    ("options", "has_class_folders", "names"),
    [
        ({"names": ("a", "j")}, False, ["00000098_a.png", "00000099_j.png", "00000100_a.png"]),
        ({"names": ("a", "j"), "seed": 4}, True, ["a/00000098_a.png", "a/00000100_a.png", "j/00000099_j.png"]),
        ({"text": "jaj", "truncation": 0.3}, False, ["00000098_jaj.png", "00000099_jaj.png", "00000100_jaj.png"]),
        ({"text": "aj", "height": 16, "is_inverted": True}, True, [f"aj/{index:08d}_aj.png" for index in range(98, 101)]),
    ],
    ids=str,
)
def test_each_image_is_a_file_named_by_index_and_class_or_text(
    tmp_path: Path, conditional: Generator, options: dict[str, Any], has_class_folders: bool, names: list[str]
) -> None:
    drawing = drawing_of(with_classes(conditional, tmp_path, classes=tuple("abcdefghij")), 3, start=98, **options)
    files = PngFiles(tmp_path / "digits", drawing, has_class_folders)
    write(files)
    assert sorted(contents(files.folder)) == names
    (batch,) = all_of(drawing)
    for index, image in enumerate(batch.images, 98):
        np.testing.assert_array_equal(read(files.folder / files.file_of(index)), image)


@pytest.mark.parametrize(
    ("options", "folders"),
    [
        ({"count": 3, "start": 9}, {"9", "0", "1"}),
        ({"count": 3, "start": 8, "names": ("4", "4", "6", "8")}, {"4", "6"}),
        ({"count": 100, "names": ("4", "4", "6", "8")}, {"4", "6", "8"}),
    ],
)
def test_classes_without_images_have_no_folder(
    tmp_path: Path, conditional: Generator, options: dict[str, Any], folders: set[str]
) -> None:
    # torchvision's ImageFolder rejects an empty one.
    write(PngFiles(tmp_path, drawing_of(conditional, **options), has_class_folders=True))
    assert set(os.listdir(tmp_path)) == folders
    assert {path.split("/")[0] for path in contents(tmp_path)} == folders


def test_class_folders_of_a_model_without_classes_are_refused(tmp_path: Path, tiny: Generator) -> None:
    with pytest.raises(OutputError) as caught:
        PngFiles(tmp_path, drawing_of(tiny), has_class_folders=True)
    assert str(caught.value) == "model tiny has no classes to make folders for: use --format png, or another model"


@pytest.mark.parametrize(
    ("options", "index", "name"),
    [
        ({}, 31, "00000031_1.png"),
        ({"names": ("5", "5", "0")}, 8, "00000008_0.png"),
        ({"text": "31"}, 8, "00000008_31.png"),
        ({}, 123_456_789_012, "123456789012_2.png"),
    ],
)
def test_the_name_of_an_image_is_known_before_it_is_drawn(
    tmp_path: Path, conditional: Generator, options: dict[str, Any], index: int, name: str
) -> None:
    drawing = drawing_of(conditional, start=index, **options)
    assert PngFiles(tmp_path, drawing).file_of(index) == name
    class_name = name.split("_")[1].removesuffix(".png")
    assert PngFiles(tmp_path, drawing, has_class_folders=True).file_of(index) == f"{class_name}/{name}"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, {"truncation": 1.0, "index": 10, "class": "0"}),
        ({"hand": Hand(7, 3, 128)}, {"truncation": 1.0, "hand": "7:3", "consistency": 0.5, "index": 10, "class": "0"}),
        ({"names": ("4",)}, {"truncation": 1.0, "index": 10, "class": "4"}),
        ({"text": "42"}, {"truncation": 1.0, "index": 10, "text": "42"}),
        ({"truncation": 0.3}, {"truncation": 77 / 256, "index": 10, "class": "0"}),
        ({"height": 5, "is_inverted": True}, {"truncation": 1.0, "height": 5, "inverted": True, "index": 10, "class": "0"}),
    ],
    ids=str,
)
def test_a_text_chunk_says_what_an_image_was_drawn_from(
    tmp_path: Path, conditional: Generator, options: dict[str, Any], said: dict[str, object]
) -> None:
    files = PngFiles(tmp_path, drawing_of(conditional, 2, start=9, seed=3, **options))
    write(files)
    with Image.open(tmp_path / files.file_of(10)) as image:
        assert json.loads(image.info["pocketgan"]) == {"model": conditional.sha256, "seed": 3, **said}


def test_images_of_a_model_without_classes_are_named_by_index_alone(tmp_path: Path, tiny: Generator) -> None:
    write(PngFiles(tmp_path, drawing_of(tiny, 1)))
    assert os.listdir(tmp_path) == ["00000000.png"]
    with Image.open(tmp_path / "00000000.png") as image:
        assert json.loads(image.info["pocketgan"]) == {"model": tiny.sha256, "seed": 0, "truncation": 1.0, "index": 0}


@pytest.mark.parametrize("threads", [1, 3])
def test_a_batch_is_yielded_when_its_files_exist(tmp_path: Path, tiny: Generator, threads: int) -> None:
    files = PngFiles(tmp_path, drawing_of(tiny, 150, start=3, threads=threads))
    batches = list(all_of(files.drawing))
    for batch, passed in zip(batches, files.write(batches, Existing.refuse), strict=True):
        assert passed is batch
        assert all((tmp_path / files.file_of(batch.start + offset)).exists() for offset in range(len(batch.images)))


def test_a_full_disk_leaves_whole_files_only(tmp_path: Path, tiny: Generator) -> None:
    images = np.zeros((4, 64, 64), np.uint8)
    images[3] = np.random.default_rng(0).integers(0, 256, (64, 64))  # does not compress
    with pytest.raises(OutputError) as caught, small_files_only():
        drain(PngFiles(tmp_path, drawing_of(tiny, 4)).write([Batch(0, images, None)], Existing.refuse))
    assert str(caught.value) == f"cannot write {tmp_path / '00000003.png'}: File too large"
    assert sorted(os.listdir(tmp_path)) == ["00000000.png", "00000001.png", "00000002.png"]
    for name in os.listdir(tmp_path):
        assert read(tmp_path / name).shape == (64, 64)


def test_an_image_replaces_one_of_another_class(tmp_path: Path, conditional: Generator) -> None:
    for name in ("00000003_9.png", "00000003.png", "00000030_9.png", "00000004_9.png", "notes.png"):
        (tmp_path / name).write_bytes(OLDER)
    (tmp_path / "00000003_cat.png").write_bytes(b"somebody's cat")
    write(PngFiles(tmp_path, drawing_of(conditional, 2, start=2, names=("7",))), Existing.overwrite)
    assert set(os.listdir(tmp_path)) == {
        "00000002_7.png",
        "00000003_7.png",
        "00000003_cat.png",
        "00000030_9.png",
        "00000004_9.png",
        "notes.png",
    }


def test_an_image_replaces_one_in_another_class_folder(tmp_path: Path, conditional: Generator) -> None:
    replaced = ["7/00000003_7.png", "9/00000003_9.png", "2026/00000002_2026.png"]
    kept = ["9/00000004_9.png", "9/00000003_7.png", "9/notes.png", "00000003_9.png"]
    for name in (*replaced, *kept):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(OLDER)
    write(PngFiles(tmp_path, drawing_of(conditional, 2, start=2, names=("7",)), has_class_folders=True), Existing.overwrite)
    assert sorted(contents(tmp_path)) == sorted(["7/00000002_7.png", "7/00000003_7.png", *kept])
    assert sorted(os.listdir(tmp_path)) == ["00000003_9.png", "7", "9"]
    np.testing.assert_array_equal(read(tmp_path / "7" / "00000003_7.png"), conditional.generate(1, digits=7, start=3)[0])
    assert all((tmp_path / name).read_bytes() == OLDER for name in kept)


def test_empty_class_folders_are_removed_at_the_end(tmp_path: Path, conditional: Generator) -> None:
    write(PngFiles(tmp_path, drawing_of(conditional, 100), has_class_folders=True))
    (tmp_path / "3" / "notes.txt").write_text("mine")
    (tmp_path / "empty").mkdir()
    files = PngFiles(tmp_path, drawing_of(conditional, 100, names=("7",)), has_class_folders=True)
    for _ in files.write(all_of(files.drawing), Existing.overwrite):
        assert set("0123456789") <= set(os.listdir(tmp_path))
    assert sorted(os.listdir(tmp_path)) == ["3", "7", "empty"]
    assert os.listdir(tmp_path / "3") == ["notes.txt"]
    assert len(os.listdir(tmp_path / "7")) == 100


@pytest.mark.parametrize("existing", [Existing.refuse, Existing.resume])
def test_only_overwriting_removes_images_of_other_classes(tmp_path: Path, conditional: Generator, existing: Existing) -> None:
    (tmp_path / "00000002_9.png").write_bytes(OLDER)
    write(PngFiles(tmp_path, drawing_of(conditional, 1, start=2)), existing)
    assert sorted(os.listdir(tmp_path)) == ["00000002_2.png", "00000002_9.png"]


def test_an_older_image_goes_only_when_the_new_one_exists(tmp_path: Path, conditional: Generator) -> None:
    for index in range(100):
        (tmp_path / f"{index:08d}_9.png").write_bytes(OLDER)
    files = PngFiles(tmp_path, drawing_of(conditional, 100, names=("7",)))
    written = files.write(all_of(files.drawing), Existing.overwrite)
    next(written)
    assert sorted(os.listdir(tmp_path)) == [f"{index:08d}_{7 if index < 64 else 9}.png" for index in range(100)]


def test_an_older_image_that_cannot_be_read_is_an_output_error(tmp_path: Path, conditional: Generator) -> None:
    (tmp_path / "00000002_9.png").mkdir()
    with pytest.raises(OutputError, match=r"cannot read .*00000002_9\.png: it is a folder, not a file$"):
        write(PngFiles(tmp_path, drawing_of(conditional, 1, start=2, names=("7",))), Existing.overwrite)
