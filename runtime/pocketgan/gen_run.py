"""Runs one request of gan-gen: draws to a folder, to standard output or to the terminal, and reports what it did."""

import time
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pocketgan.address import FULL_VARIETY
from pocketgan.console import print_message
from pocketgan.cpus import usable_cpus
from pocketgan.drawing import Drawing
from pocketgan.folder_run import (
    Extra,
    FolderRun,
    drawn_now,
    opened,
    print_report,
    say_threads,
    show_first,
    with_progress,
    write_folder,
)
from pocketgan.model.session import Provider
from pocketgan.output.formats import Format
from pocketgan.output.manifest import manifest_of
from pocketgan.output.sheet import MOST_VARIED, STEPS, check_sheet, shown_images, write_sheet, write_steps
from pocketgan.output.walk import write_walk
from pocketgan.request import Existing, Grid, Selection
from pocketgan.trait_table import HAND

MOST_SHOWN = 100
"""The most images that are shown in a terminal: the first ones."""


@dataclass(frozen=True)
class DrawingRun:
    """A selection of images, the model that draws them, and where they go."""

    model: str | None
    """A name or a path; None for `model.onnx` here, else the bundled default."""
    provider: Provider
    threads: int | None
    """None for the CPUs that this process may use."""
    selection: Selection
    folder: Path | None
    """Where the files go, made if it does not exist; None for no files."""
    file_format: Format
    existing: Existing
    grid: Grid | None
    """Columns and rows of a sheet of the first images; None for no sheet."""
    has_walk: bool
    """Whether an animation of the first images is written too."""
    varied: str | None
    """The trait, or the hand, of which a sheet shows the first images in steps; None for no such sheet."""
    to_stdout: bool
    """Whether the images go to standard output; only if `folder` is None."""
    is_shown: bool
    """Whether the first images are shown in the terminal."""
    is_quiet: bool
    has_report: bool
    """Whether a JSON report is printed at the end."""


def draw(run: DrawingRun) -> None:
    """Draw the requested images, and print to stderr which model was used and what was drawn.

    Raises ModelError, ProviderError or RuntimeMissingError if the model cannot be used, RequestError if it cannot draw these
    images, and OutputError if a file cannot be written, or exists and `--overwrite` was not given.
    """
    generator = opened(run.model, run.provider, run.is_quiet)
    began = time.monotonic()
    drawing = Drawing(generator, run.selection, run.threads or usable_cpus())
    if not run.is_quiet:
        say_threads(drawing, run.threads)

    extras = _extras(run, drawing)
    manifest = manifest_of(drawing, run.file_format, run.grid, run.has_walk, run.varied)
    drawn: int | None = run.selection.count
    where = "on standard output"
    if run.folder is not None:
        folder_run = FolderRun(run.folder, run.file_format, run.existing, extras, manifest, run.is_quiet)
        drawn, where = write_folder(folder_run, drawing, run.file_format.row.files(run.folder, drawing)), f"in {run.folder}"
    elif run.to_stdout:
        _write_to_stdout(run, drawing)
    if run.is_shown:
        show_first(drawing, MOST_SHOWN)

    seconds = time.monotonic() - began
    if run.has_report:
        print_report(drawing, manifest, run.folder, drawn or 0, seconds)
    if not run.is_quiet and (run.folder is not None or run.to_stdout):
        print_message(f"{_summary(drawing, drawn)} {where} after {seconds:.2f} s")


def _extras(run: DrawingRun, drawing: Drawing) -> list[Extra]:
    """Return the files beside the images. Raises RequestError or OutputError if one of them cannot be."""
    extras = []
    if run.grid is not None:
        check_sheet(drawing, shown_images(drawing, run.grid))
        extras.append(Extra("grid", ".png", partial(write_sheet, drawing=drawing, grid=run.grid)))
    if run.has_walk:
        extras.append(Extra("walk", ".gif", partial(write_walk, drawing=drawing, varied=run.varied)))
    if run.varied is not None:
        check_sheet(drawing, STEPS * min(MOST_VARIED, len(drawing.indices)))
        if run.varied != HAND:
            drawing.generator.trait_range(run.varied)  # raises if it cannot be chosen
        extras.append(Extra("vary", ".png", partial(write_steps, drawing=drawing, what=run.varied)))
    return extras


def _summary(drawing: Drawing, drawn: int | None) -> str:
    selection = drawing.selection
    what = ("image" if selection.count == 1 else "images") + ("" if selection.text is None else f" of {selection.text}")
    how = "" if drawing.selection.truncation == FULL_VARIETY else f" at truncation {drawing.selection.truncation:.3g}"
    if selection.hand is not None:
        how += f" by hand {selection.about_writing['hand']} at consistency {selection.hand.consistency:.3g}"
    how += "".join(f", {trait.name} {trait}" for trait in selection.asked)
    how += drawn_now(drawn, selection.count)
    return f"{selection.count:,} {what} of seed {selection.seed} from index {selection.start}{how}"


def _write_to_stdout(run: DrawingRun, drawing: Drawing) -> None:
    from pocketgan.output.standard_output import write_to_stdout

    with (
        closing(drawing.batches(run.selection.indices)) as batches,
        closing(write_to_stdout(batches, drawing, run.file_format)) as written,
    ):
        for _ in with_progress(written, len(drawing.indices), run.is_quiet):
            pass
