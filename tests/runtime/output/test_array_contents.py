"""What IDX, NPY and raw files contain: images and their labels, in the bytes of the format."""

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawings import contents, drain, drawing_of, images_of, made, visible, with_classes
from image_data import idx_bytes
from numpy.typing import NDArray

from pocketgan.drawing import Drawing
from pocketgan.errors import OutputError
from pocketgan.generator import Generator
from pocketgan.output.archives import SinglePassFiles, gzip_files
from pocketgan.output.arrays import LARGEST_COUNT, ArrayFiles, idx_files, npy_files, npy_header, raw_files
from pocketgan.request import Existing


def written(files: ArrayFiles | SinglePassFiles, drawing: Drawing) -> dict[str, bytes]:
    made(files.folder)
    drain(files.write(drawing.batches(drawing.selection.indices), Existing.overwrite))
    return contents(files.folder)


def npy_bytes(array: NDArray[np.integer]) -> bytes:
    """Return the file that numpy makes of an array."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ({"count": 1, "seed": 3}, range(10)),
        ({"count": 64, "is_inverted": True, "height": 20}, range(10)),
        ({"count": 150, "names": ("3", "9", "9")}, [3, 9, 9]),
        ({"count": 3, "text": "2026", "height": 20}, [[2, 0, 2, 6]]),
    ],
    ids=str,
)
def test_images_and_labels_are_arrays(
    tmp_path: Path, conditional: Generator, options: dict[str, Any], labels: Sequence[object]
) -> None:
    drawing = drawing_of(conditional, start=95, **options)
    indices = drawing.selection.indices
    images = images_of(drawing)
    of_images = np.array([labels[index % len(labels)] for index in indices])
    assert written(idx_files(tmp_path / "idx", drawing), drawing) == {
        "images-idx3-ubyte": idx_bytes(images),
        f"labels-idx{of_images.ndim}-ubyte": idx_bytes(of_images.astype(np.uint8)),
    }
    assert written(npy_files(tmp_path / "npy", drawing), drawing) == {
        "images.npy": npy_bytes(images),
        "labels.npy": npy_bytes(of_images.astype(np.int64)),
    }
    assert written(raw_files(tmp_path / "raw", drawing), drawing) == {"images.raw": images.tobytes()}


def test_a_model_without_classes_has_images_alone(tmp_path: Path, tiny: Generator) -> None:
    drawing = drawing_of(tiny)
    assert written(idx_files(tmp_path / "idx", drawing), drawing) == {"images-idx3-ubyte": idx_bytes(tiny.generate(10))}
    assert written(npy_files(tmp_path / "npy", drawing), drawing) == {"images.npy": npy_bytes(tiny.generate(10))}


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (idx_files, ["images-idx3-ubyte", "labels-idx1-ubyte", "labels-idx2-ubyte"]),
        (
            lambda folder, drawing: gzip_files(idx_files(folder, drawing)),
            ["images-idx3-ubyte.gz", "labels-idx1-ubyte.gz", "labels-idx2-ubyte.gz"],
        ),
        (npy_files, ["images.npy", "labels.npy", "labels.npy"]),
    ],
    ids=["idx", "idx.gz", "npy"],
)
def test_labels_of_older_images_go_when_new_files_are_complete(
    tmp_path: Path,
    tiny: Generator,
    conditional: Generator,
    make: Callable[[Path, Drawing], ArrayFiles | SinglePassFiles],
    names: list[str],
) -> None:
    images, labels, labels_of_text = names
    existing: list[str] = []
    for drawing, new in (
        (drawing_of(conditional, 4), [images, labels]),
        (drawing_of(conditional, 4, text="12"), [images, labels_of_text]),
        (drawing_of(tiny, 4), [images]),
    ):
        files = make(tmp_path, drawing)
        assert [name for name in (*names, "notes") if files.is_ours(name)] == names
        assert files.existing() == [tmp_path / name for name in existing]
        before = visible(tmp_path)
        for _ in files.write(drawing.batches(range(4)), Existing.overwrite):
            assert visible(tmp_path) == before
        assert sorted(os.listdir(tmp_path)) == new
        existing = new


def test_more_images_than_the_format_can_count_are_rejected(tmp_path: Path, tiny: Generator) -> None:
    idx_files(tmp_path, drawing_of(tiny, LARGEST_COUNT))
    with pytest.raises(OutputError) as caught:
        idx_files(tmp_path, drawing_of(tiny, 2**32))
    message = "4,294,967,296 images do not fit into an IDX file: expected at most 4,294,967,295; use --shard"
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("labels", "name", "expected"),
    [
        ((3, 1, 4, 5, 9, 2, 6, 8, 7, 255), "labels-idx1-ubyte", bytes([0, 0, 8, 1, 0, 0, 0, 3, 3, 255, 4])),
        ((*range(9), 256), "labels-idx1-int", bytes([0, 0, 12, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 2])),
    ],
)
def test_labels_are_those_of_the_data_and_have_four_bytes_if_one_is_not_enough(
    tmp_path: Path, conditional: Generator, labels: tuple[int, ...], name: str, expected: bytes
) -> None:
    drawing = drawing_of(with_classes(conditional, tmp_path / "model", labels=labels), 3, names=("0", "9", "2"))
    drawn = written(idx_files(tmp_path / "drawn", drawing), drawing)
    assert drawn.keys() == {"images-idx3-ubyte", name}
    assert drawn[name] == expected


@pytest.mark.parametrize(("dtype", "shape"), [("|u1", (10**8, 512, 16384)), ("<i8", (7,)), ("<i8", (10**12, 32))], ids=str)
def test_an_npy_header_ends_where_data_can_be_mapped(dtype: str, shape: tuple[int, ...]) -> None:
    header = npy_header(dtype, shape)
    file = io.BytesIO(header)
    assert np.lib.format.read_magic(file) == (1, 0)
    assert np.lib.format.read_array_header_1_0(file) == (shape, False, np.dtype(dtype))
    assert file.tell() == len(header)
    assert len(header) % 64 == 0
