"""The NPZ file of a drawing: what numpy reads back was drawn, and it is whole or not there."""

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
from pocketgan.output.archives import NpzFile
from pocketgan.request import Existing


def noise(*shape: int) -> NDArray[np.uint8]:
    """Return pixels that do not compress."""
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def written(folder: Path, drawing: Drawing, existing: Existing = Existing.refuse) -> Iterator[Batch]:
    return NpzFile(made(folder), drawing).write(drawing.batches(drawing.selection.indices), existing)


def failing(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield the batches, then fail as a model does."""
    yield from batches
    raise ModelError("model x.onnx failed to draw")


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
    drain(NpzFile(tmp_path, drawing_of(conditional, count, start=5)).write([drawn], Existing.refuse))
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
    for batch, passed in zip(batches, NpzFile(tmp_path, drawing).write(batches, Existing.refuse), strict=True):
        assert passed is batch


def test_an_npz_file_appears_after_the_last_batch(tmp_path: Path, tiny: Generator) -> None:
    file = NpzFile(made(tmp_path / "a" / "b"), drawing_of(tiny, 150))
    batches = file.write(tiny.stream(150), Existing.refuse)
    for _ in range(3):
        next(batches)
        assert (file.existing(), file.missing()) == ([], [range(150)])
    assert list(batches) == []
    assert (file.existing(), file.missing()) == ([tmp_path / "a" / "b" / "digits.npz"], [])


def test_an_npz_file_that_is_left_early_leaves_nothing(tmp_path: Path, tiny: Generator) -> None:
    batches = written(tmp_path, drawing_of(tiny, 150))
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert os.listdir(tmp_path) == []


def test_an_npz_file_replaces_an_older_one(tmp_path: Path, tiny: Generator) -> None:
    (tmp_path / "digits.npz").write_bytes(b"old")
    drain(written(tmp_path, drawing_of(tiny, 3), Existing.overwrite))
    with np.load(tmp_path / "digits.npz", allow_pickle=False) as read:
        np.testing.assert_array_equal(read["images"], tiny.generate(3))


def test_a_model_that_fails_leaves_the_older_npz_file(tmp_path: Path, tiny: Generator) -> None:
    (tmp_path / "digits.npz").write_bytes(b"old")
    with pytest.raises(ModelError):
        drain(NpzFile(tmp_path, drawing_of(tiny, 150)).write(failing(tiny.stream(70)), Existing.overwrite))
    assert contents(tmp_path) == {"digits.npz": b"old"}


@pytest.mark.parametrize("batches", [1, 50], ids=["at the end", "in the middle"])
def test_a_full_disk_leaves_the_older_npz_file(tmp_path: Path, tiny: Generator, batches: int) -> None:
    (tmp_path / "digits.npz").write_bytes(b"old")
    many = [Batch(position * 16, noise(16, 8, 8), None) for position in range(batches)]
    with pytest.raises(OutputError) as caught, small_files_only():
        drain(NpzFile(tmp_path, drawing_of(tiny, 16 * batches)).write(many, Existing.overwrite))
    assert str(caught.value) == f"cannot write {tmp_path / 'digits.npz'}: File too large"
    assert contents(tmp_path) == {"digits.npz": b"old"}


@pytest.mark.parametrize("place", ["file", "absent"])
def test_a_folder_that_is_not_there_is_an_output_error_and_is_not_made(tmp_path: Path, tiny: Generator, place: str) -> None:
    (tmp_path / "file").touch()
    file = NpzFile(tmp_path / place, drawing_of(tiny))
    assert (file.existing(), file.missing()) == ([], [range(10)])
    with pytest.raises(OutputError, match=rf"^cannot write .*{place}/digits\.npz: "):
        drain(file.write(tiny.stream(10), Existing.refuse))
    assert os.listdir(tmp_path) == ["file"]


def test_a_resumed_run_keeps_the_file_that_is_there(tmp_path: Path, tiny: Generator) -> None:
    drain(written(tmp_path, drawing_of(tiny, 70)))
    before = (tmp_path / "digits.npz").stat()
    assert list(NpzFile(tmp_path, drawing_of(tiny, 70)).write([], Existing.resume)) == []
    after = (tmp_path / "digits.npz").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_resumed_run_writes_the_file_that_is_not_there(tmp_path: Path, tiny: Generator) -> None:
    for existing in (Existing.refuse, Existing.resume):
        drain(written(tmp_path / existing, drawing_of(tiny, 70), existing))
    assert contents(tmp_path / "resume") == contents(tmp_path / "refuse")


def test_all_images_and_their_labels_are_in_the_file_of_that_name(tmp_path: Path, tiny: Generator) -> None:
    file = NpzFile(tmp_path, drawing_of(tiny, 3))
    assert [name for name in ("digits.npz", "labels.npz", ".digits.npz.4.tmp", "digits.npz.gz") if file.is_ours(name)] == [
        "digits.npz"
    ]
    assert file.holds_labels
    drain(written(tmp_path, drawing_of(tiny, 3)))
    file.discard_unfinished()
    assert os.listdir(tmp_path) == ["digits.npz"]
