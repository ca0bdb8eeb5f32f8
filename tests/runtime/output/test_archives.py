"""Compressed files, NPZ and gzipped IDX: what is read back was drawn, and they are whole or as they were before."""

import errno
import gzip
import hashlib
import os
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawings import contents, drain, drawing_of, made
from full_disk import small_files_only
from numpy.typing import NDArray

from pocketgan.drawing import Drawing
from pocketgan.errors import ModelError, OutputError
from pocketgan.generator import Batch, Generator
from pocketgan.output.archives import SinglePassFiles, gzip_files, npz_file
from pocketgan.output.arrays import idx_files, npy_files
from pocketgan.request import Existing


def noise(*shape: int) -> NDArray[np.uint8]:
    """Return pixels that do not compress."""
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def written(folder: Path, drawing: Drawing, existing: Existing = Existing.refuse) -> Iterator[Batch]:
    return npz_file(made(folder), drawing).write(drawing.batches(drawing.selection.indices), existing)


def test_an_npz_file_holds_images_and_indices(tmp_path: Path, tiny: Generator) -> None:
    drain(written(tmp_path, drawing_of(tiny, 150, start=2**40, seed=4)))
    with np.load(tmp_path / "digits.npz", allow_pickle=False) as read:
        assert sorted(read) == ["images", "index"]
        assert read["images"].dtype == np.uint8
        assert read["index"].dtype == np.int64
        np.testing.assert_array_equal(read["images"], tiny.generate(150, seed=4, start=2**40))
        np.testing.assert_array_equal(read["index"], np.arange(2**40, 2**40 + 150))
    assert os.listdir(tmp_path) == ["digits.npz"]


@pytest.mark.parametrize(("names", "cycle"), [(None, range(10)), (("7",), [7]), (("3", "9", "9"), [3, 9, 9])])
def test_an_npz_file_of_classes_holds_labels(
    tmp_path: Path, conditional: Generator, names: tuple[str, ...] | None, cycle: Iterable[int]
) -> None:
    drain(written(tmp_path, drawing_of(conditional, 150, start=5, names=names)))
    digits = list(cycle)
    with np.load(tmp_path / "digits.npz", allow_pickle=False) as read:
        assert sorted(read) == ["images", "index", "labels"]
        assert read["labels"].dtype == np.int64
        np.testing.assert_array_equal(read["labels"], [digits[index % len(digits)] for index in range(5, 155)])
        np.testing.assert_array_equal(read["images"], conditional.generate(150, digits, start=5))


def test_an_npz_file_of_rows_of_text_holds_the_classes_of_each_row(tmp_path: Path, conditional: Generator) -> None:
    drawing = drawing_of(conditional, 70, start=7, text="202")
    drain(written(tmp_path, drawing))
    with np.load(tmp_path / "digits.npz", allow_pickle=False) as read:
        assert read["images"].shape == (70, 8, 24)
        np.testing.assert_array_equal(read["images"], np.concatenate([batch.images for batch in drawing.batches(range(7, 77))]))
        np.testing.assert_array_equal(read["index"], np.arange(7, 77))
        np.testing.assert_array_equal(read["labels"], [[2, 0, 2]] * 70)


@pytest.mark.parametrize(
    ("options", "shape"),
    [({"height": 12}, (12, 12)), ({"height": 3, "text": "42"}, (3, 6)), ({"is_inverted": True}, (8, 8))],
    ids=str,
)
def test_an_npz_file_holds_images_that_look_as_asked_for(
    tmp_path: Path, conditional: Generator, options: dict[str, Any], shape: tuple[int, int]
) -> None:
    drawing = drawing_of(conditional, 70, **options)
    drain(written(tmp_path, drawing))
    with np.load(tmp_path / "digits.npz", allow_pickle=False) as read:
        assert read["images"].shape == (70, *shape)
        np.testing.assert_array_equal(read["images"], np.concatenate([batch.images for batch in drawing.batches(range(70))]))


def test_many_images_have_all_their_indices_and_labels(tmp_path: Path, conditional: Generator) -> None:
    count = 2**16 + 3
    drawn = Batch(5, np.zeros((count, 8, 8), np.uint8), None)
    drain(npz_file(tmp_path, drawing_of(conditional, count, start=5)).write([drawn], Existing.refuse))
    with np.load(tmp_path / "digits.npz", allow_pickle=False) as read:
        assert len(read["images"]) == count
        np.testing.assert_array_equal(read["index"], np.arange(5, 5 + count))
        np.testing.assert_array_equal(read["labels"], np.arange(5, 5 + count) % 10)


def test_equal_images_give_equal_npz_bytes(tmp_path: Path, conditional: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = set()
    for name, threads, now in (("a", 1, 1e9), ("b", 3, 1.7e9)):
        monkeypatch.setattr("time.time", lambda now=now: now)
        drain(written(tmp_path / name, drawing_of(conditional, 150, threads=threads)))
        digests.add(hashlib.sha256((tmp_path / name / "digits.npz").read_bytes()).hexdigest())
        with zipfile.ZipFile(tmp_path / name / "digits.npz") as archive:
            assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert len(digests) == 1


def test_batches_are_passed_on_one_by_one(tmp_path: Path, tiny: Generator) -> None:
    drawing = drawing_of(tiny, 150, start=3)
    batches = list(drawing.batches(drawing.selection.indices))
    for batch, passed in zip(batches, npz_file(tmp_path, drawing).write(batches, Existing.refuse), strict=True):
        assert passed is batch


@pytest.mark.parametrize("batches", [1, 50], ids=["at the end", "in the middle"])
def test_a_full_disk_leaves_the_older_npz_file(tmp_path: Path, tiny: Generator, batches: int) -> None:
    (tmp_path / "digits.npz").write_bytes(b"old")
    many = [Batch(position * 16, noise(16, 8, 8), None) for position in range(batches)]
    with pytest.raises(OutputError) as caught, small_files_only():
        drain(npz_file(tmp_path, drawing_of(tiny, 16 * batches)).write(many, Existing.overwrite))
    assert str(caught.value) == f"cannot write {tmp_path / 'digits.npz'}: File too large"
    assert contents(tmp_path) == {"digits.npz": b"old"}


@pytest.mark.parametrize("place", ["file", "absent"])
def test_a_folder_that_is_not_there_is_an_output_error_and_is_not_made(tmp_path: Path, tiny: Generator, place: str) -> None:
    (tmp_path / "file").touch()
    file = npz_file(tmp_path / place, drawing_of(tiny))
    assert (file.existing(), file.missing()) == ([], [range(10)])
    with pytest.raises(OutputError, match=rf"^cannot write .*{place}/digits\.npz: "):
        drain(file.write(tiny.stream(10), Existing.refuse))
    assert os.listdir(tmp_path) == ["file"]


def test_all_images_and_their_labels_are_in_the_file_of_that_name(tmp_path: Path, tiny: Generator) -> None:
    file = npz_file(tmp_path, drawing_of(tiny, 3))
    assert [name for name in ("digits.npz", "labels.npz", ".digits.npz.4.tmp", "digits.npz.gz") if file.is_ours(name)] == [
        "digits.npz"
    ]
    assert file.holds_labels
    drain(written(tmp_path, drawing_of(tiny, 3)))
    file.discard_unfinished()
    assert os.listdir(tmp_path) == ["digits.npz"]


IMAGES, LABELS = "images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"


def compressed_idx(folder: Path, drawing: Drawing) -> SinglePassFiles:
    return gzip_files(idx_files(folder, drawing))


def write(files: SinglePassFiles, drawing: Drawing, existing: Existing = Existing.refuse) -> Iterator[Batch]:
    made(files.folder)
    return files.write(drawing.batches(drawing.selection.indices), existing)


def compressed(folder: Path, drawing: Drawing) -> dict[str, bytes]:
    """Return all files of a run that nothing stopped."""
    drain(write(compressed_idx(folder, drawing), drawing))
    return contents(folder)


def noisy(count: int) -> Batch:
    """Return images that do not compress, of class 7."""
    return Batch(0, noise(count, 28, 28), np.full(count, 7))


def nothing() -> Iterator[Batch]:
    """Return batches that must not be asked for."""
    raise AssertionError("something is drawn that is there already")
    yield


@pytest.mark.parametrize("file_format", ["idx", "npy"])
@pytest.mark.parametrize("text", [None, "2026"])
def test_compressed_files_hold_the_same_bytes_and_are_always_the_same(
    tmp_path: Path, conditional: Generator, file_format: str, text: str | None
) -> None:
    drawing = drawing_of(conditional, 130, start=5, text=text)
    make = idx_files if file_format == "idx" else npy_files
    drain(make(made(tmp_path / "plain"), drawing).write(drawing.batches(drawing.selection.indices), Existing.refuse))
    for name in ("first", "second"):
        drain(write(gzip_files(make(tmp_path / name, drawing)), drawing))
    first = contents(tmp_path / "first")
    plain = {f"{name}.gz": data for name, data in contents(tmp_path / "plain").items()}
    assert {name: gzip.decompress(data) for name, data in first.items()} == plain
    assert first == contents(tmp_path / "second")
    assert len(first) == 2


def test_a_compressed_file_holds_neither_its_name_nor_the_time_of_day(tmp_path: Path, conditional: Generator) -> None:
    for data in compressed(tmp_path, drawing_of(conditional)).values():
        # After two bytes that say gzip and one for deflate: flags, of which one stands for a name, and the time.
        assert data[:8] == b"\x1f\x8b\x08" + bytes(5)


@pytest.mark.parametrize("existing", Existing)
def test_files_appear_after_the_last_batch_and_nothing_is_left_of_early_ends(
    tmp_path: Path, conditional: Generator, existing: Existing
) -> None:
    drawing = drawing_of(conditional, 130)
    files = compressed_idx(tmp_path / "digits", drawing)
    begun = write(files, drawing, existing)
    next(begun)
    begun.close()  # type: ignore[attr-defined]
    assert contents(files.folder) == {}
    for _ in write(files, drawing, existing):
        assert all(name.startswith(".") for name in contents(files.folder))
    assert contents(files.folder).keys() == {IMAGES, LABELS}


# Of twenty images nothing is on the disk before the files are closed.
@pytest.mark.parametrize("count", [20, 1000])
def test_a_full_disk_leaves_older_files_that_belong_together(tmp_path: Path, conditional: Generator, count: int) -> None:
    before = compressed(tmp_path, drawing_of(conditional, count))
    files = compressed_idx(tmp_path, drawing_of(conditional, count))
    with pytest.raises(OutputError) as caught, small_files_only():
        drain(files.write([noisy(count)], Existing.overwrite))
    assert str(caught.value) == f"cannot write {tmp_path / IMAGES}: File too large"
    assert contents(tmp_path) == before


def test_a_model_that_fails_leaves_the_older_files(tmp_path: Path, conditional: Generator) -> None:
    def failing() -> Iterator[Batch]:
        yield noisy(100)
        raise ModelError("model x.onnx failed to draw")

    before = compressed(tmp_path, drawing_of(conditional, 200))
    with pytest.raises(ModelError):
        drain(compressed_idx(tmp_path, drawing_of(conditional, 200)).write(failing(), Existing.overwrite))
    assert contents(tmp_path) == before


def test_older_files_are_replaced(tmp_path: Path, conditional: Generator) -> None:
    drawing = drawing_of(conditional, 130, seed=1)
    new = compressed(tmp_path / "new", drawing)
    older = compressed(tmp_path / "digits", drawing_of(conditional, 150, seed=2))
    files = compressed_idx(tmp_path / "digits", drawing)
    for _ in write(files, drawing, Existing.overwrite):
        assert {name: data for name, data in contents(files.folder).items() if not name.startswith(".")} == older
    assert contents(files.folder) == new


@pytest.mark.parametrize("left", [[], [IMAGES], [LABELS]], ids=str)
def test_all_is_missing_unless_all_files_are_there_and_is_drawn_again(
    tmp_path: Path, conditional: Generator, left: list[str]
) -> None:
    drawing = drawing_of(conditional, 130, start=5)
    whole = compressed(tmp_path, drawing)
    for name in whole.keys() - set(left):
        (tmp_path / name).unlink()
    files = compressed_idx(tmp_path, drawing)
    assert files.existing() == [tmp_path / name for name in left]
    assert files.missing() == [range(5, 135)]
    drain(write(files, drawing, Existing.resume))
    assert contents(tmp_path) == whole


def test_files_that_are_there_are_not_written_again(tmp_path: Path, conditional: Generator) -> None:
    drawing = drawing_of(conditional, 130)
    whole = compressed(tmp_path, drawing)
    numbers = {path: path.stat().st_ino for path in tmp_path.iterdir()}
    files = compressed_idx(tmp_path, drawing)
    assert files.existing() == [tmp_path / IMAGES, tmp_path / LABELS]
    assert files.missing() == []
    drain(files.write(nothing(), Existing.resume))
    assert contents(tmp_path) == whole
    assert {path: path.stat().st_ino for path in tmp_path.iterdir()} == numbers


@pytest.mark.parametrize(
    ("name", "is_ours"),
    [
        (IMAGES, True),
        (LABELS, True),
        ("labels-idx2-ubyte.gz", True),
        ("notes.gz", False),
        ("images-idx3-ubyte", False),
        (f".{IMAGES}.99.tmp", False),
    ],
)
def test_our_files_are_known_by_name(tmp_path: Path, tiny: Generator, conditional: Generator, name: str, is_ours: bool) -> None:
    for drawing in (drawing_of(tiny), drawing_of(conditional), drawing_of(conditional, text="12")):
        files = compressed_idx(tmp_path, drawing)
        assert files.is_ours(name) == is_ours
        assert files.holds_labels


def test_all_files_are_on_the_disk_before_the_first_gets_its_name(
    tmp_path: Path, conditional: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = compressed(tmp_path, drawing_of(conditional, 130, seed=1))
    synced: list[int] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        assert {name: data for name, data in contents(tmp_path).items() if not name.startswith(".")} == before
        synced.append(os.fstat(descriptor).st_size)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    drawing = drawing_of(conditional, 130, seed=2)
    drain(write(compressed_idx(tmp_path, drawing), drawing, Existing.overwrite))
    assert sorted(synced) == sorted(map(len, contents(tmp_path).values()))


@pytest.mark.parametrize("failing", [1, 2])
def test_a_disk_that_takes_not_all_files_leaves_older_ones_that_belong_together(
    tmp_path: Path, conditional: Generator, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    before = compressed(tmp_path, drawing_of(conditional, 130, seed=1))
    calls: list[int] = []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == failing:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    drawing = drawing_of(conditional, 130, seed=2, names=("7",))
    with pytest.raises(OutputError, match=r"^cannot write .*-ubyte\.gz: No space left on device$"):
        drain(write(compressed_idx(tmp_path, drawing), drawing, Existing.overwrite))
    assert len(calls) == failing
    assert contents(tmp_path) == before


def test_labels_of_other_images_do_not_stay_beside_new_ones(tmp_path: Path, tiny: Generator, conditional: Generator) -> None:
    existing: list[str] = []
    for drawing, names in (
        (drawing_of(conditional, 4), [IMAGES, LABELS]),
        (drawing_of(conditional, 4, text="12"), [IMAGES, "labels-idx2-ubyte.gz"]),
        (drawing_of(tiny, 4), [IMAGES]),
    ):
        files = compressed_idx(tmp_path, drawing)
        assert files.existing() == [tmp_path / name for name in existing]
        drain(write(files, drawing, Existing.overwrite))
        assert sorted(os.listdir(tmp_path)) == names
        existing = names


@pytest.mark.parametrize("name", [IMAGES, LABELS])
def test_a_folder_in_the_place_of_a_file_is_an_output_error(tmp_path: Path, conditional: Generator, name: str) -> None:
    (tmp_path / name).mkdir()
    drawing = drawing_of(conditional)
    with pytest.raises(OutputError) as caught:
        drain(write(compressed_idx(tmp_path, drawing), drawing, Existing.overwrite))
    assert str(caught.value) == f"cannot write {tmp_path / name}: Is a directory"
    assert not [path for path in os.listdir(tmp_path) if path.startswith(".")]
