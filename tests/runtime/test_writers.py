"""Writing images: what is read back equals what was drawn, and what cannot be written leaves nothing half done."""

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from full_disk import small_files_only
from numpy.typing import NDArray
from PIL import Image

from pocketgan.card import ModelCard
from pocketgan.errors import ModelError, OutputError
from pocketgan.generator import Batch, Generator
from pocketgan.pictures import contact_sheet
from pocketgan.writers import (
    images_by_index,
    images_on_sheet,
    png_name,
    prepare_folder,
    refuse_overwriting,
    refuse_overwriting_images,
    write_grid,
    write_npz_file,
    write_png_files,
)


@pytest.fixture
def card(tiny: Generator) -> ModelCard:
    return tiny.card


def noise(*shape: int) -> NDArray[np.uint8]:
    """Return pixels that do not compress."""
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def drain(batches: Iterable[Batch]) -> None:
    for _ in batches:
        pass


def failing(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield the batches, then fail as a model does."""
    yield from batches
    raise ModelError("model x.onnx failed to draw")


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder, hidden ones too."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_png_files_are_the_images(tmp_path: Path, tiny: Generator) -> None:
    drain(write_png_files(tmp_path, tiny.stream(70, start=95), tiny.card))
    assert sorted(os.listdir(tmp_path)) == [f"{index:08d}.png" for index in range(95, 165)]
    for index, image in enumerate(tiny.generate(70, start=95), 95):
        with Image.open(tmp_path / f"{index:08d}.png") as read:
            assert (read.format, read.mode, read.size) == ("PNG", "L", (8, 8))
            np.testing.assert_array_equal(np.asarray(read), image)


def test_png_files_of_classes_carry_their_names(tmp_path: Path, conditional: Generator) -> None:
    card = replace(conditional.card, classes=tuple("abcdefghij"))
    drain(write_png_files(tmp_path, conditional.stream(4, [0, 9], start=7), card))
    assert sorted(os.listdir(tmp_path)) == ["00000007_j.png", "00000008_a.png", "00000009_j.png", "00000010_a.png"]
    with Image.open(tmp_path / "00000009_j.png") as read:
        np.testing.assert_array_equal(np.asarray(read), conditional.generate(1, digits=9, start=9)[0])


def test_png_files_of_rows_of_text_carry_all_their_classes(tmp_path: Path, conditional: Generator) -> None:
    rows = Batch(41, noise(2, 8, 24), np.array([[2, 0, 2], [9, 9, 1]]))
    drain(write_png_files(tmp_path, [rows], conditional.card))
    assert sorted(os.listdir(tmp_path)) == ["00000041_202.png", "00000042_991.png"]
    with Image.open(tmp_path / "00000042_991.png") as read:
        np.testing.assert_array_equal(np.asarray(read), rows.images[1])


def test_png_files_say_what_they_are(tmp_path: Path, conditional: Generator) -> None:
    about: dict[str, str | int | float] = {"model": "ab" * 32, "seed": 3, "truncation": 0.5}
    drain(write_png_files(tmp_path, conditional.stream(2, [4], start=9), conditional.card, about=about))
    with Image.open(tmp_path / "00000010_4.png") as image:
        assert json.loads(image.info["pocketgan"]) == {**about, "index": 10, "class": "4"}


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_png_files_are_the_same_from_any_number_of_threads(tmp_path: Path, tiny: Generator, threads: int) -> None:
    for number in (1, threads):
        (tmp_path / str(number)).mkdir(exist_ok=True)
        drain(write_png_files(tmp_path / str(number), tiny.stream(300), tiny.card, threads=number))
    assert contents(tmp_path / str(threads)) == contents(tmp_path / "1")
    assert len(contents(tmp_path / "1")) == 300


def test_png_names_grow_with_their_index() -> None:
    assert png_name(7, None) == "00000007.png"
    assert png_name(123_456_789_012, "3") == "123456789012_3.png"


def test_png_files_replace_older_ones(tmp_path: Path, tiny: Generator) -> None:
    (tmp_path / "00000000.png").write_bytes(b"old")
    drain(write_png_files(tmp_path, tiny.stream(1), tiny.card))
    with Image.open(tmp_path / "00000000.png") as read:
        np.testing.assert_array_equal(np.asarray(read), tiny.generate(1)[0])


@pytest.mark.parametrize("writer", ["png", "npz"])
def test_batches_are_passed_on_one_by_one(tmp_path: Path, tiny: Generator, writer: str) -> None:
    batches = list(tiny.stream(150, start=3))
    if writer == "png":
        written = write_png_files(tmp_path, batches, tiny.card)
    else:
        written = write_npz_file(tmp_path / "digits.npz", batches, 3, 150, tiny.labels)
    for batch, passed in zip(batches, written, strict=True):
        assert passed is batch


def test_a_full_disk_leaves_the_earlier_png_files_whole_and_no_half_ones(tmp_path: Path, card: ModelCard) -> None:
    images = np.concatenate([np.zeros((3, 64, 64), dtype=np.uint8), noise(1, 64, 64)])
    with pytest.raises(OutputError) as caught, small_files_only():
        drain(write_png_files(tmp_path, [Batch(0, images, None)], card))
    assert str(caught.value) == f"cannot write {tmp_path / '00000003.png'}: File too large"
    assert sorted(os.listdir(tmp_path)) == ["00000000.png", "00000001.png", "00000002.png"]
    for name in os.listdir(tmp_path):
        with Image.open(tmp_path / name) as read:
            assert np.asarray(read).shape == (64, 64)


def test_a_model_that_fails_leaves_the_earlier_png_files(tmp_path: Path, tiny: Generator) -> None:
    with pytest.raises(ModelError):
        drain(write_png_files(tmp_path, failing(tiny.stream(2)), tiny.card))
    assert sorted(os.listdir(tmp_path)) == ["00000000.png", "00000001.png"]


def test_png_files_for_a_folder_that_went_away_are_an_output_error(tmp_path: Path, tiny: Generator) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        drain(write_png_files(tmp_path / "gone", tiny.stream(1), tiny.card))


def test_an_npz_file_holds_images_and_indices(tmp_path: Path, tiny: Generator) -> None:
    target = tmp_path / "digits.npz"
    drain(write_npz_file(target, tiny.stream(150, seed=4, start=2**40), 2**40, 150, tiny.labels))
    with np.load(target, allow_pickle=False) as read:
        assert sorted(read) == ["images", "index"]
        assert read["images"].dtype == np.uint8
        assert read["index"].dtype == np.int64
        np.testing.assert_array_equal(read["images"], tiny.generate(150, seed=4, start=2**40))
        np.testing.assert_array_equal(read["index"], np.arange(2**40, 2**40 + 150))
    assert os.listdir(tmp_path) == ["digits.npz"]


def test_an_npz_file_of_classes_holds_labels(tmp_path: Path, conditional: Generator) -> None:
    target = tmp_path / "digits.npz"
    drain(write_npz_file(target, conditional.stream(150, start=5), 5, 150, conditional.labels))
    with np.load(target, allow_pickle=False) as read:
        assert sorted(read) == ["images", "index", "labels"]
        assert read["labels"].dtype == np.int64
        np.testing.assert_array_equal(read["labels"], np.arange(5, 155) % 10)
        np.testing.assert_array_equal(read["images"], conditional.generate(150, start=5))


def test_an_npz_file_of_rows_of_text_holds_the_classes_of_each_row(tmp_path: Path) -> None:
    batches = [Batch(start, noise(count, 8, 24), np.tile([2, 0, 2], (count, 1))) for start, count in ((7, 2), (9, 1))]
    drain(write_npz_file(tmp_path / "digits.npz", batches, 7, 3, lambda start, count: np.tile([2, 0, 2], (count, 1))))
    with np.load(tmp_path / "digits.npz", allow_pickle=False) as read:
        np.testing.assert_array_equal(read["images"], np.concatenate([batch.images for batch in batches]))
        np.testing.assert_array_equal(read["index"], [7, 8, 9])
        np.testing.assert_array_equal(read["labels"], [[2, 0, 2]] * 3)


def test_equal_images_give_equal_npz_bytes(tmp_path: Path, conditional: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = set()
    for name, threads, now in (("a.npz", 1, 1e9), ("b.npz", 3, 1.7e9)):
        monkeypatch.setattr("time.time", lambda now=now: now)
        drain(write_npz_file(tmp_path / name, conditional.stream(150, threads=threads), 0, 150, conditional.labels))
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
        with zipfile.ZipFile(tmp_path / name) as archive:
            assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert len(digests) == 1


def test_an_npz_file_appears_after_the_last_batch(tmp_path: Path, tiny: Generator) -> None:
    target = tmp_path / "digits.npz"
    written = write_npz_file(target, tiny.stream(150), 0, 150, tiny.labels)
    for _ in range(3):
        next(written)
        assert not target.exists()
    assert list(written) == []
    assert target.exists()


def test_an_npz_file_that_is_left_early_leaves_nothing(tmp_path: Path, tiny: Generator) -> None:
    written = write_npz_file(tmp_path / "digits.npz", tiny.stream(150), 0, 150, tiny.labels)
    next(written)
    written.close()  # type: ignore[attr-defined]
    assert os.listdir(tmp_path) == []


def test_a_model_that_fails_leaves_the_older_npz_file(tmp_path: Path, tiny: Generator) -> None:
    (tmp_path / "digits.npz").write_bytes(b"old")
    with pytest.raises(ModelError):
        drain(write_npz_file(tmp_path / "digits.npz", failing(tiny.stream(70)), 0, 150, tiny.labels))
    assert contents(tmp_path) == {"digits.npz": b"old"}


@pytest.mark.parametrize("batches", [1, 50], ids=["at the end", "in the middle"])
def test_a_full_disk_leaves_the_older_npz_file(tmp_path: Path, batches: int) -> None:
    target = tmp_path / "digits.npz"
    target.write_bytes(b"old")
    many = [Batch(position * 16, noise(16, 8, 8), None) for position in range(batches)]
    with pytest.raises(OutputError) as caught, small_files_only():
        drain(write_npz_file(target, many, 0, 16 * batches, lambda start, count: None))
    assert str(caught.value) == f"cannot write {target}: File too large"
    assert contents(tmp_path) == {"digits.npz": b"old"}


def test_a_grid_is_a_contact_sheet(tmp_path: Path, tiny: Generator) -> None:
    images = tiny.generate(10)
    write_grid(tmp_path / "grid.png", images)
    expected = io.BytesIO()
    contact_sheet(images, scale=4).save(expected, format="PNG")
    assert contents(tmp_path) == {"grid.png": expected.getvalue()}


@pytest.mark.parametrize(
    ("count", "height", "width", "columns"), [(10, 8, 8, 4), (400, 8, 8, 20), (1, 8, 256, 1), (16, 8, 32, 2), (5, 8, 64, 1)]
)
def test_a_grid_is_about_as_wide_as_high(tmp_path: Path, count: int, height: int, width: int, columns: int) -> None:
    write_grid(tmp_path / "grid.png", noise(count, height, width))
    with Image.open(tmp_path / "grid.png") as image:
        assert image.size == (2 + columns * (width * 4 + 2), 2 + -(-count // columns) * (height * 4 + 2))


@pytest.mark.parametrize(
    ("height", "width", "characters", "count"),
    [(28, 28, 1, 400), (8, 8, 1, 400), (28, 112, 4, 100), (1024, 1024, 1, 64), (1024, 32 * 1024, 32, 2), (10**4, 10**4, 1, 1)],
)
def test_a_sheet_holds_fewer_images_the_larger_they_are(height: int, width: int, characters: int, count: int) -> None:
    assert images_on_sheet(height, width, characters) == count


@pytest.mark.parametrize(("height", "scale"), [(8, 4), (28, 4), (40, 2), (112, 1), (300, 1)])
def test_small_images_are_enlarged_on_a_sheet(tmp_path: Path, height: int, scale: int) -> None:
    write_grid(tmp_path / "grid.png", noise(1, height, height))
    with Image.open(tmp_path / "grid.png") as sheet:
        assert sheet.height == height * scale + 4


def test_a_full_disk_leaves_no_grid(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"grid\.png: File too large$"), small_files_only():
        write_grid(tmp_path / "grid.png", noise(9, 28, 28))
    assert os.listdir(tmp_path) == []


def test_a_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    prepare_folder(tmp_path / "a" / "b" / "c")
    prepare_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()


def test_a_file_where_the_folder_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "digits").touch()
    with pytest.raises(OutputError) as caught:
        prepare_folder(tmp_path / "digits")
    assert str(caught.value) == (
        f"output {tmp_path / 'digits'} is a file, expected a folder or a name that is free: choose another --out"
    )


@pytest.mark.parametrize("place", ["file/digits", "x" * 300])
def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot make the folder .*; choose another --out$"):
        prepare_folder(tmp_path / place)


def test_files_that_exist_are_refused(tmp_path: Path) -> None:
    (tmp_path / "grid.png").touch()
    refuse_overwriting(tmp_path, ["digits.npz"])
    with pytest.raises(OutputError) as caught:
        refuse_overwriting(tmp_path, ["digits.npz", "grid.png"])
    assert str(caught.value) == f"{tmp_path / 'grid.png'} exists already: use --overwrite, or another --out"


@pytest.mark.parametrize(
    ("name", "start", "count", "is_in_the_way"),
    [
        ("00000007.png", 0, 10, True),
        ("00000007.png", 7, 1, True),
        ("00000007.png", 8, 10, False),
        ("00000007.png", 0, 7, False),
        ("00000007_3.png", 0, 10, True),
        ("00000007_Seven.png", 7, 1, True),
        ("123456789012.png", 123_456_789_000, 100, True),
        ("7.png", 0, 10, False),
        ("00000007.jpg", 0, 10, False),
        ("x00000007.png", 0, 10, False),
        ("00000007.png.bak", 0, 10, False),
        (".00000007.png.99.tmp", 0, 10, False),
        ("grid.png", 0, 10, False),
    ],
)
def test_images_that_exist_in_the_range_are_refused(
    tmp_path: Path, name: str, start: int, count: int, is_in_the_way: bool
) -> None:
    (tmp_path / name).touch()
    if not is_in_the_way:
        refuse_overwriting_images(tmp_path, start, count)
        return
    with pytest.raises(OutputError) as caught:
        refuse_overwriting_images(tmp_path, start, count)
    expected = f"{tmp_path / name} exists already: use --overwrite, another --out, or another --start"
    assert str(caught.value) == expected


def test_an_image_takes_the_place_of_one_of_another_class(tmp_path: Path, conditional: Generator) -> None:
    for name in ("00000003_9.png", "00000003.png", "00000030_9.png", "00000004_9.png", "notes.png"):
        (tmp_path / name).write_text("older")
    older = images_by_index(tmp_path, 2, 2)
    assert older.keys() == {3}
    drain(write_png_files(tmp_path, conditional.stream(2, 7, start=2), conditional.card, older))
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"00000002_7.png", "00000003_7.png", "00000030_9.png", "00000004_9.png", "notes.png"}


def test_an_older_image_that_cannot_be_removed_is_an_output_error(tmp_path: Path, conditional: Generator) -> None:
    (tmp_path / "00000002_9.png").mkdir()
    with pytest.raises(OutputError, match=r"cannot remove .*00000002_9\.png, an older image of the same index"):
        drain(write_png_files(tmp_path, conditional.stream(1, 7, start=2), conditional.card, images_by_index(tmp_path, 2, 1)))


def test_of_several_images_the_first_is_named_and_the_others_counted(tmp_path: Path) -> None:
    for index in range(1500):
        (tmp_path / png_name(index, None)).touch()
    with pytest.raises(OutputError, match=r"00000003\.png exists already, as do 1,496 more: use"):
        refuse_overwriting_images(tmp_path, 3, 10_000)


def test_a_folder_that_cannot_be_read_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"^cannot read the folder .*; choose another --out$"):
        refuse_overwriting_images(tmp_path / "absent", 0, 1)
