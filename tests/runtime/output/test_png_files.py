"""PNG files of a drawing: they are its images, one for each index, and those that are missing are known."""

import copy
import io
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawings import contents, drain, drawing_of, made
from full_disk import small_files_only
from numpy.typing import NDArray
from PIL import Image

from pocketgan.drawing import Drawing
from pocketgan.errors import ModelError, OutputError
from pocketgan.generator import Batch, Generator
from pocketgan.output.png import PngFiles, encode_png, encoded, png_bytes
from pocketgan.request import Existing

OLDER = encode_png(np.zeros((2, 2), np.uint8), "pocketgan", "{}")
"""An image as another run may have written it."""


@pytest.fixture
def lettered(conditional: Generator) -> Generator:
    """The model with ten classes, which are named a to j."""
    renamed = copy.copy(conditional)
    renamed.card = replace(conditional.card, classes=tuple("abcdefghij"))
    return renamed


def noise(*shape: int) -> NDArray[np.uint8]:
    """Return pixels that do not compress."""
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def all_of(drawing: Drawing) -> Iterator[Batch]:
    return drawing.batches(drawing.selection.indices)


def images_of(drawing: Drawing) -> NDArray[np.uint8]:
    return np.concatenate([batch.images for batch in all_of(drawing)])


def write(files: PngFiles, existing: Existing = Existing.refuse) -> None:
    """Write all images of the files' drawing, into a folder that is made first."""
    made(files.folder)
    drain(files.write(all_of(files.drawing), existing))


def read(path: Path) -> NDArray[np.uint8]:
    """Return the pixels of a PNG file as Pillow reads them."""
    with Image.open(path) as image:
        assert (image.format, image.mode) == ("PNG", "L")
        return np.asarray(image)


def failing(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield the batches, then fail as a model does."""
    yield from batches
    raise ModelError("model x.onnx failed to draw")


def test_png_files_are_the_images(tmp_path: Path, tiny: Generator) -> None:
    write(PngFiles(tmp_path, drawing_of(tiny, 70, start=95, seed=4)))
    assert sorted(os.listdir(tmp_path)) == [f"{index:08d}.png" for index in range(95, 165)]
    for index, image in enumerate(tiny.generate(70, seed=4, start=95), 95):
        np.testing.assert_array_equal(read(tmp_path / f"{index:08d}.png"), image)


@pytest.mark.parametrize(
    ("options", "has_class_folders"),
    [({"truncation": 0.3}, False), ({"height": 3, "is_inverted": True}, True), ({"text": "202", "height": 16}, False)],
    ids=str,
)
def test_png_files_look_as_asked_for(
    tmp_path: Path, conditional: Generator, options: dict[str, Any], has_class_folders: bool
) -> None:
    drawing = drawing_of(conditional, 5, start=3, **options)
    files = PngFiles(tmp_path, drawing, has_class_folders)
    write(files)
    assert len(contents(tmp_path)) == 5
    for index, image in enumerate(images_of(drawing), 3):
        np.testing.assert_array_equal(read(tmp_path / files.file_of(index)), image)


def test_png_files_of_classes_carry_their_names(tmp_path: Path, lettered: Generator) -> None:
    write(PngFiles(tmp_path, drawing_of(lettered, 4, start=7, names=("a", "j"))))
    assert sorted(os.listdir(tmp_path)) == ["00000007_j.png", "00000008_a.png", "00000009_j.png", "00000010_a.png"]
    np.testing.assert_array_equal(read(tmp_path / "00000009_j.png"), lettered.generate(1, digits=9, start=9)[0])


def test_png_files_of_rows_of_text_carry_it(tmp_path: Path, conditional: Generator) -> None:
    drawing = drawing_of(conditional, 2, start=41, text="202")
    write(PngFiles(tmp_path, drawing))
    assert sorted(os.listdir(tmp_path)) == ["00000041_202.png", "00000042_202.png"]
    np.testing.assert_array_equal(read(tmp_path / "00000042_202.png"), images_of(drawing)[1])


def test_class_folders_hold_the_images_of_their_class(tmp_path: Path, lettered: Generator) -> None:
    write(PngFiles(tmp_path, drawing_of(lettered, 4, start=7, names=("a", "j")), has_class_folders=True))
    assert sorted(contents(tmp_path)) == ["a/00000008_a.png", "a/00000010_a.png", "j/00000007_j.png", "j/00000009_j.png"]
    np.testing.assert_array_equal(read(tmp_path / "j" / "00000009_j.png"), lettered.generate(1, digits=9, start=9)[0])


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
    # torchvision's ImageFolder refuses an empty one.
    write(PngFiles(tmp_path, drawing_of(conditional, **options), has_class_folders=True))
    assert set(os.listdir(tmp_path)) == folders
    assert {path.split("/")[0] for path in contents(tmp_path)} == folders


def test_rows_of_text_have_one_class_folder(tmp_path: Path, conditional: Generator) -> None:
    drawing = drawing_of(conditional, 2, text="2026")
    write(PngFiles(tmp_path, drawing, has_class_folders=True))
    assert sorted(contents(tmp_path)) == ["2026/00000000_2026.png", "2026/00000001_2026.png"]
    assert os.listdir(tmp_path) == ["2026"]
    np.testing.assert_array_equal(read(tmp_path / "2026" / "00000001_2026.png"), images_of(drawing)[1])


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


def test_images_without_classes_are_named_by_their_index_alone(tmp_path: Path, tiny: Generator) -> None:
    assert PngFiles(tmp_path, drawing_of(tiny)).file_of(7) == "00000007.png"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, {"truncation": 1.0, "index": 10, "class": "0"}),
        ({"names": ("4",)}, {"truncation": 1.0, "index": 10, "class": "4"}),
        ({"text": "42"}, {"truncation": 1.0, "index": 10, "text": "42"}),
        ({"truncation": 0.3}, {"truncation": 77 / 256, "index": 10, "class": "0"}),
        ({"height": 5, "is_inverted": True}, {"truncation": 1.0, "height": 5, "inverted": True, "index": 10, "class": "0"}),
    ],
    ids=str,
)
def test_png_files_say_what_they_are(
    tmp_path: Path, conditional: Generator, options: dict[str, Any], said: dict[str, object]
) -> None:
    files = PngFiles(tmp_path, drawing_of(conditional, 2, start=9, seed=3, **options))
    write(files)
    with Image.open(tmp_path / files.file_of(10)) as image:
        assert json.loads(image.info["pocketgan"]) == {"model": conditional.sha256, "seed": 3, **said}


def test_png_files_of_a_model_without_classes_name_none(tmp_path: Path, tiny: Generator) -> None:
    write(PngFiles(tmp_path, drawing_of(tiny, 1)))
    with Image.open(tmp_path / "00000000.png") as image:
        said = json.loads(image.info["pocketgan"])
    assert said == {"model": tiny.sha256, "seed": 0, "truncation": 1.0, "index": 0}


def test_images_in_memory_are_the_same_files(tmp_path: Path, conditional: Generator) -> None:
    drawing = drawing_of(conditional, 70, start=95)
    files = PngFiles(tmp_path, drawing)
    write(files)
    in_memory = [png for batch in all_of(drawing) for png in png_bytes(drawing, batch)]
    assert in_memory == [(tmp_path / files.file_of(index)).read_bytes() for index in range(95, 165)]
    with Image.open(io.BytesIO(in_memory[-1])) as image:
        np.testing.assert_array_equal(np.asarray(image), conditional.generate(1, start=164)[0])


@pytest.mark.parametrize("threads", [1, 3])
def test_encoded_images_come_with_their_batch_in_order(conditional: Generator, threads: int) -> None:
    drawing = drawing_of(conditional, 300, threads=threads)
    batches = list(all_of(drawing))
    assert len(batches) > 1
    for batch, (passed, files) in zip(batches, encoded(drawing, batches), strict=True):
        assert passed is batch
        assert files == png_bytes(drawing, batch)


@pytest.mark.parametrize(("threads", "has_class_folders"), [(2, True), (5, False)])
def test_png_files_are_the_same_from_any_number_of_threads(
    tmp_path: Path, conditional: Generator, threads: int, has_class_folders: bool
) -> None:
    for number in (1, threads):
        write(PngFiles(tmp_path / str(number), drawing_of(conditional, 300, threads=number), has_class_folders))
    assert contents(tmp_path / str(threads)) == contents(tmp_path / "1")
    assert len(contents(tmp_path / "1")) == 300


@pytest.mark.parametrize("threads", [1, 3])
def test_batches_are_passed_on_when_their_files_are_there(tmp_path: Path, tiny: Generator, threads: int) -> None:
    files = PngFiles(tmp_path, drawing_of(tiny, 150, start=3, threads=threads))
    batches = list(all_of(files.drawing))
    for batch, passed in zip(batches, files.write(batches, Existing.refuse), strict=True):
        assert passed is batch
        assert all((tmp_path / files.file_of(batch.start + offset)).exists() for offset in range(len(batch.images)))


@pytest.mark.parametrize(
    ("has_class_folders", "message"),
    [
        (False, r"cannot write .*file/00000000_0\.png: Not a directory"),
        (True, r"cannot make the folder .*file/0: Not a directory"),
    ],
)
def test_a_file_where_the_folder_should_be_is_refused(
    tmp_path: Path, conditional: Generator, has_class_folders: bool, message: str
) -> None:
    (tmp_path / "file").touch()
    files = PngFiles(tmp_path / "file", drawing_of(conditional, 1), has_class_folders)
    assert (list(files.existing()), files.missing()) == ([], [range(1)])
    with pytest.raises(OutputError, match=f"^{message}"):
        drain(files.write(all_of(files.drawing), Existing.refuse))
    assert contents(tmp_path) == {"file": b""}


def test_png_files_replace_older_ones(tmp_path: Path, tiny: Generator) -> None:
    (tmp_path / "00000000.png").write_bytes(b"old")
    write(PngFiles(tmp_path, drawing_of(tiny, 1)), Existing.overwrite)
    np.testing.assert_array_equal(read(tmp_path / "00000000.png"), tiny.generate(1)[0])


def test_a_full_disk_leaves_the_earlier_png_files_whole_and_no_half_ones(tmp_path: Path, tiny: Generator) -> None:
    images = np.concatenate([np.zeros((3, 64, 64), dtype=np.uint8), noise(1, 64, 64)])
    with pytest.raises(OutputError) as caught, small_files_only():
        drain(PngFiles(tmp_path, drawing_of(tiny, 4)).write([Batch(0, images, None)], Existing.refuse))
    assert str(caught.value) == f"cannot write {tmp_path / '00000003.png'}: File too large"
    assert sorted(os.listdir(tmp_path)) == ["00000000.png", "00000001.png", "00000002.png"]
    for name in os.listdir(tmp_path):
        assert read(tmp_path / name).shape == (64, 64)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_model_that_fails_leaves_the_earlier_png_files(tmp_path: Path, tiny: Generator, threads: int) -> None:
    files = PngFiles(tmp_path, drawing_of(tiny, 100, threads=threads))
    with pytest.raises(ModelError):
        drain(files.write(failing(tiny.stream(2)), Existing.refuse))
    assert sorted(os.listdir(tmp_path)) == ["00000000.png", "00000001.png"]
    assert files.missing() == [range(2, 100)]


def test_png_files_for_a_folder_that_went_away_are_an_output_error(tmp_path: Path, tiny: Generator) -> None:
    written = PngFiles(made(tmp_path / "gone"), drawing_of(tiny, 1)).write(tiny.stream(1), Existing.refuse)
    (tmp_path / "gone").rmdir()
    with pytest.raises(OutputError, match=r"^cannot write .*00000000\.png: No such file"):
        drain(written)


def test_an_image_takes_the_place_of_one_of_another_class(tmp_path: Path, conditional: Generator) -> None:
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


def test_an_image_takes_the_place_of_one_in_another_class_folder(tmp_path: Path, conditional: Generator) -> None:
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


def test_class_folders_that_are_emptied_go_at_the_end(tmp_path: Path, conditional: Generator) -> None:
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


def test_an_older_image_goes_only_when_the_new_one_is_there(tmp_path: Path, conditional: Generator) -> None:
    for index in range(100):
        (tmp_path / f"{index:08d}_9.png").write_bytes(OLDER)
    files = PngFiles(tmp_path, drawing_of(conditional, 100, names=("7",)))
    with pytest.raises(ModelError):
        drain(files.write(failing(conditional.stream(64, 7)), Existing.overwrite))
    expected = [f"{index:08d}_{7 if index < 64 else 9}.png" for index in range(100)]
    assert sorted(os.listdir(tmp_path)) == expected


def test_an_older_image_that_cannot_be_read_is_an_output_error(tmp_path: Path, conditional: Generator) -> None:
    (tmp_path / "00000002_9.png").mkdir()
    with pytest.raises(OutputError, match=r"cannot read .*00000002_9\.png: it is a folder, not a file$"):
        write(PngFiles(tmp_path, drawing_of(conditional, 1, start=2, names=("7",))), Existing.overwrite)
