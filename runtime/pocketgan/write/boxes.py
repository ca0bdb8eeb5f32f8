"""Where each digit of written numbers is: boxes as COCO, YOLO and CSV have them, and masks.

The box of a digit is the smallest rectangle around its pixels, those that are at least a quarter ink (`layout.INK_LEVEL`). Digits
rarely overlap; where they do, both keep their boxes, and a mask shows the one on the right.
"""

import csv
import json
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgan.errors import RequestError
from pocketgan.files import prepare_folder, whole_file, write_whole_file
from pocketgan.output.png import encode_png, png_name
from pocketgan.write.layout import INK_LEVEL, Glyph
from pocketgan.write.writing import Writing, WrittenImage

MOST_IN_MASK = 255
"""A mask has 8 bits, and 0 is paper."""
_IMAGES_AT_ONCE = 64


class Boxes(StrEnum):
    """Files that say where digits are."""

    coco = "coco"
    """One JSON file with boxes and masks, as pycocotools reads it."""
    yolo = "yolo"
    """A text file beside each image, and data.yaml, as Ultralytics reads them."""
    csv = "csv"
    """One CSV file with a line for each digit."""


def check_masks(writing: Writing) -> None:
    """Raise RequestError if an image may have more digits than a mask can tell apart."""
    if writing.images_each > MOST_IN_MASK:
        raise RequestError(f"masks tell {MOST_IN_MASK} digits of an image apart: expected fewer --numbers")


def write_csv(target: Path, writing: Writing) -> None:
    """Write a CSV file: image, number and class of each digit, and left, top, width and height of its box, in pixels.

    Numbers are counted within the image, from 0. Raises OutputError if the file cannot be written.
    """
    with whole_file(target, is_synced=False) as temporary, temporary.open("w", encoding="ascii", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["file_name", "index", "number", "class", "x", "y", "width", "height"])
        for index, image in _images(writing):
            for number, glyph in _digits(image):
                name = _class_name(writing, glyph)
                rows.writerow([png_name(index, None), index, number, name, *_box(glyph)])


def write_yolo(target: Path, writing: Writing) -> None:
    """Write a text file beside each image, and then the data file `target`, in YAML.

    A line has the number of the class, from 0, and the middle, width and height of the box as shares of the image's width and
    height. Raises OutputError if a file cannot be written.
    """
    height, width = writing.size
    order = {label: number for number, label in enumerate(writing.generator.card.labels)}
    for index, image in _images(writing):
        lines = []
        for _, glyph in _digits(image):
            left, top, across, down = _box(glyph)
            shares = (left + across / 2) / width, (top + down / 2) / height, across / width, down / height
            lines.append(f"{order[glyph.label]} {' '.join(f'{share:.6f}' for share in shares)}\n")
        write_whole_file(str(target.parent / f"{index:08d}.txt"), "".join(lines).encode())
    names = "".join(f"  {number}: {json.dumps(name)}\n" for number, name in enumerate(writing.generator.card.classes))
    with whole_file(target, is_synced=False) as temporary:
        temporary.write_text(f"path: .\ntrain: .\nval: .\nnames:\n{names}", encoding="ascii")


def write_coco(target: Path, writing: Writing) -> None:
    """Write a JSON file of COCO's format for detection, with a box and an uncompressed run-length mask for each digit.

    Ids of images are their indices, those of categories the model's labels, those of annotations count from 1. Raises OutputError
    if the file cannot be written.
    """
    card, (height, width) = writing.generator.card, writing.size
    categories = [{"id": label, "name": name} for label, name in zip(card.labels, card.classes, strict=True)]
    with whole_file(target, is_synced=False) as temporary, temporary.open("w", encoding="ascii") as file:
        file.write(f'{{"categories": {json.dumps(categories)},\n"annotations": [')
        number = 0
        for index, image in _images(writing):
            for _, glyph in _digits(image):
                mask = _mask(glyph, writing.size)
                annotation = {
                    "id": number + 1,
                    "image_id": index,
                    "category_id": glyph.label,
                    "bbox": _box(glyph),
                    "area": int(mask.sum()),
                    "iscrowd": 0,
                    "segmentation": {"size": [height, width], "counts": run_lengths(mask)},
                }
                file.write(f"{',' if number else ''}\n{json.dumps(annotation)}")
                number += 1
        file.write('],\n"images": [')
        for index in writing.indices:
            one = {"id": index, "file_name": png_name(index, None), "width": width, "height": height}
            file.write(f"{',' if index > writing.indices.start else ''}\n{json.dumps(one)}")
        file.write("]}\n")


WRITERS: dict[Boxes, tuple[str, str, Callable[[Path, Writing], None]]] = {
    Boxes.coco: ("annotations", ".json", write_coco),
    Boxes.yolo: ("data", ".yaml", write_yolo),
    Boxes.csv: ("boxes", ".csv", write_csv),
}
"""The file of each kind, its ending, and what writes it."""


def write_masks(target: Path, writing: Writing) -> None:
    """Write a grey PNG file for each image into the folder `target`: 0 is paper, 1 the first digit, 2 the second and so on.

    Raises OutputError if a file cannot be written.
    """
    prepare_folder(target)
    for index, image in _images(writing):
        canvas = np.zeros(writing.size, np.uint8)
        for number, (_, glyph) in enumerate(_digits(image), 1):
            canvas[_mask(glyph, writing.size)] = number
        write_whole_file(str(target / png_name(index, None)), encode_png(canvas))


def run_lengths(mask: NDArray[np.bool_]) -> list[int]:
    """Return the lengths of runs of false and true in a mask, column by column, false first: COCO's uncompressed form."""
    pixels = mask.ravel(order="F")
    changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    lengths: list[int] = np.diff(np.concatenate([[0], changes, [len(pixels)]])).tolist()
    return [0, *lengths] if pixels[0] else lengths


def _images(writing: Writing) -> Iterator[tuple[int, WrittenImage]]:
    """Yield the index of each image and the image."""
    for first in range(0, len(writing.indices), _IMAGES_AT_ONCE):
        part = writing.indices[first : first + _IMAGES_AT_ONCE]
        yield from zip(part, writing.images(part), strict=True)


def _digits(image: WrittenImage) -> Iterator[tuple[int, Glyph]]:
    """Yield each digit and the number that it belongs to."""
    return ((number, glyph) for number, glyphs in enumerate(image.numbers) for glyph in glyphs)


def _box(glyph: Glyph) -> tuple[int, int, int, int]:
    """Return left, top, width and height."""
    height, width = glyph.ink.shape
    return glyph.left, glyph.top, width, height


def _mask(glyph: Glyph, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which pixels of a canvas of this height and width belong to a digit."""
    mask, (height, width) = np.zeros(size, np.bool_), glyph.ink.shape
    mask[glyph.top : glyph.top + height, glyph.left : glyph.left + width] = glyph.ink >= INK_LEVEL
    return mask


def _class_name(writing: Writing, glyph: Glyph) -> str:
    card = writing.generator.card
    return card.classes[card.labels.index(glyph.label)]
