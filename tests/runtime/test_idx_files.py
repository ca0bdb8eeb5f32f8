"""IDX files: the bytes that the format asks for, whole or not there."""

import gzip
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from full_disk import small_files_only

from pocketgan.errors import OutputError
from pocketgan.generator import Batch, Generator
from pocketgan.idx_files import idx_names, write_idx_files
from pocketgan.text_rows import text_rows


def drain(batches: Iterable[Batch]) -> None:
    for _ in batches:
        pass


@pytest.mark.parametrize("count", [1, 64, 70])
def test_images_come_after_a_header_of_big_endian_sizes(tmp_path: Path, tiny: Generator, count: int) -> None:
    drain(write_idx_files(tmp_path, tiny.stream(count, start=95), count, is_compressed=False))
    images = tiny.generate(count, start=95)
    header = bytes([0, 0, 8, 3]) + b"".join(size.to_bytes(4, "big") for size in images.shape)
    assert os.listdir(tmp_path) == ["images-idx3-ubyte"]
    assert (tmp_path / "images-idx3-ubyte").read_bytes() == header + images.tobytes()


def test_labels_of_a_model_with_classes_have_a_file_of_their_own(tmp_path: Path, conditional: Generator) -> None:
    drain(write_idx_files(tmp_path, conditional.stream(100, [3, 9, 9]), 100, is_compressed=False))
    header = bytes([0, 0, 8, 1]) + (100).to_bytes(4, "big")
    assert (tmp_path / "labels-idx1-ubyte").read_bytes() == header + bytes(([3, 9, 9] * 34)[:100])
    assert sorted(os.listdir(tmp_path)) == ["images-idx3-ubyte", "labels-idx1-ubyte"]


def test_rows_of_text_have_labels_of_two_dimensions(tmp_path: Path, conditional: Generator) -> None:
    drain(write_idx_files(tmp_path, text_rows(conditional, "2026", 3), 3, is_compressed=False))
    header = bytes([0, 0, 8, 2]) + (3).to_bytes(4, "big") + (4).to_bytes(4, "big")
    assert (tmp_path / "labels-idx2-ubyte").read_bytes() == header + bytes([2, 0, 2, 6] * 3)


def test_compressed_files_hold_the_same_bytes_and_are_always_the_same(tmp_path: Path, conditional: Generator) -> None:
    contents = []
    for name, is_compressed in (("plain", False), ("first", True), ("second", True)):
        folder = tmp_path / name
        folder.mkdir()
        drain(write_idx_files(folder, conditional.stream(130), 130, is_compressed))
        contents.append([(folder / file).read_bytes() for file in sorted(os.listdir(folder))])
    plain, first, second = contents
    assert [gzip.decompress(file) for file in first] == plain
    assert first == second
    assert sorted(os.listdir(tmp_path / "first")) == ["images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"]


@pytest.mark.parametrize("is_compressed", [False, True])
def test_names_are_known_before_anything_is_drawn(is_compressed: bool) -> None:
    names = [[name.removesuffix(".gz") for name in idx_names(is_compressed, dimensions)] for dimensions in (0, 1, 2)]
    assert names == [
        ["images-idx3-ubyte"],
        ["images-idx3-ubyte", "labels-idx1-ubyte"],
        ["images-idx3-ubyte", "labels-idx2-ubyte"],
    ]
    assert all(name.endswith(".gz") == is_compressed for name in idx_names(is_compressed, 1))


def test_files_appear_after_the_last_batch_and_nothing_is_left_of_early_ends(tmp_path: Path, tiny: Generator) -> None:
    written = write_idx_files(tmp_path, tiny.stream(130), 130, is_compressed=False)
    next(written)
    assert [name for name in os.listdir(tmp_path) if not name.startswith(".")] == []
    written.close()  # type: ignore[attr-defined]
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("is_compressed", [False, True])
def test_a_full_disk_leaves_the_older_files(tmp_path: Path, is_compressed: bool) -> None:
    (name,) = idx_names(is_compressed, 0)
    (tmp_path / name).write_bytes(b"older")
    noise = np.random.default_rng(0).integers(0, 256, (200, 28, 28), dtype=np.uint8)
    with small_files_only(), pytest.raises(OutputError, match=f"cannot write .*{name}"):
        drain(write_idx_files(tmp_path, [Batch(0, noise, None)], 200, is_compressed))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {name: b"older"}


def test_more_images_than_the_format_can_count_are_refused(tmp_path: Path, tiny: Generator) -> None:
    with pytest.raises(OutputError, match=r"4,294,967,296 images do not fit into an IDX file: expected at most 4,294,967,295"):
        drain(write_idx_files(tmp_path, tiny.stream(1), 2**32, is_compressed=False))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("is_compressed", [False, True])
def test_a_disk_that_is_full_at_the_very_end_leaves_images_and_labels_that_belong_together(
    tmp_path: Path, conditional: Generator, is_compressed: bool
) -> None:
    # Few enough that nothing is on the disk before the files are closed.
    drain(write_idx_files(tmp_path, conditional.stream(20, 1), 20, is_compressed))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    noise = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)
    with small_files_only(), pytest.raises(OutputError, match=r"cannot write .*images-idx3-ubyte"):
        drain(write_idx_files(tmp_path, [Batch(0, noise, np.full(20, 7))], 20, is_compressed))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("is_compressed", [False, True])
def test_labels_of_other_images_do_not_stay_beside_new_ones(
    tmp_path: Path, tiny: Generator, conditional: Generator, is_compressed: bool
) -> None:
    drain(write_idx_files(tmp_path, conditional.stream(4), 4, is_compressed))
    drain(write_idx_files(tmp_path, text_rows(conditional, "12", 4), 4, is_compressed))
    assert sorted(os.listdir(tmp_path)) == sorted(idx_names(is_compressed, 2))
    drain(write_idx_files(tmp_path, tiny.stream(4), 4, is_compressed))
    assert sorted(os.listdir(tmp_path)) == sorted(idx_names(is_compressed, 0))


def test_labels_that_do_not_fit_into_a_byte_are_refused(tmp_path: Path) -> None:
    batch = Batch(0, np.zeros((2, 28, 28), np.uint8), np.array([3, 300]))
    with pytest.raises(OutputError, match="label 300 does not fit into an IDX file: expected at most 255; use npz"):
        drain(write_idx_files(tmp_path, [batch], 2, is_compressed=False))
    assert os.listdir(tmp_path) == []
