"""Compressed files, NPZ and gzipped IDX and NPY: what they contain, and that a failed run leaves older files unchanged."""

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawings import contents, drain, drawing_of, images_of, made
from full_disk import small_files_only

from pocketgan.drawing import Drawing
from pocketgan.errors import OutputError
from pocketgan.generator import Batch, Generator
from pocketgan.output.archives import SinglePassFiles, gzip_files, npz_file
from pocketgan.output.arrays import ArrayFiles, idx_files, npy_files
from pocketgan.request import Existing

Make = Callable[[Path, Drawing], SinglePassFiles]
MakePlain = Callable[[Path, Drawing], ArrayFiles]
IMAGES, LABELS = "images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"


def compressed_idx(folder: Path, drawing: Drawing) -> SinglePassFiles:
    return gzip_files(idx_files(folder, drawing))


def written(files: SinglePassFiles | ArrayFiles, drawing: Drawing) -> dict[str, bytes]:
    """Return the files of a complete run."""
    made(files.folder)
    drain(files.write(drawing.batches(drawing.selection.indices), Existing.refuse))
    return contents(files.folder)


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ({"seed": 4}, range(10)),
        ({"names": ("7",)}, [7]),
        ({"names": ("3", "9", "9"), "is_inverted": True}, [3, 9, 9]),
        ({"text": "202", "height": 3}, [[2, 0, 2]]),
    ],
    ids=str,
)
def test_an_npz_file_contains_images_indices_and_labels(
    tmp_path: Path, conditional: Generator, options: dict[str, Any], labels: Sequence[object]
) -> None:
    indices = range(2**40, 2**40 + 150)
    drawing = drawing_of(conditional, 150, start=2**40, **options)
    assert written(npz_file(tmp_path, drawing), drawing).keys() == {"digits.npz"}
    with np.load(tmp_path / "digits.npz", allow_pickle=False) as read:
        assert {name: array.dtype for name, array in read.items()} == {"images": np.uint8, "index": np.int64, "labels": np.int64}
        np.testing.assert_array_equal(read["images"], images_of(drawing))
        np.testing.assert_array_equal(read["index"], indices)
        np.testing.assert_array_equal(read["labels"], [labels[index % len(labels)] for index in indices])


def test_an_npz_file_of_a_model_without_classes_has_no_labels(tmp_path: Path, tiny: Generator) -> None:
    drawing = drawing_of(tiny)
    written(npz_file(tmp_path, drawing), drawing)
    with np.load(tmp_path / "digits.npz", allow_pickle=False) as read:
        assert sorted(read) == ["images", "index"]


def test_many_images_have_all_their_indices_and_labels(tmp_path: Path, conditional: Generator) -> None:
    count = 2**16 + 3
    drawn = Batch(5, np.zeros((count, 8, 8), np.uint8), None)
    drain(npz_file(tmp_path, drawing_of(conditional, count, start=5)).write([drawn], Existing.refuse))
    with np.load(tmp_path / "digits.npz", allow_pickle=False) as read:
        assert len(read["images"]) == count
        np.testing.assert_array_equal(read["index"], np.arange(5, 5 + count))
        np.testing.assert_array_equal(read["labels"], np.arange(5, 5 + count) % 10)


@pytest.mark.parametrize("make", [idx_files, npy_files])
@pytest.mark.parametrize("text", [None, "2026"])
def test_compressed_files_contain_the_plain_ones(
    tmp_path: Path, conditional: Generator, make: MakePlain, text: str | None
) -> None:
    drawing = drawing_of(conditional, 130, start=5, text=text)
    plain = written(make(tmp_path / "plain", drawing), drawing)
    compressed = written(gzip_files(make(tmp_path / "compressed", drawing)), drawing)
    assert {name: gzip.decompress(data) for name, data in compressed.items()} == {f"{k}.gz": plain[k] for k in plain}


def test_a_compressed_file_contains_neither_its_name_nor_the_time(tmp_path: Path, conditional: Generator) -> None:
    drawing = drawing_of(conditional)
    for data in written(compressed_idx(tmp_path, drawing), drawing).values():
        # After two bytes for gzip and one for deflate: flags, of which one stands for a name, and the time.
        assert data[:8] == b"\x1f\x8b\x08" + bytes(5)


# Twenty images are few enough that nothing is on disk before the files are closed.
@pytest.mark.parametrize("count", [20, 1000])
@pytest.mark.parametrize(("make", "name"), [(npz_file, "digits.npz"), (compressed_idx, IMAGES)])
def test_a_full_disk_leaves_older_files(tmp_path: Path, conditional: Generator, make: Make, name: str, count: int) -> None:
    drawing = drawing_of(conditional, count)
    before = written(make(tmp_path, drawing), drawing)
    noise = np.random.default_rng(0).integers(0, 256, (count, 28, 28), np.uint8)  # does not compress
    with pytest.raises(OutputError) as caught, small_files_only():
        drain(make(tmp_path, drawing).write([Batch(0, noise, np.full(count, 7))], Existing.overwrite))
    assert str(caught.value) == f"cannot write {tmp_path / name}: File too large"
    assert contents(tmp_path) == before


@pytest.mark.parametrize("lost", [IMAGES, LABELS])
def test_all_is_missing_unless_all_files_exist(tmp_path: Path, conditional: Generator, lost: str) -> None:
    drawing = drawing_of(conditional, 130, start=5)
    files = compressed_idx(tmp_path, drawing)
    whole = written(files, drawing)
    (tmp_path / lost).unlink()
    assert files.existing() == [tmp_path / name for name in (IMAGES, LABELS) if name != lost]
    assert files.missing() == [range(5, 135)]
    drain(files.write(drawing.batches(range(5, 135)), Existing.resume))
    assert contents(tmp_path) == whole
