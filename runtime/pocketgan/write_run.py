"""Runs one request of gan-write: draws numbers into a folder or to the terminal, and says where their digits are."""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pocketgan.console import print_message
from pocketgan.cpus import usable_cpus
from pocketgan.folder_run import Extra, FolderRun, drawn_now, opened, print_report, say_threads, show_first, write_folder
from pocketgan.model.session import Provider
from pocketgan.output.formats import Format
from pocketgan.output.manifest import manifest_of
from pocketgan.output.sheet import check_sheet, shown_images, write_sheet
from pocketgan.request import Existing, Grid
from pocketgan.write.boxes import (
    check_masks,
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
    """A request, the model that draws its digits, and where images go."""

    model: str | None
    """A name or a path; None for `model.onnx` here, else the bundled default."""
    provider: Provider
    threads: int | None
    """None for the CPUs that this process may use."""
    request: WritingRequest
    folder: Path | None
    """Where the files go; None for no files."""
    file_format: Format
    """One of those of PNG files."""
    existing: Existing
    grid: Grid | None
    """Columns and rows of a sheet of the first images; None for no sheet."""
    boxes: Boxes | None
    has_masks: bool
    is_shown: bool
    is_quiet: bool
    has_report: bool


def write(run: WritingRun) -> None:
    """Draw the requested numbers, and print to stderr which model was used and what was drawn.

    Raises ModelError, ProviderError or RuntimeMissingError if the model cannot be used, RequestError if it cannot draw these
    numbers, and OutputError if a file cannot be written, or exists and `--overwrite` was not given.
    """
    generator = opened(run.model, run.provider, run.is_quiet)
    began = time.monotonic()
    writing = Writing(generator, run.request, run.threads or usable_cpus())
    if not run.is_quiet:
        say_threads(writing, run.threads)
    extras, manifest = _extras(run, writing), _manifest(run, writing)
    drawn: int | None = run.request.count
    if run.folder is not None:
        folder_run = FolderRun(run.folder, run.file_format, run.existing, extras, manifest, run.is_quiet)
        drawn = write_folder(folder_run, writing, run.file_format.row.files(run.folder, writing))  # type: ignore[arg-type]
    if run.is_shown:
        show_first(writing, MOST_SHOWN)
    seconds = time.monotonic() - began
    if run.has_report:
        print_report(writing, manifest, run.folder, drawn or 0, seconds)
    if not run.is_quiet and run.folder is not None:
        what = "image" if run.request.count == 1 else "images"
        numbers = "" if run.request.style.numbers_each == 1 else f" of {run.request.style.numbers_each} numbers each"
        where = f"of seed {run.request.seed} from index {run.request.start}{drawn_now(drawn, run.request.count)} in {run.folder}"
        print_message(f"{run.request.count:,} {what}{numbers} {where} after {seconds:.2f} s")


def _extras(run: WritingRun, writing: Writing) -> list[Extra]:
    """Return the files beside the images. Raises RequestError or OutputError if one of them cannot be."""
    extras = []
    if run.grid is not None:
        check_sheet(writing, shown_images(writing, run.grid))
        extras.append(Extra("grid", ".png", partial(write_sheet, drawing=writing, grid=run.grid)))
    if run.boxes is Boxes.coco:
        extras.append(Extra("annotations", ".json", partial(write_coco, writing=writing)))
    if run.boxes is Boxes.csv:
        extras.append(Extra("boxes", ".csv", partial(write_csv, writing=writing)))
    if run.boxes is Boxes.yolo:
        is_ours = partial(is_label_file, writing=writing)
        of_labels = partial(label_files, writing=writing)
        extras.append(Extra("train", ".txt", partial(write_yolo, writing=writing), is_ours, of_labels))
        extras.append(Extra("data", ".yaml", partial(write_yolo_data, writing=writing)))
    if run.has_masks:
        check_masks(writing)
        extras.append(Extra("masks", "", partial(write_masks, writing=writing), files_of=partial(mask_files, writing=writing)))
    return extras


def _manifest(run: WritingRun, writing: Writing) -> dict[str, object]:
    manifest = manifest_of(writing, run.file_format, run.grid, has_walk=False, varied=None)
    boxes = None if run.boxes is None else run.boxes.value
    more = ([] if boxes is None else ["--boxes", boxes]) + ["--masks"] * run.has_masks
    return {**manifest, "command": " ".join([str(manifest["command"]), *more]), "boxes": boxes, "masks": run.has_masks}
