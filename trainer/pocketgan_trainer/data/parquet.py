"""Read images and labels from Parquet files, as Hugging Face's datasets (such as the hub's MNIST) and gan-gen write them.

The column `image` is a struct whose `bytes` are a PNG file (https://huggingface.co/docs/datasets/image_dataset), `label` a whole
number; the names of the classes are in the metadata `huggingface`. Files are untrusted: the numbers of rows and bytes in the
footer are checked before any column is read, and equal pictures share their memory. Since pages can be larger than the footer
says, only compression with a small ratio is accepted.
"""

import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pocketgan.files import open_regular_file
from pocketgan_trainer.data.array_files import unreadable
from pocketgan_trainer.data.pictures import EmbeddedPicture, picture_source
from pocketgan_trainer.data.source import (
    LARGEST_CONTENTS,
    ImageSource,
    NamedClasses,
    WantedImages,
    data_set_name,
    name_classes,
    name_numbered_classes,
)
from pocketgan_trainer.errors import DataError

if TYPE_CHECKING:
    from pyarrow import RecordBatch
    from pyarrow.parquet import ParquetFile

_SUFFIX = ".parquet"
_NO_SHARD = "metadata.parquet"
"""A table that belongs to a folder of pictures (https://huggingface.co/docs/datasets/image_dataset)."""
_FOR_TESTING = re.compile(r"(^|[-_.])(test|val|valid|validation)[-_.]")
_IMAGES, _LABELS = "image.bytes", "label"
_COMPRESSIONS = ("UNCOMPRESSED", "SNAPPY")
"""Snappy unpacks to about 21 times its size at most."""
_LARGEST_FOOTER = 2**24
"""In bytes."""
_ROWS_AT_ONCE = 2**14


@dataclass(frozen=True, eq=False)
class _Table:
    """The rows of one file."""

    pictures: list[EmbeddedPicture]
    labels: NDArray[np.int64] | None
    """[N]; None if the file has none."""
    names: dict[int, str]
    """Of the classes, by label; empty if the file has none."""
    size: int
    """The bytes of all distinct pictures."""


def claims_parquet(path: Path) -> bool:
    """Return whether this is a Parquet file, by its name, or a folder that holds such files."""
    return bool(_files_in(path)) if os.path.isdir(path) else path.suffix.lower() == _SUFFIX


def read_parquet_source(path: Path, wanted: WantedImages) -> ImageSource:
    """Return the pictures of a Parquet file, or of all in a folder except those for testing, with their labels.

    Labels are whole numbers; the classes are named by the file's metadata, or else by these numbers. Raises DataError if pyarrow
    is not installed, if a file cannot be read, or if its contents are not as wanted.
    """
    tables: list[_Table] = []
    for file in _files_in(path) if os.path.isdir(path) else [path]:
        count, size = sum(len(table.pictures) for table in tables), sum(table.size for table in tables)
        table = _read_table(file, count, size, wanted)
        if tables and (table.names, table.labels is None) != (tables[0].names, tables[0].labels is None):
            raise DataError(f"{file} has other classes than the files before it: expected the same in all; give the path of one")
        tables.append(table)
    pictures = [picture for table in tables for picture in table.pictures]
    wanted.check_count(len(pictures), path)
    labels, names = [table.labels for table in tables if table.labels is not None], tables[0].names
    if not labels:
        classes = NamedClasses()
    elif names:
        classes = name_numbered_classes(np.concatenate(labels), names, path)
    else:
        classes = name_classes(np.concatenate(labels), path)
    real = path.absolute().resolve()
    return picture_source(data_set_name(real.name if os.path.isdir(path) else real.stem), pictures, classes, wanted)


def _files_in(folder: Path) -> list[Path]:
    """Return the Parquet files of a folder with `train` in their names, or else all that are not for testing."""
    names = sorted(name for name in os.listdir(folder) if name.lower().endswith(_SUFFIX) and not name.startswith("."))
    names = [name for name in names if name.lower() != _NO_SHARD and not _FOR_TESTING.search(name.lower())]
    return [folder / name for name in [name for name in names if "train" in name.lower()] or names]


def _read_table(path: Path, count_before: int, size_before: int, wanted: WantedImages) -> _Table:
    """Return the rows of one file. The rows and bytes of the files before it count towards the limits."""
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        message = f"{path} needs pyarrow, which is not installed: pip install pyarrow"
        raise DataError(message) from error
    pictures: list[EmbeddedPicture] = []
    labels: list[NDArray[np.int64]] = []
    size = 0
    try:
        with open_regular_file(path) as file:
            file.seek(-8, os.SEEK_END)  # the length of the footer, then PAR1
            if (length := int.from_bytes(file.read(4), "little")) > _LARGEST_FOOTER:
                raise ValueError(f"its footer has {length:,} bytes")
            limits = {"thrift_string_size_limit": _LARGEST_FOOTER, "thrift_container_size_limit": _LARGEST_FOOTER}
            contents = ParquetFile(file, pre_buffer=False, **limits)
            _check_columns(contents, path)
            _check_sizes(contents, path, count_before, size_before, wanted)
            # Dictionaries are kept, or a picture that is stored once would be unpacked for each of its rows.
            contents = ParquetFile(file, pre_buffer=False, metadata=contents.metadata, read_dictionary=[_IMAGES], **limits)
            names = _class_names(contents.schema_arrow.metadata or {})
            has_labels = _LABELS in contents.schema_arrow.names
            columns = [_IMAGES, _LABELS] if has_labels else [_IMAGES]
            # One row group at a time, because pyarrow cannot merge their dictionaries.
            for group in range(contents.num_row_groups):
                for batch in contents.iter_batches(_ROWS_AT_ONCE, row_groups=[group], columns=columns, use_threads=False):
                    size += _add_pictures(batch, path, pictures)
                    _check_size(size_before + size, path)
                    if has_labels:
                        labels.append(_labels(batch, path))
    except DataError:
        raise
    except Exception as error:  # pyarrow's decoders raise errors of any kind for damaged files
        raise unreadable(path, "a Parquet file", error, "columns `image` and, if known, `label`") from error
    all_labels = np.concatenate([np.empty(0, np.int64), *labels]) if has_labels else None
    return _Table(pictures, all_labels, names, size)


def _check_columns(contents: "ParquetFile", path: Path) -> None:
    """Raise DataError unless there is a column of pictures, and any column `label` holds whole numbers."""
    leaves = {contents.schema.column(place).path: contents.schema.column(place) for place in range(len(contents.schema))}
    image = leaves.get(_IMAGES)
    if image is None or image.physical_type != "BYTE_ARRAY" or image.max_repetition_level:
        found = ", ".join(contents.schema_arrow.names[:5]) or "nothing"
        expected = "expected a column `image` as Hugging Face's datasets store pictures, and, if known, `label`"
        raise DataError(f"{path} holds {found}: {expected}; rename them, or save the pictures in one folder per class")
    if _LABELS in contents.schema_arrow.names:
        kind = str(contents.schema_arrow.field(_LABELS).type)
        if not re.fullmatch("u?int(8|16|32|64)", kind):
            raise DataError(
                f"{path} has labels {kind[:40]}: expected a whole number for each image; convert them, or leave them out"
            )


def _check_sizes(contents: "ParquetFile", path: Path, count: int, size: int, wanted: WantedImages) -> None:
    """Raise DataError if the rows and bytes in the footer, added to `count` and `size`, are more than may be read."""
    metadata = contents.metadata
    for place in range(metadata.num_row_groups):
        group = metadata.row_group(place)
        count += group.num_rows
        for column in map(group.column, range(group.num_columns)):
            if column.path_in_schema in (_IMAGES, _LABELS) and column.compression not in _COMPRESSIONS:
                raise DataError(f"{path} is compressed by {column.compression}: expected Snappy or no compression; save it again")
            if column.path_in_schema == _IMAGES:
                size += column.total_uncompressed_size
    replace(wanted, fewest=0).check_count(count, path)
    _check_size(size, path)


def _check_size(size: int, path: Path) -> None:
    if size > LARGEST_CONTENTS:
        raise DataError(f"{path} has {size:,} bytes of pictures: expected at most {LARGEST_CONTENTS:,}; take fewer")


def _class_names(metadata: dict[bytes, bytes]) -> dict[int, str]:
    """Return the names of the classes by label, if the file's metadata has them."""
    if b"huggingface" not in metadata:
        return {}
    names = json.loads(metadata[b"huggingface"])["info"]["features"].get(_LABELS, {}).get("names", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("it names its classes in another way than Hugging Face's datasets")
    return dict(enumerate(names))


def _add_pictures(batch: "RecordBatch", path: Path, pictures: list[EmbeddedPicture]) -> int:
    """Append a batch's pictures to `pictures`, and return the bytes of the distinct ones; equal ones share their memory."""
    column = batch.column("image").flatten()[0]
    if column.null_count:
        raise DataError(f"{path} has rows without the bytes of a picture: expected a PNG file in each `image`; store them there")
    distinct: dict[int, bytes] = {}
    for index in column.indices.to_pylist():
        if index not in distinct:
            distinct[index] = column.dictionary[index].as_py()
        pictures.append(EmbeddedPicture(f"{path}, row {len(pictures)}", distinct[index]))
    return sum(map(len, distinct.values()))


def _labels(batch: "RecordBatch", path: Path) -> NDArray[np.int64]:
    column = batch.column(_LABELS)
    if column.null_count:
        raise DataError(f"{path} has rows without a label: expected one in each; leave these rows out")
    return np.asarray(column.to_numpy(), dtype=np.int64)
