"""NPY files: the bytes that numpy itself would write, which it opens and maps; and pixels without any header."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from drawings import contents, drain, drawing_of, made
from numpy.typing import NDArray

from pocketgan.drawing import Drawing
from pocketgan.generator import Generator
from pocketgan.output.arrays import npy_files, npy_header, raw_files
from pocketgan.request import Existing


def write(folder: Path, drawing: Drawing, existing: Existing = Existing.refuse) -> None:
    drain(npy_files(made(folder), drawing).write(drawing.batches(drawing.selection.indices), existing))


def saved(array: NDArray[np.uint8] | NDArray[np.int64]) -> bytes:
    """Return the file that numpy makes of an array."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("count", [1, 64, 150])
def test_the_files_are_those_that_numpy_would_save(tmp_path: Path, tiny: Generator, conditional: Generator, count: int) -> None:
    write(tmp_path / "tiny", drawing_of(tiny, count, start=95, seed=3))
    assert contents(tmp_path / "tiny") == {"images.npy": saved(tiny.generate(count, seed=3, start=95))}
    write(tmp_path / "conditional", drawing_of(conditional, count, start=95, names=("3", "9", "9")))
    labels = conditional.labels(95, count, [3, 9, 9])
    assert labels is not None
    images = conditional.generate(count, [3, 9, 9], start=95)
    assert contents(tmp_path / "conditional") == {"images.npy": saved(images), "labels.npy": saved(labels)}


@pytest.mark.parametrize("is_mapped", [False, True])
def test_numpy_loads_images_and_labels_and_maps_them(tmp_path: Path, conditional: Generator, is_mapped: bool) -> None:
    write(tmp_path, drawing_of(conditional, 100, start=5))
    images, labels = (np.load(tmp_path / name, mmap_mode="r" if is_mapped else None) for name in ("images.npy", "labels.npy"))
    assert isinstance(images, np.memmap) == isinstance(labels, np.memmap) == is_mapped
    assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
    np.testing.assert_array_equal(images, conditional.generate(100, start=5))
    np.testing.assert_array_equal(labels, np.arange(5, 105) % 10)


def test_rows_of_text_have_a_label_for_each_character(tmp_path: Path, conditional: Generator) -> None:
    drawing = drawing_of(conditional, 70, text="2026")
    write(tmp_path, drawing)
    images, labels = np.load(tmp_path / "images.npy"), np.load(tmp_path / "labels.npy")
    assert (images.shape, labels.dtype) == ((70, 8, 32), np.int64)
    np.testing.assert_array_equal(images, np.concatenate([batch.images for batch in drawing.batches(range(70))]))
    np.testing.assert_array_equal(labels, [[2, 0, 2, 6]] * 70)


@pytest.mark.parametrize("text", [None, "12"])
def test_images_have_the_size_that_was_asked_for(tmp_path: Path, conditional: Generator, text: str | None) -> None:
    drawing = drawing_of(conditional, 5, text=text, height=20, is_inverted=True)
    write(tmp_path, drawing)
    images = np.load(tmp_path / "images.npy")
    assert images.shape == (5, 20, 20 if text is None else 40)
    (batch,) = drawing.batches(range(5))
    np.testing.assert_array_equal(images, batch.images)


def test_labels_of_other_images_do_not_stay_beside_new_ones(tmp_path: Path, tiny: Generator, conditional: Generator) -> None:
    write(tmp_path, drawing_of(conditional, 4))
    assert sorted(os.listdir(tmp_path)) == ["images.npy", "labels.npy"]
    drawing = drawing_of(tiny, 4)
    assert npy_files(tmp_path, drawing).existing() == [tmp_path / "images.npy", tmp_path / "labels.npy"]
    write(tmp_path, drawing, Existing.overwrite)
    assert contents(tmp_path) == {"images.npy": saved(tiny.generate(4))}


def test_raw_files_are_nothing_but_pixels(tmp_path: Path, conditional: Generator) -> None:
    drawing = drawing_of(conditional, 100, start=5, is_inverted=True)
    drain(raw_files(tmp_path, drawing).write(drawing.batches(range(5, 105)), Existing.refuse))
    assert contents(tmp_path) == {"images.raw": (255 - conditional.generate(100, start=5)).tobytes()}


@pytest.mark.parametrize("shape", [(1, 28, 28), (10**8, 512, 16384), (7,), (10**12, 32)], ids=str)
@pytest.mark.parametrize("dtype", ["|u1", "<i8"])
def test_a_header_says_type_and_shape_and_ends_where_data_can_be_mapped(dtype: str, shape: tuple[int, ...]) -> None:
    header = npy_header(dtype, shape)
    file = io.BytesIO(header)
    assert np.lib.format.read_magic(file) == (1, 0)
    assert np.lib.format.read_array_header_1_0(file) == (shape, False, np.dtype(dtype))
    assert file.tell() == len(header)
    assert len(header) % 64 == 0
