"""What gan-gen writes, read by other libraries."""

import gc
import gzip
import importlib
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import idx2numpy
import numpy as np
import pytest
import webdataset
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from pocketgan import Generator
from pocketgan.gen_cli import app
from pocketgan.output import formats

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
    monkeypatch.setattr(formats, "IMAGES_IN_SHARD", 30)
    draw(tmp_path, "webdataset")
    samples = read_by_webdataset(f"{tmp_path}/digits-{{000000..000003}}.tar", "l8")
    assert [sample["__key__"] for sample in samples] == [f"{index:08d}" for index in range(COUNT)]
    np.testing.assert_array_equal([sample["png"] for sample in samples], images)
    assert [sample["cls"] for sample in samples] == [index % 10 for index in range(COUNT)]


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


def test_parquet_files_are_read_by_hugging_face_datasets(
    tmp_path: Path, images: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = importlib.import_module("datasets")  # here, since it takes long
    draw(tmp_path / "drawn", "parquet")
    loaded = datasets.load_dataset(str(tmp_path / "drawn"), cache_dir=str(tmp_path / "cache"), split="train")
    assert loaded.features["label"].names == list("0123456789")
    assert loaded["label"] == [index % 10 for index in range(COUNT)]
    np.testing.assert_array_equal([np.asarray(image) for image in loaded["image"]], images)


LOADING = """
import numpy as np
import torch
from digits_of_the_page import Digits
from torch.utils.data import DataLoader

from pocketgan import Generator

if __name__ == "__main__":
    count = 150
    loader = DataLoader(Digits(count, seed=3), batch_size=40, num_workers=2, multiprocessing_context="spawn")
    images, labels = (torch.cat(part) for part in zip(*loader))
    # Batches of the two workers come in turn, each worker's images in order: the labels say nothing, so compare the sets.
    expected = Generator.load("pocket").generate(count, seed=3)
    assert images.shape == (count, 1, 28, 28) and images.dtype == torch.float32
    found = {(image * 255).round().numpy().astype(np.uint8).tobytes(): label for image, label in zip(images, labels.tolist())}
    assert found == {image.tobytes(): index % 10 for index, image in enumerate(expected)}
    print("all", len(found))
"""


LOADING_WITH_DATASETS = """
import numpy as np
from digits_of_the_page import Dataset, digits
from torch.utils.data import DataLoader

from pocketgan import Generator

if __name__ == "__main__":
    count = 150
    dataset = Dataset.from_generator(digits, gen_kwargs={"count": count, "seed": 1}, cache_dir="cache")
    loader = DataLoader(dataset.with_format("torch"), batch_size=40, num_workers=2, multiprocessing_context="spawn")
    batches = list(loader)
    images = np.concatenate([batch["image"].numpy().reshape(-1, 28, 28) for batch in batches])
    np.testing.assert_array_equal(images, Generator.load("pocket").generate(count, seed=1))
    assert np.concatenate([batch["label"] for batch in batches]).tolist() == [index % 10 for index in range(count)]
    print("all", len(images))
"""


@pytest.mark.parametrize(("number", "loading"), [(0, LOADING), (1, LOADING_WITH_DATASETS)])
def test_the_pages_data_sets_work_in_spawned_workers(tmp_path: Path, number: int, loading: str) -> None:
    page = (Path(__file__).parents[1] / "docs" / "files.md").read_text(encoding="utf-8")
    recipe = re.findall(r"```py\n(.*?)```", page, re.DOTALL)[number]
    (tmp_path / "digits_of_the_page.py").write_text(recipe, encoding="utf-8")
    (tmp_path / "loading.py").write_text(loading, encoding="utf-8")
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "loading.py"], cwd=tmp_path, env=offline, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout == "all 150\n", done.stderr
