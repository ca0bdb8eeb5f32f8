"""The kinds of paper, of box files and of formats, by the names that options have."""

from enum import StrEnum


class Ruling(StrEnum):
    """Printed paper."""

    lines = "lines"
    squares = "squares"


class Boxes(StrEnum):
    """Files that say where digits are."""

    coco = "coco"
    """One JSON file with boxes and masks, as pycocotools reads it."""
    yolo = "yolo"
    """A text file beside each image, and data.yaml, as Ultralytics reads them."""
    csv = "csv"
    """One CSV file with a line for each digit."""


class NumberFormat(StrEnum):
    """The formats of images of numbers: those that keep texts beside them."""

    png = "png"
    webdataset = "webdataset"
    parquet = "parquet"
