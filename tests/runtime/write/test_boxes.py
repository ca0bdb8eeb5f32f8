"""Boxes and masks: exactly where the ink is, and read back by pycocotools, by the rule of YOLO, and as CSV."""

import csv
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pocketgan.address import image_range
from pocketgan.errors import OutputError, RequestError
from pocketgan.generator import Batch, Generator
from pocketgan.write.boxes import (
    check_masks,
    check_yolo,
    run_lengths,
    write_coco,
    write_csv,
    write_masks,
    write_yolo,
    write_yolo_data,
)
from pocketgan.write.layout import INK_LEVEL, Glyph, Style
from pocketgan.write.paper import Paper
from pocketgan.write.patterns import parse_pattern
from pocketgan.write.texts import checked_pattern
from pocketgan.write.writing import Writing, WritingRequest


def request(style: Style) -> WritingRequest:
    """Return a request for 12 images from index 3."""
    texts = checked_pattern(parse_pattern("[0-9]{1,4}"), 6)
    return WritingRequest(image_range(6, 3, 12), texts, style, Paper(), 179, {})


@pytest.fixture(scope="module")
def writing() -> Writing:
    """Images of two numbers whose digits do not touch, white on black."""
    return Writing(Generator.load("nano"), request(Style(24, 8, 100, (280, 70), 2)), 1)


@pytest.fixture(scope="module")
def pixels(writing: Writing) -> dict[int, NDArray[np.uint8]]:
    """The images by index."""
    return {index: image for batch in writing.batches(writing.indices) for index, image in enumerate(batch.images, batch.start)}


def written_by(write: Callable[[Path, Iterable[Batch], Writing], Iterator[Batch]], target: Path, writing: Writing) -> None:
    """Write the labels of all images; they come out as they went in."""
    batches = list(writing.batches(writing.indices))
    passed = list(write(target, batches, writing))
    assert all(one is other for one, other in zip(passed, batches, strict=True))


def assert_is_tight(image: NDArray[np.uint8], left: int, top: int, width: int, height: int) -> None:
    """The box has ink at each of its sides, and none just outside them."""
    is_ink = np.pad(image >= INK_LEVEL, 1)
    rows, columns = slice(top + 1, top + height + 1), slice(left + 1, left + width + 1)
    for inside, outside in (
        (is_ink[top + 1, columns], is_ink[top, columns]),
        (is_ink[top + height, columns], is_ink[top + height + 1, columns]),
        (is_ink[rows, left + 1], is_ink[rows, left]),
        (is_ink[rows, left + width], is_ink[rows, left + width + 1]),
    ):
        assert inside.any()
        assert not outside.any()


def test_csv_has_a_line_for_each_digit_whose_box_is_tight(
    writing: Writing, pixels: dict[int, NDArray[np.uint8]], tmp_path: Path
) -> None:
    written_by(write_csv, tmp_path / "boxes.csv", writing)
    with (tmp_path / "boxes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    said: dict[int, list[str]] = {index: ["", ""] for index in writing.indices}
    for row in rows:
        index = int(row["index"])
        assert row["file_name"] == f"{index:08d}.png"
        said[index][int(row["number"])] += row["class"]
        assert_is_tight(pixels[index], *(int(row[name]) for name in ("x", "y", "width", "height")))
    assert {index: " ".join(numbers) for index, numbers in said.items()} == {
        index: writing.text(index) for index in writing.indices
    }


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools with NumPy 2
@pytest.mark.skipif(find_spec("pycocotools") is None, reason="pycocotools is not installed")
def test_pycocotools_reads_boxes_and_masks(
    writing: Writing, pixels: dict[int, NDArray[np.uint8]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pycocotools.coco import COCO

    written_by(write_coco, tmp_path / "annotations.json", writing)
    coco = COCO(str(tmp_path / "annotations.json"))
    assert sorted(coco.getImgIds()) == list(writing.indices)
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == [str(digit) for digit in range(10)]
    for index in writing.indices:
        (about,) = coco.loadImgs([index])
        assert (about["file_name"], about["width"], about["height"]) == (f"{index:08d}.png", 280, 70)
        covered = np.zeros((70, 280), bool)
        digits = coco.loadAnns(coco.getAnnIds(imgIds=[index]))
        assert "".join(str(one["category_id"]) for one in digits) == writing.text(index).replace(" ", "")
        for one in digits:
            mask = coco.annToMask(one).astype(bool)
            assert mask.sum() == one["area"]
            assert_is_tight(255 * mask.astype(np.uint8), *one["bbox"])
            covered |= mask
        np.testing.assert_array_equal(covered, pixels[index] >= INK_LEVEL)


def test_yolo_has_shares_of_the_image_beside_it(writing: Writing, pixels: dict[int, NDArray[np.uint8]], tmp_path: Path) -> None:
    written_by(write_yolo, tmp_path / "train.txt", writing)
    write_yolo_data(tmp_path / "data.yaml", writing)
    for index in writing.indices:
        # Ultralytics looks for the labels of an image that is in no folder `images` beside it.
        lines = (tmp_path / f"{index:08d}.png").with_suffix(".txt").read_text().splitlines()
        assert "".join(line.split()[0] for line in lines) == writing.text(index).replace(" ", "")
        for line in lines:
            x, y, width, height = (float(number) for number in line.split()[1:])
            box = ((x - width / 2) * 280, (y - height / 2) * 70, width * 280, height * 70)
            assert np.abs(np.rint(box) - box).max() < 0.001
            assert_is_tight(pixels[index], *(round(number) for number in box))
    assert (tmp_path / "data.yaml").read_text().splitlines()[:4] == ["train: train.txt", "val: train.txt", "names:", '  0: "0"']
    images = (tmp_path / "train.txt").read_text().splitlines()
    assert images == [f"./{index:08d}.png" for index in writing.indices]


def test_yolo_is_refused_where_its_labels_would_not_be_found(tmp_path: Path) -> None:
    check_yolo(tmp_path / "my images" / "train")
    for folder in ("images", "data/images/train"):
        with pytest.raises(OutputError, match=r"^below a folder called images, Ultralytics looks for the labels in another one"):
            check_yolo(tmp_path / folder)


def test_masks_number_the_digits_of_an_image(writing: Writing, pixels: dict[int, NDArray[np.uint8]], tmp_path: Path) -> None:
    written_by(write_masks, tmp_path / "masks", writing)
    assert len(list((tmp_path / "masks").iterdir())) == 12
    for index in writing.indices:
        mask = np.asarray(Image.open(tmp_path / "masks" / f"{index:08d}.png"))
        np.testing.assert_array_equal(mask > 0, pixels[index] >= INK_LEVEL)
        count = len(writing.text(index).replace(" ", ""))
        assert set(np.unique(mask)) == set(range(count + 1))


def test_masks_of_too_many_digits_are_refused() -> None:
    crowded = Writing(Generator.load("nano"), request(Style(14, 2, 0, (2000, 1000), 64)), 1)
    with pytest.raises(RequestError, match=r"^masks tell 255 digits of an image apart: expected fewer --numbers$"):
        check_masks(crowded)


def test_run_lengths_begin_with_paper_and_go_down_the_columns() -> None:
    ink = np.array([[255, 0, 255], [255, 255, 64]], np.uint8)
    assert run_lengths(Glyph(7, 0, 0, ink), 2, 3) == [0, 2, 1, 3]
    assert run_lengths(Glyph(7, 1, 1, ink), 4, 5) == [5, 2, 3, 1, 2, 2, 5]
    mask = np.zeros((4, 5), bool)
    mask[1:3, 1:4] = ink >= INK_LEVEL
    values = np.repeat(np.arange(7) % 2 == 1, run_lengths(Glyph(7, 1, 1, ink), 4, 5))
    np.testing.assert_array_equal(values.reshape(5, 4).T, mask)
