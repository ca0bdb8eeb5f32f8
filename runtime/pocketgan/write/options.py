"""The options of gan-write: their defaults and limits, and the kinds of paper, box files and formats by name."""

from enum import StrEnum

DEFAULT_COUNT = 10
DEFAULT_LENGTH = 3, 6
"""The least and the most digits."""
DEFAULT_SIZE = 28
LEAST_SIZE = 14
DEFAULT_JITTER = 0.5
SPACING_PERCENT = 15
"""The usual space between digits, in percent of their size."""
MOST_SPACING = 1000
MOST_NUMBERS = 1000
"""In an image."""
MOST_NOISE = 127
LARGEST_CANVAS = 4096
"""Pixels of a side."""


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
