"""Compressed array files: the same bytes as the plain ones, whole or as they were before."""

import errno
import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from drawings import contents, drain, drawing_of, made
from full_disk import small_files_only

from pocketgan.drawing import Drawing
from pocketgan.errors import ModelError, OutputError
from pocketgan.generator import Batch, Generator
from pocketgan.output.archives import GzipFiles
from pocketgan.output.arrays import idx_files, npy_files
from pocketgan.request import Existing

IMAGES, LABELS = "images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"


def files_of(folder: Path, drawing: Drawing) -> GzipFiles:
    return GzipFiles(idx_files(folder, drawing))


def write(files: GzipFiles, drawing: Drawing, existing: Existing = Existing.refuse) -> Iterator[Batch]:
    made(files.plain.folder)
    return files.write(drawing.batches(drawing.selection.indices), existing)


def written(folder: Path, drawing: Drawing) -> dict[str, bytes]:
    """Return all files of a run that nothing stopped."""
    drain(write(files_of(folder, drawing), drawing))
    return contents(folder)


def noise(count: int) -> Batch:
    """Return images that do not compress, of class 7."""
    images = np.random.default_rng(0).integers(0, 256, (count, 28, 28), dtype=np.uint8)
    return Batch(0, images, np.full(count, 7))


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
        drain(write(GzipFiles(make(tmp_path / name, drawing)), drawing))
    compressed = contents(tmp_path / "first")
    plain = {f"{name}.gz": data for name, data in contents(tmp_path / "plain").items()}
    assert {name: gzip.decompress(data) for name, data in compressed.items()} == plain
    assert compressed == contents(tmp_path / "second")
    assert len(compressed) == 2


def test_a_compressed_file_tells_neither_its_name_nor_the_time_of_day(tmp_path: Path, conditional: Generator) -> None:
    for data in written(tmp_path, drawing_of(conditional)).values():
        # After two bytes that say gzip and one for deflate: flags, of which one stands for a name, and the time.
        assert data[:8] == b"\x1f\x8b\x08" + bytes(5)


@pytest.mark.parametrize("existing", Existing)
def test_files_appear_after_the_last_batch_and_nothing_is_left_of_early_ends(
    tmp_path: Path, conditional: Generator, existing: Existing
) -> None:
    drawing = drawing_of(conditional, 130)
    files = files_of(tmp_path / "digits", drawing)
    begun = write(files, drawing, existing)
    next(begun)
    begun.close()  # type: ignore[attr-defined]
    assert contents(files.plain.folder) == {}
    for _ in write(files, drawing, existing):
        assert all(name.startswith(".") for name in contents(files.plain.folder))
    assert contents(files.plain.folder).keys() == {IMAGES, LABELS}


def test_batches_are_passed_on_as_they_are(tmp_path: Path, conditional: Generator) -> None:
    drawing = drawing_of(conditional, 150)
    batches = list(drawing.batches(range(150)))
    passed_on = list(files_of(tmp_path, drawing).write(batches, Existing.refuse))
    assert [id(batch) for batch in passed_on] == [id(batch) for batch in batches]


# Of twenty images nothing is on the disk before the files are closed.
@pytest.mark.parametrize("count", [20, 1000])
def test_a_full_disk_leaves_older_files_that_belong_together(tmp_path: Path, conditional: Generator, count: int) -> None:
    before = written(tmp_path, drawing_of(conditional, count))
    files = files_of(tmp_path, drawing_of(conditional, count))
    with pytest.raises(OutputError) as caught, small_files_only():
        drain(files.write([noise(count)], Existing.overwrite))
    assert str(caught.value) == f"cannot write {tmp_path / IMAGES}: File too large"
    assert contents(tmp_path) == before


def test_a_model_that_fails_leaves_the_older_files(tmp_path: Path, conditional: Generator) -> None:
    def failing() -> Iterator[Batch]:
        yield noise(100)
        raise ModelError("model x.onnx failed to draw")

    before = written(tmp_path, drawing_of(conditional, 200))
    with pytest.raises(ModelError):
        drain(files_of(tmp_path, drawing_of(conditional, 200)).write(failing(), Existing.overwrite))
    assert contents(tmp_path) == before


def test_older_files_are_replaced(tmp_path: Path, conditional: Generator) -> None:
    drawing = drawing_of(conditional, 130, seed=1)
    new = written(tmp_path / "new", drawing)
    older = written(tmp_path / "digits", drawing_of(conditional, 150, seed=2))
    files = files_of(tmp_path / "digits", drawing)
    for _ in write(files, drawing, Existing.overwrite):
        assert {name: data for name, data in contents(files.plain.folder).items() if not name.startswith(".")} == older
    assert contents(files.plain.folder) == new


@pytest.mark.parametrize("left", [[], [IMAGES], [LABELS]], ids=str)
def test_all_is_missing_unless_all_files_are_there_and_is_drawn_again(
    tmp_path: Path, conditional: Generator, left: list[str]
) -> None:
    drawing = drawing_of(conditional, 130, start=5)
    whole = written(tmp_path, drawing)
    for name in whole.keys() - set(left):
        (tmp_path / name).unlink()
    files = files_of(tmp_path, drawing)
    assert files.existing() == [tmp_path / name for name in left]
    assert files.missing() == [range(5, 135)]
    drain(write(files, drawing, Existing.resume))
    assert contents(tmp_path) == whole


def test_files_that_are_there_are_not_written_again(tmp_path: Path, conditional: Generator) -> None:
    drawing = drawing_of(conditional, 130)
    whole = written(tmp_path, drawing)
    numbers = {path: path.stat().st_ino for path in tmp_path.iterdir()}
    files = files_of(tmp_path, drawing)
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
        files = files_of(tmp_path, drawing)
        assert files.is_ours(name) == is_ours
        assert files.holds_labels


def test_a_stopped_run_leaves_nothing_that_could_be_discarded(tmp_path: Path, conditional: Generator) -> None:
    drawing = drawing_of(conditional)
    whole = written(tmp_path, drawing)
    files_of(tmp_path, drawing).discard_unfinished()
    assert contents(tmp_path) == whole


def test_all_files_are_on_the_disk_before_the_first_gets_its_name(
    tmp_path: Path, conditional: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = written(tmp_path, drawing_of(conditional, 130, seed=1))
    synced: list[int] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        assert {name: data for name, data in contents(tmp_path).items() if not name.startswith(".")} == before
        synced.append(os.fstat(descriptor).st_size)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    drawing = drawing_of(conditional, 130, seed=2)
    drain(write(files_of(tmp_path, drawing), drawing, Existing.overwrite))
    assert sorted(synced) == sorted(map(len, contents(tmp_path).values()))


@pytest.mark.parametrize("failing", [1, 2])
def test_a_disk_that_takes_not_all_files_leaves_older_ones_that_belong_together(
    tmp_path: Path, conditional: Generator, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    before = written(tmp_path, drawing_of(conditional, 130, seed=1))
    calls: list[int] = []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == failing:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    drawing = drawing_of(conditional, 130, seed=2, names=("7",))
    with pytest.raises(OutputError, match=r"^cannot write .*-ubyte\.gz: No space left on device$"):
        drain(write(files_of(tmp_path, drawing), drawing, Existing.overwrite))
    assert len(calls) == failing
    assert contents(tmp_path) == before


def test_labels_of_other_images_do_not_stay_beside_new_ones(tmp_path: Path, tiny: Generator, conditional: Generator) -> None:
    existing: list[str] = []
    for drawing, names in (
        (drawing_of(conditional, 4), [IMAGES, LABELS]),
        (drawing_of(conditional, 4, text="12"), [IMAGES, "labels-idx2-ubyte.gz"]),
        (drawing_of(tiny, 4), [IMAGES]),
    ):
        files = files_of(tmp_path, drawing)
        assert files.existing() == [tmp_path / name for name in existing]
        drain(write(files, drawing, Existing.overwrite))
        assert sorted(os.listdir(tmp_path)) == names
        existing = names


@pytest.mark.parametrize("name", [IMAGES, LABELS])
def test_a_folder_in_the_place_of_a_file_is_an_output_error(tmp_path: Path, conditional: Generator, name: str) -> None:
    (tmp_path / name).mkdir()
    drawing = drawing_of(conditional)
    with pytest.raises(OutputError) as caught:
        drain(write(files_of(tmp_path, drawing), drawing, Existing.overwrite))
    assert str(caught.value) == f"cannot write {tmp_path / name}: Is a directory"
    assert not [path for path in os.listdir(tmp_path) if path.startswith(".")]
