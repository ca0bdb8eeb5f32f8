"""What gan-gen writes, read by libraries that others wrote."""

import csv
import gc
import gzip
import io
import json
import warnings
from pathlib import Path
from typing import Any

import idx2numpy
import numpy as np
import pytest
import webdataset
from numpy.typing import NDArray
from PIL import Image
from pyarrow import parquet
from typer.testing import CliRunner

from pocketgan import Generator
from pocketgan.gen_cli import app
from pocketgan.output import shards

COUNT = 100


def draw(folder: Path, file_format: str, *options: str) -> None:
    """Draw digits with gan-gen."""
    arguments = ["--model", "pocket", "--count", str(COUNT), "--seed", "5", "--format", file_format, "--out", str(folder)]
    result = CliRunner().invoke(app, [*arguments, *options])
    assert result.exit_code == 0, result.output


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    """The digits that are in the files."""
    return Generator.load("pocket").generate(COUNT, seed=5)


@pytest.mark.parametrize("file_format", ["idx", "idx.gz"])
def test_idx_files_are_read_by_idx2numpy(tmp_path: Path, images: NDArray[np.uint8], file_format: str) -> None:
    draw(tmp_path, file_format)
    open_file = gzip.open if file_format == "idx.gz" else open
    arrays = []
    for name in ("images-idx3-ubyte", "labels-idx1-ubyte"):
        with open_file(tmp_path / (name + file_format.removeprefix("idx")), "rb") as file:
            arrays.append(idx2numpy.convert_from_file(file))
    np.testing.assert_array_equal(arrays[0], images)
    np.testing.assert_array_equal(arrays[1], np.arange(COUNT) % 10)


def read_by_webdataset(shards: str, decoder: str) -> list[dict[str, Any]]:
    """Return the samples of tar files, which the library leaves to the garbage collector to close."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"unclosed file .*/digits-\d+\.tar'", ResourceWarning)
        samples: list[dict[str, Any]] = list(webdataset.WebDataset(shards, shardshuffle=False).decode(decoder))
        gc.collect()
    return samples


def test_tar_files_are_read_by_webdataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: NDArray[np.uint8]) -> None:
    monkeypatch.setattr(shards, "IMAGES_IN_SHARD", 30)
    draw(tmp_path, "webdataset")
    samples = read_by_webdataset(f"{tmp_path}/digits-{{000000..000003}}.tar", "l8")
    assert [sample["__key__"] for sample in samples] == [f"{index:08d}" for index in range(COUNT)]
    np.testing.assert_array_equal([sample["png"] for sample in samples], images)
    assert [sample["cls"] for sample in samples] == [index % 10 for index in range(COUNT)]


def test_tar_files_of_rows_of_text_are_read_by_webdataset(tmp_path: Path) -> None:
    draw(tmp_path, "webdataset", "--text", "31")
    samples = read_by_webdataset(f"{tmp_path}/digits-000000.tar", "pill")
    assert [(sample["__key__"], sample["txt"]) for sample in samples] == [(f"{index:08d}", "31") for index in range(COUNT)]
    digits = Generator.load("pocket").generate(2 * COUNT, [3, 1], seed=5)
    for sample, left, right in zip(samples, digits[::2], digits[1::2], strict=True):
        np.testing.assert_array_equal(np.asarray(sample["png"]), np.hstack([left, right]))


def test_class_folders_are_read_as_torchvision_reads_an_image_folder(tmp_path: Path, images: NDArray[np.uint8]) -> None:
    draw(tmp_path, "imagefolder")
    # torchvision.datasets.ImageFolder: the folders, sorted, are the classes 0 and up, and their files follow in sorted order.
    classes = sorted(path.name for path in tmp_path.iterdir() if path.is_dir())
    samples = [
        (file, label) for label, name in enumerate(classes) for file in sorted((tmp_path / name).rglob("*")) if file.is_file()
    ]
    assert classes == list("0123456789")
    order = [index for label in range(10) for index in range(label, COUNT, 10)]
    assert [label for _, label in samples] == [index % 10 for index in order]
    for (file, _), index in zip(samples, order, strict=True):
        with Image.open(file) as image:
            np.testing.assert_array_equal(np.asarray(image.convert("RGB")), np.stack([images[index]] * 3, axis=-1))


def test_parquet_files_are_read_as_hugging_face_datasets_reads_them(tmp_path: Path, images: NDArray[np.uint8]) -> None:
    draw(tmp_path, "parquet")
    table = parquet.read_table(tmp_path / "digits-000000.parquet")
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    # datasets.Image.decode_example takes the bytes of a struct, and datasets.ClassLabel.int2str the name at a label's place.
    assert {name: feature["_type"] for name, feature in features.items()} == {
        "image": "Image",
        "index": "Value",
        "label": "ClassLabel",
    }
    for index, row in enumerate(table.to_pylist()):
        assert (row["index"], features["label"]["names"][row["label"]]) == (index, str(index % 10))
        with Image.open(io.BytesIO(row["image"]["bytes"])) as image:
            np.testing.assert_array_equal(np.asarray(image), images[index])


def test_parquet_files_are_read_by_hugging_face_datasets(tmp_path: Path, images: NDArray[np.uint8]) -> None:
    datasets = pytest.importorskip("datasets", reason="Hugging Face datasets is not installed")
    draw(tmp_path / "drawn", "parquet")
    loaded = datasets.load_dataset(str(tmp_path / "drawn"), cache_dir=str(tmp_path / "cache"), split="train")
    assert loaded.features["label"].names == list("0123456789")
    assert loaded["label"] == [index % 10 for index in range(COUNT)]
    np.testing.assert_array_equal([np.asarray(image) for image in loaded["image"]], images)


@pytest.mark.parametrize(
    ("file_format", "options", "labels"), [("png", ["--digits", "7,2"], "72"), ("imagefolder", [], "0123456789")]
)
def test_labels_are_read_by_the_csv_module(tmp_path: Path, file_format: str, options: list[str], labels: str) -> None:
    draw(tmp_path, file_format, *options)
    with (tmp_path / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert [row["index"] for row in rows] == [str(index) for index in range(COUNT)]
    for index, row in enumerate(rows):
        assert row.keys() == {"file_name", "index", "label"}
        assert row["label"] == labels[index % len(labels)]
        with Image.open(tmp_path / row["file_name"]) as image:
            about = json.loads(image.info["pocketgan"])
        assert (about["index"], about["class"]) == (index, row["label"])
    assert {row["file_name"] for row in rows} == {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png")}
