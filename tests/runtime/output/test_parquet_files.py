"""Parquet files: the columns and features that Hugging Face datasets reads, in row groups of bounded size."""

import io
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from drawings import contents, drain, drawing_of, made, with_classes
from numpy.typing import NDArray
from PIL import Image

from pocketgan.drawing import Drawing
from pocketgan.errors import OutputError
from pocketgan.generator import Generator
from pocketgan.output import parquet
from pocketgan.output.parquet import parquet_shards
from pocketgan.output.png import PngFiles
from pocketgan.request import Existing


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, tiny: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(OutputError, match=r"^--format parquet needs pyarrow \(.*\): pip install pyarrow$"):
        parquet_shards(tmp_path, drawing_of(tiny), 10_000)


@pytest.fixture
def pq() -> ModuleType:
    module: ModuleType = pytest.importorskip("pyarrow.parquet")
    return module


def written(folder: Path, drawing: Drawing, existing: Existing = Existing.refuse) -> dict[str, bytes]:
    drain(parquet_shards(made(folder), drawing, 10_000).write(drawing.batches(drawing.selection.indices), existing))
    return contents(folder)


def read(pq: ModuleType, path: Path) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    """Return the columns of a file and their features."""
    table = pq.read_table(path)
    return table.to_pydict(), json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]


def pixels(png: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image)


IMAGE, NUMBER, STRING = {"_type": "Image"}, {"dtype": "int64", "_type": "Value"}, {"dtype": "string", "_type": "Value"}


def test_images_are_png_files_with_their_index_and_label(tmp_path: Path, conditional: Generator, pq: ModuleType) -> None:
    drawing = drawing_of(conditional, 70, start=5, seed=3, names=("3", "9", "9"))
    assert written(tmp_path / "parquet", drawing).keys() == {"digits-000000.parquet"}
    columns, features = read(pq, tmp_path / "parquet" / "digits-000000.parquet")
    schema = pq.read_schema(tmp_path / "parquet" / "digits-000000.parquet")
    assert {field.name: str(field.type) for field in schema} == {
        "image": "struct<bytes: binary, path: string>",
        "index": "int64",
        "label": "int64",
    }
    assert features == {"image": IMAGE, "index": NUMBER, "label": {"names": list("0123456789"), "_type": "ClassLabel"}}
    assert columns["index"] == list(range(5, 75))
    assert columns["label"] == [(3, 9, 9)[index % 3] for index in range(5, 75)]
    drain(PngFiles(made(tmp_path / "png"), drawing).write(drawing.batches(drawing.selection.indices), Existing.refuse))
    assert {row["path"]: row["bytes"] for row in columns["image"]} == contents(tmp_path / "png")
    np.testing.assert_array_equal(pixels(columns["image"][69]["bytes"]), conditional.generate(1, 9, start=74, seed=3)[0])


def test_a_model_without_classes_has_images_and_indices_alone(tmp_path: Path, tiny: Generator, pq: ModuleType) -> None:
    written(tmp_path, drawing_of(tiny, 3))
    columns, features = read(pq, tmp_path / "digits-000000.parquet")
    assert list(columns) == ["image", "index"]
    assert features == {"image": IMAGE, "index": NUMBER}
    assert [row["path"] for row in columns["image"]] == ["00000000.png", "00000001.png", "00000002.png"]


def test_rows_of_text_have_their_text(tmp_path: Path, conditional: Generator, pq: ModuleType) -> None:
    written(tmp_path, drawing_of(conditional, 3, text="31"))
    columns, features = read(pq, tmp_path / "digits-000000.parquet")
    assert features == {"image": IMAGE, "index": NUMBER, "text": STRING}
    assert columns["text"] == ["31"] * 3
    assert pixels(columns["image"][0]["bytes"]).shape == (8, 16)


def test_names_of_classes_are_in_the_order_of_their_labels(tmp_path: Path, conditional: Generator, pq: ModuleType) -> None:
    generator = with_classes(conditional, tmp_path, tuple("abcdefghij"), labels=(1, 0, 2, 3, 4, 5, 6, 7, 9, 8))
    written(tmp_path / "digits", drawing_of(generator, 2))
    columns, features = read(pq, tmp_path / "digits" / "digits-000000.parquet")
    names = features["label"]["names"]
    assert names == list("bacdefghji")
    assert [names[label] for label in columns["label"]] == ["a", "b"]


def test_labels_that_do_not_count_from_zero_have_a_column_of_names(
    tmp_path: Path, conditional: Generator, pq: ModuleType
) -> None:
    generator = with_classes(conditional, tmp_path, tuple("abcdefghij"), labels=(*range(9), 300))
    written(tmp_path / "digits", drawing_of(generator, 10))
    columns, features = read(pq, tmp_path / "digits" / "digits-000000.parquet")
    assert features == {"image": IMAGE, "index": NUMBER, "label": NUMBER, "class": STRING}
    assert columns["label"] == [*range(9), 300]
    assert columns["class"] == list("abcdefghij")


@pytest.mark.parametrize(("limit", "largest"), [("_ROW_GROUP_IMAGES", 30), ("_ROW_GROUP_BYTES", 5000)])
def test_row_groups_are_bounded_in_images_and_bytes(
    tmp_path: Path, tiny: Generator, pq: ModuleType, monkeypatch: pytest.MonkeyPatch, limit: str, largest: int
) -> None:
    monkeypatch.setattr(parquet, limit, largest)
    written(tmp_path, drawing_of(tiny, 100))
    file = pq.ParquetFile(tmp_path / "digits-000000.parquet")
    groups = [file.read_row_group(number)["image"].to_pylist() for number in range(file.num_row_groups)]
    sizes = [[1 if limit == "_ROW_GROUP_IMAGES" else len(image["bytes"]) for image in group] for group in groups]
    assert len(sizes) > 3
    # Each is full with its last image, and not before.
    assert all(sum(group) >= largest > sum(group[:-1]) for group in sizes[:-1])
    assert file.read()["index"].to_pylist() == list(range(100))
