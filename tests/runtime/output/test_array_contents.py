"""What IDX, NPY and raw files contain: the bytes that their formats ask for, and labels that belong to the images."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from drawings import contents, drain, drawing_of, made, with_classes
from numpy.typing import NDArray

from pocketgan.drawing import Drawing
from pocketgan.errors import OutputError
from pocketgan.generator import Generator
from pocketgan.output.arrays import LARGEST_COUNT, idx_files, npy_files, npy_header, raw_files
from pocketgan.request import Existing


def write_idx(folder: Path, drawing: Drawing, existing: Existing = Existing.refuse) -> None:
    drain(idx_files(made(folder), drawing).write(drawing.batches(drawing.selection.indices), existing))


@pytest.mark.parametrize("count", [1, 64, 70])
def test_images_come_after_a_header_of_big_endian_sizes(tmp_path: Path, tiny: Generator, count: int) -> None:
    write_idx(tmp_path, drawing_of(tiny, count, start=95))
    images = tiny.generate(count, start=95)
    header = bytes([0, 0, 8, 3]) + b"".join(size.to_bytes(4, "big") for size in (count, 8, 8))
    assert contents(tmp_path) == {"images-idx3-ubyte": header + images.tobytes()}


def test_labels_of_a_model_with_classes_have_a_file_of_their_own(tmp_path: Path, conditional: Generator) -> None:
    write_idx(tmp_path, drawing_of(conditional, 100, names=("3", "9", "9")))
    header = bytes([0, 0, 8, 1]) + (100).to_bytes(4, "big")
    assert (tmp_path / "labels-idx1-ubyte").read_bytes() == header + bytes(([3, 9, 9] * 34)[:100])
    assert sorted(os.listdir(tmp_path)) == ["images-idx3-ubyte", "labels-idx1-ubyte"]


def test_rows_of_text_have_labels_of_two_dimensions_and_are_as_much_wider(tmp_path: Path, conditional: Generator) -> None:
    drawing = drawing_of(conditional, 3, text="2026")
    write_idx(tmp_path, drawing)
    header = bytes([0, 0, 8, 2]) + (3).to_bytes(4, "big") + (4).to_bytes(4, "big")
    assert (tmp_path / "labels-idx2-ubyte").read_bytes() == header + bytes([2, 0, 2, 6] * 3)
    (rows,) = drawing.batches(range(3))
    header = bytes([0, 0, 8, 3]) + b"".join(size.to_bytes(4, "big") for size in (3, 8, 32))
    assert (tmp_path / "images-idx3-ubyte").read_bytes() == header + rows.images.tobytes()
    assert sorted(os.listdir(tmp_path)) == ["images-idx3-ubyte", "labels-idx2-ubyte"]


def test_images_of_another_size_say_so_in_their_header(tmp_path: Path, tiny: Generator) -> None:
    drawing = drawing_of(tiny, 5, height=20, is_inverted=True)
    write_idx(tmp_path, drawing)
    (batch,) = drawing.batches(range(5))
    header = bytes([0, 0, 8, 3]) + b"".join(size.to_bytes(4, "big") for size in (5, 20, 20))
    assert (tmp_path / "images-idx3-ubyte").read_bytes() == header + batch.images.tobytes()


def test_labels_of_other_images_do_not_stay_beside_new_ones(tmp_path: Path, tiny: Generator, conditional: Generator) -> None:
    for drawing, labels in (
        (drawing_of(conditional, 4), ["labels-idx1-ubyte"]),
        (drawing_of(conditional, 4, text="12"), ["labels-idx2-ubyte"]),
        (drawing_of(tiny, 4), []),
    ):
        write_idx(tmp_path, drawing, Existing.overwrite)
        assert sorted(os.listdir(tmp_path)) == ["images-idx3-ubyte", *labels]


@pytest.mark.parametrize("name", ["images-idx3-ubyte", "labels-idx1-ubyte", "labels-idx2-ubyte"])
def test_files_that_readers_would_take_for_these_are_in_the_way(
    tmp_path: Path, tiny: Generator, conditional: Generator, name: str
) -> None:
    (tmp_path / name).write_bytes(b"older")
    (tmp_path / "notes").write_bytes(b"older")
    for drawing in (drawing_of(tiny), drawing_of(conditional), drawing_of(conditional, text="12")):
        assert idx_files(tmp_path, drawing).existing() == [tmp_path / name]


def test_more_images_than_the_format_can_count_are_refused(tmp_path: Path, tiny: Generator) -> None:
    folder = tmp_path / "digits"
    idx_files(folder, drawing_of(tiny, LARGEST_COUNT))
    with pytest.raises(OutputError) as caught:
        idx_files(folder, drawing_of(tiny, 2**32))
    message = "4,294,967,296 images do not fit into an IDX file: expected at most 4,294,967,295; use --shard"
    assert str(caught.value) == message
    assert not folder.exists()


def test_labels_that_do_not_fit_into_a_byte_are_whole_numbers_of_four(tmp_path: Path, conditional: Generator) -> None:
    generator = with_classes(conditional, tmp_path / "model", labels=(*range(9), 256))
    write_idx(tmp_path / "drawn", drawing_of(generator, 3, names=("0", "9", "8")))
    header = bytes([0, 0, 12, 1]) + (3).to_bytes(4, "big")
    assert (tmp_path / "drawn" / "labels-idx1-int").read_bytes() == header + bytes([0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 8])
    assert sorted(os.listdir(tmp_path / "drawn")) == ["images-idx3-ubyte", "labels-idx1-int"]


def test_labels_are_the_numbers_that_the_data_gave_the_classes(tmp_path: Path, conditional: Generator) -> None:
    generator = with_classes(conditional, tmp_path / "model", labels=(3, 1, 4, 5, 9, 2, 6, 8, 7, 255))
    write_idx(tmp_path / "drawn", drawing_of(generator, 3, names=("0", "9", "2")))
    assert (tmp_path / "drawn" / "labels-idx1-ubyte").read_bytes()[8:] == bytes([3, 255, 4])


def write_npy(folder: Path, drawing: Drawing, existing: Existing = Existing.refuse) -> None:
    drain(npy_files(made(folder), drawing).write(drawing.batches(drawing.selection.indices), existing))


def saved(array: NDArray[np.uint8] | NDArray[np.int64]) -> bytes:
    """Return the file that numpy makes of an array."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("count", [1, 64, 150])
def test_the_files_are_those_that_numpy_would_save(tmp_path: Path, tiny: Generator, conditional: Generator, count: int) -> None:
    write_npy(tmp_path / "tiny", drawing_of(tiny, count, start=95, seed=3))
    assert contents(tmp_path / "tiny") == {"images.npy": saved(tiny.generate(count, seed=3, start=95))}
    write_npy(tmp_path / "conditional", drawing_of(conditional, count, start=95, names=("3", "9", "9")))
    labels = conditional.labels(95, count, [3, 9, 9])
    assert labels is not None
    images = conditional.generate(count, [3, 9, 9], start=95)
    assert contents(tmp_path / "conditional") == {"images.npy": saved(images), "labels.npy": saved(labels)}


@pytest.mark.parametrize("is_mapped", [False, True])
def test_numpy_loads_images_and_labels_and_maps_them(tmp_path: Path, conditional: Generator, is_mapped: bool) -> None:
    write_npy(tmp_path, drawing_of(conditional, 100, start=5))
    images, labels = (np.load(tmp_path / name, mmap_mode="r" if is_mapped else None) for name in ("images.npy", "labels.npy"))
    assert isinstance(images, np.memmap) == isinstance(labels, np.memmap) == is_mapped
    assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
    np.testing.assert_array_equal(images, conditional.generate(100, start=5))
    np.testing.assert_array_equal(labels, np.arange(5, 105) % 10)


def test_npy_rows_of_text_have_a_label_for_each_character(tmp_path: Path, conditional: Generator) -> None:
    drawing = drawing_of(conditional, 70, text="2026")
    write_npy(tmp_path, drawing)
    images, labels = np.load(tmp_path / "images.npy"), np.load(tmp_path / "labels.npy")
    assert (images.shape, labels.dtype) == ((70, 8, 32), np.int64)
    np.testing.assert_array_equal(images, np.concatenate([batch.images for batch in drawing.batches(range(70))]))
    np.testing.assert_array_equal(labels, [[2, 0, 2, 6]] * 70)


@pytest.mark.parametrize("text", [None, "12"])
def test_images_have_the_size_that_was_asked_for(tmp_path: Path, conditional: Generator, text: str | None) -> None:
    drawing = drawing_of(conditional, 5, text=text, height=20, is_inverted=True)
    write_npy(tmp_path, drawing)
    images = np.load(tmp_path / "images.npy")
    assert images.shape == (5, 20, 20 if text is None else 40)
    (batch,) = drawing.batches(range(5))
    np.testing.assert_array_equal(images, batch.images)


def test_npy_labels_of_other_images_do_not_stay_beside_new_ones(tmp_path: Path, tiny: Generator, conditional: Generator) -> None:
    write_npy(tmp_path, drawing_of(conditional, 4))
    assert sorted(os.listdir(tmp_path)) == ["images.npy", "labels.npy"]
    drawing = drawing_of(tiny, 4)
    assert npy_files(tmp_path, drawing).existing() == [tmp_path / "images.npy", tmp_path / "labels.npy"]
    write_npy(tmp_path, drawing, Existing.overwrite)
    assert contents(tmp_path) == {"images.npy": saved(tiny.generate(4))}


def test_raw_files_are_nothing_but_pixels(tmp_path: Path, conditional: Generator) -> None:
    drawing = drawing_of(conditional, 100, start=5, is_inverted=True)
    drain(raw_files(tmp_path, drawing).write(drawing.batches(range(5, 105)), Existing.refuse))
    assert contents(tmp_path) == {"images.raw": (255 - conditional.generate(100, start=5)).tobytes()}


@pytest.mark.parametrize(("dtype", "shape"), [("|u1", (10**8, 512, 16384)), ("<i8", (7,)), ("<i8", (10**12, 32))], ids=str)
def test_a_header_says_type_and_shape_and_ends_where_data_can_be_mapped(dtype: str, shape: tuple[int, ...]) -> None:
    header = npy_header(dtype, shape)
    file = io.BytesIO(header)
    assert np.lib.format.read_magic(file) == (1, 0)
    assert np.lib.format.read_array_header_1_0(file) == (shape, False, np.dtype(dtype))
    assert file.tell() == len(header)
    assert len(header) % 64 == 0
