"""The kinds of paper and of box files, by the names that options have."""

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
