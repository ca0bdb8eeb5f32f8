"""Runs one request of gan-write: draws numbers into a folder or to the terminal, and says where their digits are."""

from dataclasses import dataclass
from functools import partial

from pocketgan.cpus import usable_cpus
from pocketgan.folder_run import Extra, RunOptions, carry_out, opened
from pocketgan.output.manifest import manifest_of
from pocketgan.output.sheet import check_sheet, shown_images, write_sheet
from pocketgan.write.boxes import (
    check_masks,
    check_yolo,
    is_label_file,
    label_files,
    mask_files,
    write_coco,
    write_csv,
    write_masks,
    write_yolo,
    write_yolo_data,
)
from pocketgan.write.options import Boxes
from pocketgan.write.writing import Writing, WritingRequest

MOST_SHOWN = 20
"""The most images that are shown in a terminal: the first ones."""


@dataclass(frozen=True)
class WritingRun:
    """A request for numbers, and where they go."""

    options: RunOptions
    """The format is one of those of PNG files."""
    request: WritingRequest
    boxes: frozenset[Boxes]
    has_masks: bool


def write(run: WritingRun) -> None:
    """Draw the requested numbers, and print to stderr which model was used and what was drawn.

    Raises ModelError, ProviderError or RuntimeMissingError if the model cannot be used, RequestError if it cannot draw these
    numbers, and OutputError if a file cannot be written, or exists and `--overwrite` was not given.
    """
    options = run.options
    writing = Writing(opened(options), run.request, options.threads or usable_cpus())
    extras, manifest, files = _extras(run, writing), _manifest(run, writing), None
    if options.folder is not None:
        files = options.file_format.row.files(options.folder, writing)  # type: ignore[arg-type]  # PNG files take any series
    carry_out(options, writing, manifest, files, extras, MOST_SHOWN)


def _extras(run: WritingRun, writing: Writing) -> list[Extra]:
    """Return the files beside the images. Raises RequestError or OutputError if one of them cannot be."""
    extras = []
    if run.options.grid is not None:
        check_sheet(writing, shown_images(writing, run.options.grid))
        extras.append(Extra("grid", ".png", partial(write_sheet, drawing=writing, grid=run.options.grid)))
    if Boxes.coco in run.boxes:
        extras.append(Extra("annotations", ".json", follow=partial(write_coco, writing=writing)))
    if Boxes.csv in run.boxes:
        extras.append(Extra("boxes", ".csv", follow=partial(write_csv, writing=writing)))
    if Boxes.yolo in run.boxes and run.options.folder is not None:
        check_yolo(run.options.folder)
        is_ours, of_labels = partial(is_label_file, writing=writing), partial(label_files, writing=writing)
        extras.append(Extra("train", ".txt", follow=partial(write_yolo, writing=writing), is_ours=is_ours, files_of=of_labels))
        extras.append(Extra("data", ".yaml", partial(write_yolo_data, writing=writing)))
    if run.has_masks:
        check_masks(writing)
        of_masks = partial(mask_files, writing=writing)
        extras.append(Extra("masks", "", follow=partial(write_masks, writing=writing), files_of=of_masks))
    return extras


def _manifest(run: WritingRun, writing: Writing) -> dict[str, object]:
    manifest = manifest_of(writing, run.options.file_format, run.options.grid, has_walk=False, varied=None)
    boxes = [kind.value for kind in Boxes if kind in run.boxes]
    more = [word for kind in boxes for word in ("--boxes", kind)] + ["--masks"] * run.has_masks
    return {**manifest, "command": " ".join([str(manifest["command"]), *more]), "boxes": boxes, "masks": run.has_masks}
