"""Digits in files of any origin: they come back as they were written, and wrong ones are named."""

import gzip
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from drawings import drain, drawing_of
from numpy.typing import NDArray
from PIL import Image

from pocketgan import Generator
from pocketgan.output.archives import npz_file
from pocketgan.output.png import PngFiles
from pocketgan.output.sheet import write_grid
from pocketgan.request import Existing
from pocketgan_trainer.errors import DataError
from pocketgan_trainer.evaluate.sources import read_idx_images, read_npz, read_png_folder


def write_png(file: Path, image: NDArray[np.uint8]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(file)


def write_idx(file: Path, values: NDArray[np.uint8]) -> None:
    header = bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    contents = header + values.tobytes()
    file.write_bytes(gzip.compress(contents) if file.suffix == ".gz" else contents)


@pytest.mark.parametrize("sheet", ["grid.png", "grid_00000093.png", "grid_123456789012.png"])
def test_a_folder_of_gan_gen_comes_back_pixel_for_pixel_without_its_sheet(tmp_path: Path, sheet: str) -> None:
    model = Generator.load("mlp")
    drain(PngFiles(tmp_path, drawing_of(model, 70, seed=3)).write(model.stream(70, seed=3), Existing.refuse))
    images = model.generate(70, seed=3)
    write_grid(tmp_path / sheet, images, 10)
    files = read_png_folder(tmp_path)
    np.testing.assert_array_equal(files.images, images)
    assert files.images.dtype == np.uint8
    assert files.labels is None


@pytest.mark.parametrize(("has_class_folders", "labels"), [(False, [2, 7, 2, 7, 2]), (True, [2, 2, 2, 7, 7])])
def test_a_folder_of_gan_gen_comes_back_with_its_classes(tmp_path: Path, has_class_folders: bool, labels: list[int]) -> None:
    drawing = drawing_of(Generator.load("pocket"), 5, start=2, names=("2", "7"))
    batches = list(drawing.batches(drawing.selection.indices))
    drain(PngFiles(tmp_path, drawing, has_class_folders).write(batches, Existing.refuse))
    write_grid(tmp_path / "grid.png", batches[0].images, 5)
    files = read_png_folder(tmp_path)
    assert files.labels is not None
    assert files.labels.tolist() == labels
    np.testing.assert_array_equal(files.images, batches[0].images[[0, 2, 4, 1, 3] if has_class_folders else slice(None)])


def test_classes_come_from_the_names_that_gan_gen_gives(tmp_path: Path, images: NDArray[np.uint8]) -> None:
    for index, digit in ((0, 7), (1, 0), (12, 3)):
        write_png(tmp_path / f"{index:08d}_{digit}.png", images[index])
    files = read_png_folder(tmp_path)
    assert files.labels is not None
    assert files.labels.tolist() == [7, 0, 3]
    np.testing.assert_array_equal(files.images, images[[0, 1, 12]])


def test_classes_come_from_sub_folders(tmp_path: Path, images: NDArray[np.uint8]) -> None:
    for name, row in (("4/x.png", 0), ("4/y.PNG", 1), ("0/a_9.png", 2), ("9/z.png", 3)):
        write_png(tmp_path / name, images[row])
    (tmp_path / "notes").mkdir()
    files = read_png_folder(tmp_path)
    assert files.labels is not None
    assert files.labels.tolist() == [0, 4, 4, 9]
    np.testing.assert_array_equal(files.images, images[[2, 0, 1, 3]])


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (lambda image: Image.fromarray(np.stack([image] * 3, axis=-1)), "28x28 in mode RGB: expected a grey image of 8 bits"),
        (lambda image: Image.fromarray(image).convert("P"), "28x28 in mode P: expected a grey image"),
        (lambda image: Image.fromarray(image.astype(np.uint16)), "28x28 in mode I;16: expected a grey image"),
        (lambda image: Image.fromarray(image[:20]), "28x20 in mode L: expected .* 28x28"),
    ],
    ids=["colour", "palette", "16 bits", "size"],
)
def test_an_image_of_another_kind_is_named(
    tmp_path: Path, images: NDArray[np.uint8], write: Callable[[NDArray[np.uint8]], Image.Image], told: str
) -> None:
    write_png(tmp_path / "a.png", images[0])
    write(images[1]).save(tmp_path / "b.png")
    with pytest.raises(DataError, match=rf"b\.png is {told}"):
        read_png_folder(tmp_path)


def test_a_file_that_is_no_png_file_or_breaks_off_is_named(tmp_path: Path, images: NDArray[np.uint8]) -> None:
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(DataError, match=r"a\.png cannot be read as a PNG file"):
        read_png_folder(tmp_path)
    write_png(tmp_path / "a.png", images[0])
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:100])
    with pytest.raises(DataError, match=r"a\.png cannot be read as a PNG file"):
        read_png_folder(tmp_path)


def test_a_folder_without_images_or_with_classes_for_some_is_refused(tmp_path: Path, images: NDArray[np.uint8]) -> None:
    (tmp_path / "digit.jpg").write_bytes(b"")
    with pytest.raises(
        DataError, match=rf"{re.escape(str(tmp_path))} holds no images: expected PNG files, in it or in sub-folders"
    ):
        read_png_folder(tmp_path)
    write_png(tmp_path / "00000000_3.png", images[0])
    write_png(tmp_path / "00000001.png", images[1])
    with pytest.raises(DataError, match=r"00000001\.png has no class in its name, unlike others there"):
        read_png_folder(tmp_path)


def test_an_npz_file_of_gan_gen_comes_back(tmp_path: Path) -> None:
    model = Generator.load("mlp")
    drain(npz_file(tmp_path, drawing_of(model, 70)).write(model.stream(70), Existing.refuse))
    files = read_npz(tmp_path / "digits.npz")
    np.testing.assert_array_equal(files.images, model.generate(70))
    assert files.labels is None


def test_labels_in_an_npz_file_come_back(tmp_path: Path, images: NDArray[np.uint8]) -> None:
    np.savez(tmp_path / "a.npz", images=images[:3], labels=np.array([3, 1, 9], dtype=np.uint8), index=np.arange(3))
    files = read_npz(tmp_path / "a.npz")
    assert files.labels is not None
    assert files.labels.tolist() == [3, 1, 9]
    assert files.labels.dtype == np.int64


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"digits": np.zeros((2, 28, 28), np.uint8)}, "holds digits: expected arrays `images`"),
        ({"images": np.zeros((2, 28, 28), np.float32)}, r"holds images float32 \[2, 28, 28\]: expected grey uint8 \[N, 28, 28\]"),
        ({"images": np.zeros((2, 28, 112), np.uint8)}, r"holds images uint8 \[2, 28, 112\]"),
        ({"images": np.zeros((2, 28, 28, 3), np.uint8)}, r"holds images uint8 \[2, 28, 28, 3\]"),
        ({"images": np.zeros((0, 28, 28), np.uint8)}, r"holds images uint8 \[0, 28, 28\]"),
        ({"images": np.array(["a"], dtype=object)}, "holds Python objects in `images`"),
        (
            {"images": np.zeros((2, 28, 28), np.uint8), "labels": np.zeros(3, int)},
            r"has labels int64 \[3\]: expected one .* of 2",
        ),
        ({"images": np.zeros((2, 28, 28), np.uint8), "labels": np.zeros(2)}, r"has labels float64 \[2\]"),
        (
            {"images": np.zeros((2, 28, 28), np.uint8), "labels": np.array([0, 10])},
            "has images of the class 10: expected digits, 0 to 9",
        ),
        (
            {"images": np.zeros((2, 28, 28), np.uint8), "labels": np.array([-1, 1])},
            "has labels from -1 on: expected whole numbers from 0 on",
        ),
    ],
)
def test_an_npz_file_with_anything_else_is_refused(tmp_path: Path, arrays: dict[str, NDArray[np.generic]], told: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=rf"a\.npz {told}"):
        read_npz(tmp_path / "a.npz")


@pytest.mark.parametrize("contents", [b"", b"no zip file", b"PK\x03\x04 broken"])
def test_an_npz_file_that_is_none_is_named(tmp_path: Path, contents: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(contents)
    with pytest.raises(DataError, match=r"a\.npz (cannot be read as an NPZ file|holds no array)"):
        read_npz(tmp_path / "a.npz")


def test_a_single_array_under_the_name_of_an_npz_file_is_refused(tmp_path: Path, images: NDArray[np.uint8]) -> None:
    with (tmp_path / "a.npz").open("wb") as file:
        np.save(file, images[:2])
    with pytest.raises(DataError, match=r"a\.npz"):
        read_npz(tmp_path / "a.npz")


@pytest.mark.parametrize("labels_name", ["my-labels-idx1-ubyte", "my-labels-idx1-ubyte.gz", None])
@pytest.mark.parametrize("images_name", ["my-images-idx3-ubyte", "my-images-idx3-ubyte.gz"])
def test_idx_images_come_with_the_labels_beside_them(
    tmp_path: Path, images: NDArray[np.uint8], images_name: str, labels_name: str | None
) -> None:
    write_idx(tmp_path / images_name, images[:3])
    if labels_name:
        write_idx(tmp_path / labels_name, np.array([5, 0, 4], dtype=np.uint8))
    files = read_idx_images(tmp_path / images_name)
    np.testing.assert_array_equal(files.images, images[:3])
    assert (None if files.labels is None else files.labels.tolist()) == (None if labels_name is None else [5, 0, 4])


def test_idx_files_that_do_not_fit_are_refused(tmp_path: Path, images: NDArray[np.uint8]) -> None:
    write_idx(tmp_path / "idx3", images[:3, :14])
    with pytest.raises(DataError, match=r"idx3 holds images uint8 \[3, 14, 28\]"):
        read_idx_images(tmp_path / "idx3")
    write_idx(tmp_path / "images-idx3", images[:3])
    write_idx(tmp_path / "labels-idx1", np.zeros(2, dtype=np.uint8))
    with pytest.raises(DataError, match=r"labels-idx1 holds 2 labels for the 3 images of images-idx3"):
        read_idx_images(tmp_path / "images-idx3")


def test_what_macos_leaves_beside_images_is_passed_over(tmp_path: Path, images: NDArray[np.uint8]) -> None:
    write_png(tmp_path / "a.png", images[0])
    (tmp_path / "._a.png").write_bytes(b"no picture")
    assert len(read_png_folder(tmp_path).images) == 1


def test_a_named_pipe_says_what_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png cannot be read as a PNG file \(it is a named pipe, not a file\)"):
        read_png_folder(tmp_path)


def test_images_of_classes_that_are_no_digits_are_refused(tmp_path: Path, images: NDArray[np.uint8]) -> None:
    np.savez(tmp_path / "a.npz", images=images[:3], labels=np.array(["3", "7", "boot"]))
    with pytest.raises(DataError, match="has images of the class boot: expected digits, 0 to 9"):
        read_npz(tmp_path / "a.npz")
