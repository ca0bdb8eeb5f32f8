"""Parquet files: tables of pictures as Hugging Face's datasets write them, folders of such, and what is refused by the footer."""

import io
import json
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from image_data import different_images, write_pictures
from numpy.typing import NDArray
from PIL import Image
from pyarrow import parquet

from pocketgan_trainer.data import parquet as parquet_source
from pocketgan_trainer.data import source
from pocketgan_trainer.data.images import load_training_images
from pocketgan_trainer.errors import DataError
from pocketgan_trainer.evaluate.sources import FixedSource, open_source

IMAGES = different_images(220)
LABELS = np.resize(np.array([3, 8, 3]), 220)
PICTURE = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])


def encoded(image: NDArray[np.uint8], file_format: str = "PNG") -> bytes:
    contents = io.BytesIO()
    Image.fromarray(image).save(contents, file_format)
    return contents.getvalue()


def write(
    path: Path,
    pictures: list[bytes] | None = None,
    labels: NDArray[Any] | pyarrow.Array | None = LABELS,
    names: object = None,
    **options: Any,  # noqa: ANN401
) -> None:
    """Write a table of pictures, by default IMAGES, as Hugging Face's datasets do."""
    pictures = [encoded(image) for image in IMAGES] if pictures is None else pictures
    columns = {"image": pyarrow.array([{"bytes": picture, "path": None} for picture in pictures], PICTURE)}
    if labels is not None:
        columns["label"] = pyarrow.array(labels)
    table = pyarrow.table(columns)
    if names is not None:
        features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    parquet.write_table(table, path, **options)


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_training_images(str(path))
    assert str(caught.value).isprintable()
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "Runes.parquet"


@pytest.mark.parametrize("options", [{}, {"row_group_size": 50}, {"use_dictionary": False}, {"compression": "none"}])
def test_pictures_and_numbers_come_back(path: Path, options: dict[str, Any]) -> None:
    write(path, **options)
    loaded = load_training_images(str(path))
    assert (loaded.name, loaded.classes, loaded.class_labels) == ("runes", ("3", "8"), None)
    np.testing.assert_array_equal(loaded.images, IMAGES)
    assert loaded.labels is not None
    assert loaded.labels.dtype == np.int64
    assert loaded.labels[:3].tolist() == [0, 1, 0]


def test_names_of_classes_come_with_their_numbers(path: Path) -> None:
    write(path, names=["zero", "one", "two", "ox", "four", "five", "six", "seven", "T-shirt / top"])
    loaded = load_training_images(str(path))
    assert (loaded.classes, loaded.class_labels) == (("ox", "Tshirttop"), (3, 8))
    assert "Class names were reduced to ASCII letters and digits: T-shirt / top became Tshirttop." in loaded.notes
    write(path, names=["zero", "one"])
    assert "has images of label 3, for which there is no name" in refusal(path)


def test_without_labels_there_are_no_classes_and_pictures_may_have_any_size_and_colour(path: Path) -> None:
    colours = different_images(200, 40, 120).reshape(200, 40, 40, 3)
    write(path, [encoded(image, "JPEG") for image in colours], labels=None)
    loaded = load_training_images(str(path))
    assert loaded.labels is None
    assert "All 200 images are 40x40 (colour); they were made grey images of 28x28." in loaded.notes


def test_of_a_folder_the_files_for_training_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "mnist"
    folder.mkdir()
    pictures = [encoded(image) for image in IMAGES]
    write(folder / "train-00000-of-00002.parquet", pictures[:200], LABELS[:200])
    write(folder / "train-00001-of-00002.parquet", pictures[200:], LABELS[200:])
    write(folder / "test-00000-of-00001.parquet", pictures[:5], LABELS[:5])
    loaded = load_training_images(str(folder))
    assert loaded.name == "my-mnist"
    np.testing.assert_array_equal(loaded.images, IMAGES)
    write(folder / "train-00001-of-00002.parquet", pictures[200:], labels=None)
    assert "train-00001-of-00002.parquet has other classes than the files before it" in refusal(folder)
    for file in folder.glob("train*"):
        file.unlink()
    assert "test-00000-of-00001.parquet is a file that may hold images: give its path" in refusal(folder)


def test_a_table_beside_pictures_is_passed_over(tmp_path: Path) -> None:
    write_pictures(tmp_path, IMAGES)
    write(tmp_path / "metadata.parquet")
    assert load_training_images(str(tmp_path)).labels is None


def test_gan_eval_reads_grey_png_files_of_digits_only(path: Path) -> None:
    write(path)
    scored = open_source(str(path), threads=1)
    assert isinstance(scored, FixedSource)
    assert scored.labels is not None
    np.testing.assert_array_equal(scored.labels, LABELS)
    np.testing.assert_array_equal(scored.images, IMAGES)
    write(path, [encoded(np.stack([image] * 3, axis=-1)) for image in IMAGES])
    with pytest.raises(DataError, match=r"row 0 is 28x28 \(colour\): expected a grey image of 8 bits, 28x28"):
        open_source(str(path), threads=1)
    write(path, [encoded(image, "JPEG") for image in IMAGES])
    with pytest.raises(
        DataError, match=r"row 0 cannot be read \(not a picture in a known format\): expected an undamaged PNG file"
    ):
        open_source(str(path), threads=1)


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (LABELS.astype(np.float32), "has labels float: expected a whole number for each image"),
        (pyarrow.array(["ox"] * 220), "has labels string: expected a whole number"),
        (pyarrow.array([[1]] * 220), "has labels list"),
        (pyarrow.array([None, *LABELS[1:].tolist()]), "has rows without a label"),
    ],
)
def test_labels_that_are_no_whole_numbers_are_refused(path: Path, labels: NDArray[Any] | pyarrow.Array, reason: str) -> None:
    write(path, labels=labels)
    assert reason in refusal(path)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"pixels": [b""] * 220}, "holds pixels: expected a column `image` as Hugging Face's datasets store pictures"),
        ({"image": [b""] * 220, "label": LABELS}, "holds image, label: expected a column `image` as"),
        ({"image": [{"bytes": [b""]}] * 220}, "holds image: expected a column `image` as"),
        (
            {"image": pyarrow.array([{"bytes": None, "path": "a.png"}] * 220, PICTURE)},
            "has rows without the bytes of a picture: expected a PNG file in each `image`",
        ),
    ],
)
def test_other_columns_are_refused(path: Path, columns: dict[str, object], reason: str) -> None:
    parquet.write_table(pyarrow.table(columns), path)
    assert reason in refusal(path)


def test_damaged_files_and_pictures_are_named(path: Path) -> None:
    write(path, [b"no picture", *[encoded(image) for image in IMAGES[1:]]])
    assert f"{path}, row 0 cannot be read (not a picture in a known format)" in refusal(path)
    write(path, names="zero")
    assert "cannot be read as a Parquet file (it names its classes in another way" in refusal(path)
    write(path)
    contents = path.read_bytes()
    for damaged in (b"", b"PAR1", contents[:-9], contents[:1000] + bytes(1000) + contents[2000:]):
        path.write_bytes(damaged)
        assert "cannot be read" in refusal(path)


@pytest.mark.parametrize("are_two_files", [False, True])
def test_rows_and_bytes_of_all_files_are_counted_by_their_footers_before_any_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, are_two_files: bool
) -> None:
    pictures = [encoded(image) for image in IMAGES]
    folder = tmp_path / "runes"
    folder.mkdir()
    if are_two_files:
        write(folder / "a.parquet", pictures[:110], LABELS[:110])
        write(folder / "b.parquet", pictures[110:], LABELS[110:])
    else:
        write(folder / "a.parquet", row_group_size=110)
        monkeypatch.setattr(parquet_source, "_add_pictures", None)
    for limit in ("MOST_IMAGES", "LARGEST_CONTENTS"):
        with monkeypatch.context() as patch:
            size = sum(map(len, pictures))
            patch.setattr(*((source, limit, 219) if limit == "MOST_IMAGES" else (parquet_source, limit, size - 1)))
            with pytest.raises(DataError, match=r"holds 220 images: expected at most 219|bytes of pictures: expected at most"):
                load_training_images(str(folder))


def test_bytes_are_counted_too_as_they_come(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path)
    monkeypatch.setattr(parquet_source, "_check_sizes", lambda *arguments: None)
    monkeypatch.setattr(parquet_source, "LARGEST_CONTENTS", 100_000)
    assert "bytes of pictures: expected at most 100,000" in refusal(path)


@pytest.mark.parametrize("compression", ["zstd", "gzip", "brotli"])
def test_compression_that_could_unpack_to_any_size_is_refused(path: Path, compression: str) -> None:
    write(path, compression=compression)
    assert f"is compressed by {compression.upper()}: expected Snappy or no compression" in refusal(path)


def test_a_picture_that_is_stored_once_for_many_rows_takes_memory_once(path: Path) -> None:
    picture = encoded(IMAGES[0]) + bytes(2**20)
    values = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array(np.zeros(500, np.int32)), pyarrow.array([picture], pyarrow.binary())
    )
    table = pyarrow.table(
        {"image": pyarrow.StructArray.from_arrays([values, pyarrow.nulls(500, pyarrow.string())], PICTURE.names)}
    )
    parquet.write_table(table, path, store_schema=False, dictionary_pagesize_limit=2**30)
    assert path.stat().st_size < 2**21
    before = pyarrow.default_memory_pool().max_memory()
    tracemalloc.start()
    message = refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert message.startswith(f"all 500 images of {path} are equal")
    assert peak + pyarrow.default_memory_pool().max_memory() - before < 2**26


def test_a_footer_of_many_megabytes_is_refused(path: Path) -> None:
    path.write_bytes(b"PAR1" + (2**24 + 1).to_bytes(4, "little") + b"PAR1")
    assert "its footer has 16,777,217 bytes" in refusal(path)


def test_without_pyarrow_the_error_names_the_extra(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert refusal(path).endswith("needs pyarrow, which is not installed: pip install pyarrow")
