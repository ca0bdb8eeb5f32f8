"""Runs one request of gan-gen: draws to a folder, to standard output or to the terminal, and reports what it did."""

import json
import os
import sys
import time
from collections import abc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, compress, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pocketgan.address import FULL_VARIETY
from pocketgan.console import print_message, print_output
from pocketgan.cpus import usable_cpus
from pocketgan.drawing import Drawing
from pocketgan.errors import OutputError
from pocketgan.files import made_folder, refuse_overwriting, remove_temporaries
from pocketgan.generator import Batch, Generator
from pocketgan.locking import locked_where_possible
from pocketgan.model.session import Provider
from pocketgan.output import manifest as manifests
from pocketgan.output.formats import Files, Format
from pocketgan.output.sheet import MOST_VARIED, STEPS, check_sheet, write_sheet, write_steps
from pocketgan.output.walk import write_walk
from pocketgan.request import Existing, Grid, Selection

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
    """The trait of which a sheet shows the first images in steps; None for no such sheet."""
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
    generator = Generator.load(run.model, run.provider)
    if not run.is_quiet:
        print_message(f"model {generator.path} ({generator.reason}): {generator.card.architecture}, {generator.card.precision}")
        print_message(f"provider {generator.provider.value}: {generator.provider_reason}")
    began = time.monotonic()
    drawing = Drawing(generator, run.selection, run.threads or usable_cpus())
    if not run.is_quiet and run.threads is not None and drawing.threads < run.threads:
        print_message(f"using {drawing.threads} threads instead of {run.threads} to limit memory")

    drawn, where = run.selection.count, "on standard output"
    if run.folder is not None:
        drawn, where = _write_folder(run, run.folder, drawing), f"in {run.folder}"
    elif run.to_stdout:
        _write_to_stdout(run, drawing)
    if run.is_shown:
        _show(drawing)

    seconds = time.monotonic() - began
    if run.has_report:
        report = {
            **_manifest(run, drawing),
            "folder": None if run.folder is None else str(run.folder),
            "provider": generator.provider.value,
            "threads": drawing.threads,
            "drawn": drawn,
            "seconds": round(seconds, 6),
        }
        print_output(json.dumps(report, indent=2))
    if not run.is_quiet and (run.folder is not None or run.to_stdout):
        print_message(f"{_summary(drawing, drawn)} {where} after {seconds:.2f} s")


def _summary(drawing: Drawing, drawn: int) -> str:
    selection = drawing.selection
    what = ("image" if selection.count == 1 else "images") + ("" if selection.text is None else f" of {selection.text}")
    how = "" if drawing.selection.truncation == FULL_VARIETY else f" at truncation {drawing.selection.truncation:.3g}"
    if selection.hand is not None:
        how += f" by hand {selection.about_writing['hand']} at consistency {selection.hand.consistency:.3g}"
    how += "".join(f", {trait.name} {trait}" for trait in selection.asked)
    new = "" if drawn == selection.count else f" ({drawn:,} of them drawn now)"
    return f"{selection.count:,} {what} of seed {selection.seed} from index {selection.start}{how}{new}"


def _write_to_stdout(run: DrawingRun, drawing: Drawing) -> None:
    from pocketgan.output.standard_output import write_to_stdout

    with (
        closing(drawing.batches(run.selection.indices)) as batches,
        closing(write_to_stdout(batches, drawing, run.file_format)) as written,
    ):
        for _ in _with_progress(run, written):
            pass


def _show(drawing: Drawing) -> None:
    """Show the first images in the terminal."""
    from pocketgan.output.terminal import show_images

    if sys.stdout is None:
        raise OutputError("cannot write to standard output: it is closed")
    first = drawing.selection.indices[:MOST_SHOWN]
    show_images(np.concatenate([batch.images for batch in drawing.batches(first)]), sys.stdout)


def _with_progress(run: DrawingRun, batches: Iterable[Batch], done_before: int = 0) -> Iterator[Batch]:
    """Pass batches on, and show a progress bar if stderr is a terminal.

    `done_before` is the number of images that a resumed run has already.
    """
    if run.is_quiet or sys.stderr is None or not sys.stderr.isatty():
        yield from batches
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]} images/s"), TimeRemainingColumn()
    began, done = time.monotonic(), 0
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("images", total=run.selection.count, completed=done_before, rate="")
        for batch in batches:
            yield batch
            done += len(batch.images)
            progress.update(task, completed=done_before + done, rate=f"{done / (time.monotonic() - began):,.0f}")


class _ExtraFiles(NamedTuple):
    """The files beside the images. If several ranges may share a folder, each has its own."""

    manifest: Path
    labels: Path
    sheet: Path
    walk: Path
    steps: Path


def _write_folder(run: DrawingRun, folder: Path, drawing: Drawing) -> int:
    """Write the images, and the manifest, labels, sheet and animation; return how many images were drawn.

    Nothing is written before the model has drawn its first images, so a model that fails leaves nothing behind. Raises
    OutputError if a file cannot be written, exists and may not be replaced, or is from another run than the one to resume.
    """
    files = run.file_format.row.files(folder, drawing)
    has_labels = bool(drawing.generator.card.classes) and not files.holds_labels
    if run.grid is not None:
        check_sheet(drawing, run.grid)
    if run.varied is not None:
        check_sheet(drawing, Grid(STEPS, MOST_VARIED))
        drawing.generator.trait_range(run.varied)  # raises if it cannot be chosen
    manifest, extra = _manifest(run, drawing), _extra_files(run, folder)
    # No other process may write between the look for existing files and the writing.
    with made_folder(folder), _run_lock(extra.manifest, run.is_quiet), ExitStack() as stack:
        existing = _resolved_existing(run, files, extra, manifest, has_labels)
        missing = files.missing() if existing is Existing.resume else [drawing.selection.indices]
        left = sum(map(len, missing))
        batches = _batches(drawing, missing)
        # Closed before the lock is released: threads that draw and write must have ended by then.
        stack.callback(batches.close)
        first = list(islice(batches, 1))
        names = {file.name for file in extra}
        remove_temporaries(folder, lambda name: name in names or files.is_ours(name), is_alone=True)
        if existing is not Existing.resume:
            files.discard_unfinished()  # before the manifest claims them for this run
        # A power cut may lose single images too, so the manifest is no safer than they are.
        is_synced = not run.file_format.row.is_named_by_index
        write_manifest = partial(manifests.write_manifest, extra.manifest, manifest, is_synced)
        write_manifest(is_replacing=existing is Existing.overwrite)
        try:
            with closing(files.write(chain(first, batches), existing)) as written:
                for _ in _with_progress(run, written, drawing.selection.count - left):
                    pass
        except KeyboardInterrupt:
            _report_a_stop(run, files, existing)
            raise
        except OutputError as error:
            raise OutputError(f"{error}; once that is fixed, {_resume_hint(run)}") from error
        if existing is Existing.overwrite:
            write_manifest(is_replacing=False)
        if has_labels:
            manifests.write_labels(extra.labels, drawing, files.file_of)
        elif existing is Existing.overwrite:
            manifests.remove_labels(extra.labels)
        if run.grid is not None:
            write_sheet(extra.sheet, drawing, run.grid)
        if run.has_walk:
            write_walk(extra.walk, drawing)
        if run.varied is not None:
            write_steps(extra.steps, drawing, run.varied)
    return left


def _manifest(run: DrawingRun, drawing: Drawing) -> dict[str, object]:
    return manifests.manifest_of(drawing, run.file_format, run.grid, run.has_walk, run.varied)


def _extra_files(run: DrawingRun, folder: Path) -> _ExtraFiles:
    start = run.selection.start
    part = f"_{start:08d}" if start and run.file_format.row.is_named_by_index else ""
    names = ("manifest", ".json"), ("labels", ".csv"), ("grid", ".png"), ("walk", ".gif"), ("vary", ".png")
    return _ExtraFiles(*(folder / f"{name}{part}{ending}" for name, ending in names))


@contextmanager
def _run_lock(manifest: Path, is_quiet: bool) -> Iterator[None]:
    """Hold the lock of a run, if the file system has locks. Raises OutputError if another process holds it."""
    folder = manifest.parent
    with ExitStack() as stack:
        try:
            is_locked = stack.enter_context(locked_where_possible(manifest.with_name(f".{manifest.name}.lock")))
        except BlockingIOError as error:
            raise OutputError(f"another gan-gen is writing into {folder}: wait for it, or choose another --out") from error
        except OSError as error:
            raise OutputError(f"cannot write into {folder}: {error.strerror}; choose another --out") from error
        if not is_locked and not is_quiet:
            print_message(f"{folder} is on a file system without locks: do not run another gan-gen in it at the same time")
        yield


def _resolved_existing(
    run: DrawingRun, files: Files, extra: _ExtraFiles, manifest: Mapping[str, object], has_labels: bool
) -> Existing:
    """Return how to treat existing files: as requested, but a run that was stopped while it replaced older files begins again.

    Raises OutputError if files exist that may not be replaced, or that are from another run than the one to resume.
    """
    if run.existing is Existing.overwrite:
        return Existing.overwrite
    found = manifests.read_manifest(extra.manifest) if run.existing is Existing.resume else None
    if found is not None:
        manifests.refuse_another_run(extra.manifest, found, manifest)
        return Existing.overwrite if manifests.is_replacing(found) else Existing.resume
    is_written = (True, has_labels, run.grid is not None, run.has_walk, run.varied is not None)
    in_the_way = (path for path in compress(extra, is_written) if os.path.lexists(path))
    refuse_overwriting(chain(files.existing(), in_the_way), can_resume=os.path.exists(extra.manifest))
    return Existing.refuse


def _batches(drawing: Drawing, missing: Iterable[range]) -> abc.Generator[Batch, None, None]:
    for indices in missing:
        yield from drawing.batches(indices)


def _report_a_stop(run: DrawingRun, files: Files, existing: Existing) -> None:
    """Print how many images a stopped run has written, and how to resume it."""
    if run.is_quiet:
        return
    count, done = run.selection.count, 0
    if existing is not Existing.overwrite:
        with suppress(OutputError):  # if the folder cannot be read, 0 is the safe answer
            done = count - sum(map(len, files.missing()))
    print_message(f"stopped: {done:,} of {count:,} images are in {run.folder}; {_resume_hint(run)}")


def _resume_hint(run: DrawingRun) -> str:
    how = "--resume in place of --overwrite" if run.existing is Existing.overwrite else "--resume"
    return f"the same command with {how} draws the rest"
