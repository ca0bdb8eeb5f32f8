"""Parquet files as Hugging Face datasets reads them, with its Image and ClassLabel features. They need pyarrow.

The columns are `image`, a struct of a PNG file's `bytes` and its name as `path`, and `index`; with classes also `label`, and for
rows of text `text`. The schema's metadata under `huggingface` describes them in the form that `Features.from_arrow_schema`
reads (datasets 5.2, datasets/features/features.py).
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pocketgan.errors import OutputError
from pocketgan.output.png import png_name
from pocketgan.output.shards import Sample, Shards
from pocketgan.series import Series

# A row group stays in memory until it is full.
_ROW_GROUP_IMAGES = 1000
_ROW_GROUP_BYTES = 2**23


def parquet_shards(folder: Path, drawing: Series, images_in_shard: int) -> Shards:
    """Return the Parquet files of a drawing, such as `digits-000000.parquet`. Raises OutputError if pyarrow is not installed."""
    try:
        import pyarrow
        from pyarrow.parquet import ParquetWriter
    except ImportError as error:
        message = f"--format parquet needs pyarrow ({error}): pip install pyarrow"
        raise OutputError(message) from error
    columns = _columns(drawing)
    image = pyarrow.struct([("bytes", "binary"), ("path", "string")])
    types = {"Image": image, "ClassLabel": "int64"}
    features = {column.name: column.feature for column in columns}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    fields = [(name, feature.get("dtype") or types[feature["_type"]]) for name, feature in features.items()]
    schema = pyarrow.schema(fields, metadata)

    @contextmanager
    def open_shard(temporary: Path) -> Iterator[Callable[[Sample], None]]:
        rows: list[dict[str, object]] = []
        size = 0
        with (
            temporary.open("wb") as file,  # Python's own, so that errors are those of the operating system
            # PNG files are compressed already, and do not repeat.
            ParquetWriter(file, schema, compression="none", use_dictionary=False, write_statistics=["index"]) as writer,
        ):

            def write_rows() -> None:
                nonlocal size
                writer.write_table(pyarrow.Table.from_pylist(rows, schema))
                rows.clear()
                size = 0

            def add(sample: Sample) -> None:
                nonlocal size
                rows.append({column.name: column.value(sample) for column in columns})
                size += len(sample.png)
                if len(rows) >= _ROW_GROUP_IMAGES or size >= _ROW_GROUP_BYTES:
                    write_rows()

            yield add
            if rows:
                write_rows()

    return Shards(folder, drawing, images_in_shard, "parquet", open_shard)


class _Column(NamedTuple):
    name: str
    feature: dict[str, Any]
    """Its feature in Hugging Face datasets."""
    value: Callable[[Sample], object]


_NUMBER: dict[str, Any] = {"dtype": "int64", "_type": "Value"}
_STRING: dict[str, Any] = {"dtype": "string", "_type": "Value"}


def _columns(drawing: Series) -> list[_Column]:
    card = drawing.generator.card

    def image(sample: Sample) -> dict[str, object]:
        return {"bytes": sample.png, "path": png_name(sample.index, drawing.name(sample.index))}

    columns = [_Column("image", {"_type": "Image"}, image), _Column("index", _NUMBER, lambda sample: sample.index)]
    if drawing.text(drawing.indices[0]) is not None:
        columns.append(_Column("text", _STRING, lambda sample: drawing.text(sample.index)))
    elif card.classes:
        labels, names = zip(*sorted(zip(card.labels, card.classes, strict=True)), strict=True)
        # A ClassLabel counts from 0. Where the model's labels do not, the names of the classes get a column of their own.
        is_from_zero = labels == tuple(range(len(labels)))
        feature = {"names": names, "_type": "ClassLabel"} if is_from_zero else _NUMBER
        columns.append(_Column("label", feature, lambda sample: sample.label))
        if not is_from_zero:
            columns.append(_Column("class", _STRING, lambda sample: drawing.name(sample.index)))
    return columns
