"""Drawn images as PNG files, each of which says what it was drawn from."""

import json
from collections.abc import Generator, Iterable

from pocketgan.drawing import Drawing
from pocketgan.generator import Batch
from pocketgan.output.png import encode_png
from pocketgan.pipeline import ordered_map

KEYWORD = "pocketgan"
"""Of the text in each file."""


def png_bytes(drawing: Drawing, batch: Batch) -> list[bytes]:
    """Return each image of a batch as a PNG file, whose text `pocketgan` says in JSON what it was drawn from.

    That is all of `Drawing.about`, the index, and the class or the row's text.
    """
    return [encode_png(image, KEYWORD, text_of(drawing, index)) for index, image in enumerate(batch.images, batch.start)]


def text_of(drawing: Drawing, index: int) -> str:
    """Return what an image's file says in its text, as JSON."""
    kind, name = "class" if drawing.selection.text is None else "text", drawing.name(index)
    return json.dumps({**drawing.about, "index": index, **({} if name is None else {kind: name})})


def encoded(drawing: Drawing, batches: Iterable[Batch]) -> Generator[tuple[Batch, list[bytes]], None, None]:
    """Yield each batch with its images as PNG files, encoded by as many threads as draw."""

    def encode(batch: Batch) -> tuple[Batch, list[bytes]]:
        return batch, png_bytes(drawing, batch)

    yield from ordered_map(encode, batches, drawing.threads)
