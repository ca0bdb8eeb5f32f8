"""IDX files: the bytes that the format asks for, and labels that belong to the images beside them."""

import os
from pathlib import Path

import pytest
from drawings import contents, drain, drawing_of, made, with_classes

from pocketgan.drawing import Drawing
from pocketgan.errors import OutputError
from pocketgan.generator import Generator
from pocketgan.output.arrays import LARGEST_COUNT, idx_files
from pocketgan.request import Existing


def write(folder: Path, drawing: Drawing, existing: Existing = Existing.refuse) -> None:
    drain(idx_files(made(folder), drawing).write(drawing.batches(drawing.selection.indices), existing))


@pytest.mark.parametrize("count", [1, 64, 70])
def test_images_come_after_a_header_of_big_endian_sizes(tmp_path: Path, tiny: Generator, count: int) -> None:
    write(tmp_path, drawing_of(tiny, count, start=95))
    images = tiny.generate(count, start=95)
    header = bytes([0, 0, 8, 3]) + b"".join(size.to_bytes(4, "big") for size in (count, 8, 8))
    assert contents(tmp_path) == {"images-idx3-ubyte": header + images.tobytes()}


def test_labels_of_a_model_with_classes_have_a_file_of_their_own(tmp_path: Path, conditional: Generator) -> None:
    write(tmp_path, drawing_of(conditional, 100, names=("3", "9", "9")))
    header = bytes([0, 0, 8, 1]) + (100).to_bytes(4, "big")
    assert (tmp_path / "labels-idx1-ubyte").read_bytes() == header + bytes(([3, 9, 9] * 34)[:100])
    assert sorted(os.listdir(tmp_path)) == ["images-idx3-ubyte", "labels-idx1-ubyte"]


def test_rows_of_text_have_labels_of_two_dimensions_and_are_as_much_wider(tmp_path: Path, conditional: Generator) -> None:
    drawing = drawing_of(conditional, 3, text="2026")
    write(tmp_path, drawing)
    header = bytes([0, 0, 8, 2]) + (3).to_bytes(4, "big") + (4).to_bytes(4, "big")
    assert (tmp_path / "labels-idx2-ubyte").read_bytes() == header + bytes([2, 0, 2, 6] * 3)
    (rows,) = drawing.batches(range(3))
    header = bytes([0, 0, 8, 3]) + b"".join(size.to_bytes(4, "big") for size in (3, 8, 32))
    assert (tmp_path / "images-idx3-ubyte").read_bytes() == header + rows.images.tobytes()
    assert sorted(os.listdir(tmp_path)) == ["images-idx3-ubyte", "labels-idx2-ubyte"]


def test_images_of_another_size_say_so_in_their_header(tmp_path: Path, tiny: Generator) -> None:
    drawing = drawing_of(tiny, 5, height=20, is_inverted=True)
    write(tmp_path, drawing)
    (batch,) = drawing.batches(range(5))
    header = bytes([0, 0, 8, 3]) + b"".join(size.to_bytes(4, "big") for size in (5, 20, 20))
    assert (tmp_path / "images-idx3-ubyte").read_bytes() == header + batch.images.tobytes()


def test_labels_of_other_images_do_not_stay_beside_new_ones(tmp_path: Path, tiny: Generator, conditional: Generator) -> None:
    for drawing, labels in (
        (drawing_of(conditional, 4), ["labels-idx1-ubyte"]),
        (drawing_of(conditional, 4, text="12"), ["labels-idx2-ubyte"]),
        (drawing_of(tiny, 4), []),
    ):
        write(tmp_path, drawing, Existing.overwrite)
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
    told = "4,294,967,296 images do not fit into an IDX file: expected at most 4,294,967,295; use --shard"
    assert str(caught.value) == told
    assert not folder.exists()


def test_labels_that_do_not_fit_into_a_byte_are_whole_numbers_of_four(tmp_path: Path, conditional: Generator) -> None:
    generator = with_classes(conditional, tmp_path / "model", labels=(*range(9), 256))
    write(tmp_path / "drawn", drawing_of(generator, 3, names=("0", "9", "8")))
    header = bytes([0, 0, 12, 1]) + (3).to_bytes(4, "big")
    assert (tmp_path / "drawn" / "labels-idx1-int").read_bytes() == header + bytes([0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 8])
    assert sorted(os.listdir(tmp_path / "drawn")) == ["images-idx3-ubyte", "labels-idx1-int"]


def test_labels_are_the_numbers_that_the_data_gave_the_classes(tmp_path: Path, conditional: Generator) -> None:
    generator = with_classes(conditional, tmp_path / "model", labels=(3, 1, 4, 5, 9, 2, 6, 8, 7, 255))
    write(tmp_path / "drawn", drawing_of(generator, 3, names=("0", "9", "2")))
    assert (tmp_path / "drawn" / "labels-idx1-ubyte").read_bytes()[8:] == bytes([3, 255, 4])
