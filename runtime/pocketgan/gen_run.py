"""Runs one request of gan-gen: draws to a folder, to standard output or to the terminal, and reports what it did."""

from contextlib import closing
from dataclasses import dataclass
from functools import partial

from pocketgan.cpus import usable_cpus
from pocketgan.drawing import Drawing
from pocketgan.folder_run import Extra, RunOptions, carry_out, opened, with_progress
from pocketgan.output.manifest import manifest_of
from pocketgan.output.sheet import MOST_VARIED, STEPS, check_sheet, shown_images, write_sheet, write_steps
from pocketgan.output.walk import write_walk
from pocketgan.request import Selection
from pocketgan.trait_table import HAND

MOST_SHOWN = 100
"""The most images that are shown in a terminal: the first ones."""


@dataclass(frozen=True)
class DrawingRun:
    """A selection of images, and where they go."""

    options: RunOptions
    selection: Selection
    has_walk: bool
    """Whether an animation of the first images is written too."""
    varied: str | None
    """The trait, or the hand, of which a sheet shows the first images in steps; None for no such sheet."""
    to_stdout: bool
    """Whether the images go to standard output; only if there is no folder."""


def draw(run: DrawingRun) -> None:
    """Draw the requested images, and print to stderr which model was used and what was drawn.

    Raises ModelError, ProviderError or RuntimeMissingError if the model cannot be used, RequestError if it cannot draw these
    images, and OutputError if a file cannot be written, or exists and `--overwrite` was not given.
    """
    options = run.options
    drawing = Drawing(opened(options), run.selection, options.threads or usable_cpus())
    extras = _extras(run, drawing)
    manifest = manifest_of(drawing, options.file_format, options.grid, run.has_walk, run.varied)
    files = None if options.folder is None else options.file_format.row.files(options.folder, drawing)
    write_to_stdout = partial(_write_to_stdout, run, drawing) if run.to_stdout else None
    carry_out(options, drawing, manifest, files, extras, MOST_SHOWN, write_to_stdout)


def _extras(run: DrawingRun, drawing: Drawing) -> list[Extra]:
    """Return the files beside the images. Raises RequestError or OutputError if one of them cannot be."""
    extras = []
    if run.options.grid is not None:
        check_sheet(drawing, shown_images(drawing, run.options.grid))
        extras.append(Extra("grid", ".png", partial(write_sheet, drawing=drawing, grid=run.options.grid)))
    if run.has_walk:
        extras.append(Extra("walk", ".gif", partial(write_walk, drawing=drawing, varied=run.varied)))
    if run.varied is not None:
        check_sheet(drawing, STEPS * min(MOST_VARIED, len(drawing.indices)))
        if run.varied != HAND:
            drawing.generator.trait_range(run.varied)  # raises if it cannot be chosen
        extras.append(Extra("vary", ".png", partial(write_steps, drawing=drawing, what=run.varied)))
    return extras


def _write_to_stdout(run: DrawingRun, drawing: Drawing) -> None:
    from pocketgan.output.standard_output import write_to_stdout

    with (
        closing(drawing.batches(run.selection.indices)) as batches,
        closing(write_to_stdout(batches, drawing, run.options.file_format)) as written,
    ):
        for _ in with_progress(written, len(drawing.indices), run.options.is_quiet):
            pass
