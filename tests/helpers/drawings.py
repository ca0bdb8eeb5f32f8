"""Drawings as gan-gen makes them from its options, and the files that are written of them."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from protobuf_bytes import metadata_entry

from pocketgan.address import Hand, ImageRange, truncation_units
from pocketgan.drawing import Drawing
from pocketgan.generator import Batch, Generator
from pocketgan.model.card import CARD_KEY
from pocketgan.output.formats import Files
from pocketgan.request import Existing, Selection


def drawing_of(
    generator: Generator,
    count: int = 10,
    start: int = 0,
    seed: int = 0,
    names: tuple[str, ...] | None = None,
    text: str | None = None,
    truncation: float = 1.0,
    height: int | None = None,
    is_inverted: bool = False,
    threads: int = 1,
    hand: Hand | None = None,
) -> Drawing:
    """Return a drawing, by default of images of all classes in turn."""
    rows = ImageRange(seed, range(start, start + count), truncation_units(truncation), hand)
    selection = Selection(rows, names if text is None else tuple(text), text, height, is_inverted)
    return Drawing(generator, selection, threads)


def with_classes(
    generator: Generator, folder: Path, classes: tuple[str, ...] | None = None, labels: tuple[int, ...] | None = None
) -> Generator:
    """Return a generator like this one, from a model file in `folder` that gives its classes other names or labels."""
    card = replace(generator.card, classes=classes or generator.card.classes, class_labels=labels)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "renamed.onnx"
    path.write_bytes(generator.path.read_bytes() + metadata_entry(CARD_KEY, card.to_json()))
    return Generator.load(path)


def images_of(drawing: Drawing) -> NDArray[np.uint8]:
    """Return all images of a drawing: uint8 [count, H, W]."""
    return np.concatenate([batch.images for batch in drawing.batches(drawing.selection.indices)])


def made(folder: Path) -> Path:
    """Return the folder, which is made if it does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def drain(batches: Iterable[Batch]) -> None:
    """Take all batches, so that all the work on them is done."""
    for _ in batches:
        pass


def resume(files: Files, drawing: Drawing) -> list[range]:
    """Do what a resumed run does, and return what was missing."""
    missing = files.missing()
    drain(files.write(chain.from_iterable(map(drawing.batches, missing)), Existing.resume))
    return missing


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder and its subfolders, hidden ones too, by their path relative to the folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def visible(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder and its subfolders that are not hidden."""
    return {name: data for name, data in contents(folder).items() if not name.rpartition("/")[2].startswith(".")}


def identities(folder: Path) -> dict[str, tuple[int, int]]:
    """Return what changes when a file is written again, even with the same bytes."""
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def read_gif(path: Path) -> tuple[NDArray[np.uint8], list[int]]:
    """Return the frames of a GIF file of greys that repeats forever, uint8 [n, H, W], and the milliseconds of each."""
    frames, times = [], []
    with Image.open(path) as file:
        assert (file.format, file.info["loop"]) == ("GIF", 0)
        for position in range(file.n_frames):  # type: ignore[attr-defined]
            file.seek(position)
            red, green, blue = np.moveaxis(np.asarray(file.convert("RGB")), 2, 0)
            np.testing.assert_array_equal(red, green)
            np.testing.assert_array_equal(red, blue)
            frames.append(red)
            times.append(file.info["duration"])
    return np.stack(frames), times
