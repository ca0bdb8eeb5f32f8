"""Where each digit of written numbers is: boxes as COCO, YOLO and CSV have them, and masks.

The box of a digit is the smallest rectangle around its pixels, those that are at least a quarter ink (`layout.INK_LEVEL`). Digits
rarely overlap; where they do, both keep their boxes, and their masks in COCO's file. A picture of masks shows the later digit.

Each function that writes takes the images of a `Writing` in order, and yields each batch when it has written down its digits, so
that they are drawn once for all files. A file is there when the last batch has been taken.
"""

import csv
import json
import os
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgan.errors import OutputError, RequestError
from pocketgan.files import prepare_folder, remove_temporaries, whole_file, write_whole_file
from pocketgan.generator import Batch
from pocketgan.output.png import encode_png, png_name
from pocketgan.write.layout import INK_LEVEL, Glyph
from pocketgan.write.writing import Writing, WrittenBatch, WrittenNumbers

MOST_IN_MASK = 255
"""A picture of masks has 8 bits, and 0 is paper."""


def is_label_file(name: str, writing: Writing) -> bool:
    """Return whether `write_yolo` writes a file of this name."""
    index = name.removesuffix(".txt")
    return index.isdecimal() and int(index) in writing.indices and name == _label_file(int(index))


def label_files(target: Path, writing: Writing) -> Iterator[Path]:
    """Yield the files that `write_yolo` writes beside its list `target`, and that."""
    yield target
    for index in writing.indices:
        yield target.with_name(_label_file(index))


def mask_files(target: Path, writing: Writing) -> Iterator[Path]:
    """Yield the files that `write_masks` writes into the folder `target`."""
    for index in writing.indices:
        yield target / png_name(index, None)


def check_masks(writing: Writing) -> None:
    """Raise RequestError if an image may have more digits than a mask can tell apart."""
    if writing.images_each > MOST_IN_MASK:
        raise RequestError(f"masks tell {MOST_IN_MASK} digits of an image apart: expected fewer --numbers")


def write_csv(target: Path, batches: Iterable[Batch], writing: Writing) -> Generator[Batch, None, None]:
    """Write a CSV file: image, number and class of each digit, and left, top, width and height of its box, in pixels.

    Numbers are counted within the image, from 0. Raises OutputError if the file cannot be written.
    """
    with whole_file(target, is_synced=False) as temporary, temporary.open("w", encoding="ascii", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["file_name", "index", "number", "class", "x", "y", "width", "height"])
        name_of = dict(zip(writing.generator.card.labels, writing.generator.card.classes, strict=True))
        for batch in batches:
            for index, numbers in _images(batch):
                for number, glyph in _digits(numbers):
                    rows.writerow([png_name(index, None), index, number, name_of[glyph.label], *_box(glyph)])
            yield batch


def check_yolo(folder: Path) -> None:
    """Raise OutputError if Ultralytics would look for the labels of images in this folder somewhere else."""
    if "images" in folder.resolve().parts:
        raise OutputError(
            f"below a folder called images, Ultralytics looks for the labels in another one, called labels: choose another --out "
            f"than {folder}"
        )


def write_yolo(target: Path, batches: Iterable[Batch], writing: Writing) -> Generator[Batch, None, None]:
    """Write a text file beside each image, and then `target`, the list of images.

    A line has the number of the class, from 0, and the middle, width and height of the box as shares of the image's width and
    height. Raises OutputError if a file cannot be written.
    """
    height, width = writing.size
    order = {label: number for number, label in enumerate(writing.generator.card.labels)}
    for batch in batches:
        for index, numbers in _images(batch):
            lines = []
            for _, glyph in _digits(numbers):
                left, top, across, down = _box(glyph)
                shares = (left + across / 2) / width, (top + down / 2) / height, across / width, down / height
                lines.append(f"{order[glyph.label]} {' '.join(f'{share:.6f}' for share in shares)}\n")
            write_whole_file(str(target.parent / _label_file(index)), "".join(lines).encode())
        yield batch
    with whole_file(target, is_synced=False) as temporary, temporary.open("w", encoding="ascii") as file:
        file.writelines(f"./{png_name(index, None)}\n" for index in writing.indices)


def _label_file(index: int) -> str:
    return f"{index:08d}.txt"


def write_yolo_data(target: Path, writing: Writing) -> None:
    """Write the file that Ultralytics is given, in YAML: which images, and the names of the classes.

    Without `path` in it, names of files are relative to its own folder. Raises OutputError if it cannot be written.
    """
    images = target.with_suffix(".txt").name.replace("data", "train", 1)
    names = "".join(f"  {number}: {json.dumps(name)}\n" for number, name in enumerate(writing.generator.card.classes))
    with whole_file(target, is_synced=False) as temporary:
        temporary.write_text(f"train: {images}\nval: {images}\nnames:\n{names}", encoding="ascii")


def write_coco(target: Path, batches: Iterable[Batch], writing: Writing) -> Generator[Batch, None, None]:
    """Write a JSON file of COCO's format for detection, with a box and an uncompressed run-length mask for each digit.

    Ids of images are their indices, those of categories the model's labels, and each digit of a series has an id of its own.
    Raises OutputError if the file cannot be written.
    """
    card, (height, width) = writing.generator.card, writing.size
    categories = [{"id": label, "name": name} for label, name in zip(card.labels, card.classes, strict=True)]
    with whole_file(target, is_synced=False) as temporary, temporary.open("w", encoding="ascii") as file:
        file.write(f'{{"categories": {json.dumps(categories)},\n"annotations": [')
        is_first = True
        for batch in batches:
            for index, numbers in _images(batch):
                for place, (_, glyph) in enumerate(_digits(numbers), 1):
                    annotation = {
                        "id": index * writing.images_each + place,
                        "image_id": index,
                        "category_id": glyph.label,
                        "bbox": _box(glyph),
                        "area": int((glyph.ink >= INK_LEVEL).sum()),
                        "iscrowd": 0,
                        "segmentation": {"size": [height, width], "counts": run_lengths(glyph, height, width)},
                    }
                    file.write(f"{'' if is_first else ','}\n{json.dumps(annotation)}")
                    is_first = False
            yield batch
        file.write('],\n"images": [')
        for index in writing.indices:
            one = {"id": index, "file_name": png_name(index, None), "width": width, "height": height}
            file.write(f"{',' if index > writing.indices.start else ''}\n{json.dumps(one)}")
        file.write("]}\n")


def write_masks(target: Path, batches: Iterable[Batch], writing: Writing) -> Generator[Batch, None, None]:
    """Write a grey PNG file for each image into the folder `target`: 0 is paper, 1 the first digit, 2 the second and so on.

    Raises OutputError if a file cannot be written, or the folder is a link to another.
    """
    if os.path.islink(target):
        raise OutputError(f"{target} is a symbolic link, expected a folder: move it away, or choose another --out")
    prepare_folder(target)
    remove_temporaries(target, lambda name: name.endswith(".png"), is_alone=True)
    for batch in batches:
        for index, numbers in _images(batch):
            canvas = np.zeros(writing.size, np.uint8)
            for number, (_, glyph) in enumerate(_digits(numbers), 1):
                glyph.part(canvas)[glyph.ink >= INK_LEVEL] = number
            write_whole_file(str(target / png_name(index, None)), encode_png(canvas))
        yield batch


def run_lengths(glyph: Glyph, height: int, width: int) -> list[int]:
    """Return the lengths of runs of pixels that do not and do belong to a digit, down the columns of a canvas of this size.

    That is COCO's uncompressed form, which begins with pixels that do not.
    """
    columns, rows = np.nonzero((glyph.ink >= INK_LEVEL).T)
    places = (glyph.left + columns) * height + glyph.top + rows  # ascending
    first = np.concatenate([[True], np.diff(places) > 1])
    starts, ends = places[first], places[np.append(first[1:], True)] + 1
    bounds: NDArray[np.int64] = np.concatenate([[0], np.stack([starts, ends], axis=1).ravel(), [height * width]])
    lengths: list[int] = np.diff(bounds).tolist()
    return lengths if lengths[-1] else lengths[:-1]


def _images(batch: Batch) -> Iterator[tuple[int, WrittenNumbers]]:
    """Yield the index of each image, and its digits."""
    assert isinstance(batch, WrittenBatch)
    return enumerate(batch.numbers, batch.start)


def _digits(numbers: WrittenNumbers) -> Iterator[tuple[int, Glyph]]:
    """Yield each digit and the number that it belongs to."""
    return ((number, glyph) for number, glyphs in enumerate(numbers) for glyph in glyphs)


def _box(glyph: Glyph) -> tuple[int, int, int, int]:
    """Return left, top, width and height."""
    height, width = glyph.ink.shape
    return glyph.left, glyph.top, width, height
