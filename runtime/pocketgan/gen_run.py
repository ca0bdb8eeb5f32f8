"""Runs one request of gan-gen: draws to a folder, to standard output or to the terminal, and reports what it did."""

import json
import os
import sys
import time
from collections import abc
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pocketgan.address import FULL_VARIETY
from pocketgan.console import put, tell
from pocketgan.cpus import usable_cpus
from pocketgan.drawing import Drawing
from pocketgan.errors import OutputError
from pocketgan.files import made_folder, refuse_overwriting, remove_temporaries
from pocketgan.generator import Batch, Generator
from pocketgan.locking import locked_where_possible
from pocketgan.output import manifest as manifests
from pocketgan.output.formats import Files, files_of
from pocketgan.output.manifest import remove_labels, write_labels
from pocketgan.output.sheet import check_sheet, write_sheet
from pocketgan.output.walk import write_walk
from pocketgan.request import NAMED_BY_INDEX, DrawingRun, Existing

MOST_SHOWN = 100
"""Images that are shown in a terminal, the first ones."""


def draw(run: DrawingRun) -> None:
    """Draw what is asked for, and say on stderr what was used and done.

    Raises ModelError, ProviderError or RuntimeMissingError if the model cannot be used, RequestError if it cannot draw that, and
    OutputError if something cannot be written or would be overwritten without leave.
    """
    generator = Generator.load(run.model, run.provider)
    if not run.is_quiet:
        tell(f"model {generator.path} ({generator.reason}): {generator.card.architecture}, {generator.card.precision}")
        tell(f"provider {generator.provider.value}: {generator.provider_reason}")
    began = time.monotonic()
    drawing = Drawing(generator, run.selection, run.threads or usable_cpus())
    if not run.is_quiet and run.threads is not None and drawing.threads < run.threads:
        tell(f"using {drawing.threads} threads instead of {run.threads} to limit memory")

    def watched(batches: Iterable[Batch], done_before: int = 0) -> Iterator[Batch]:
        if run.is_quiet or sys.stderr is None or not sys.stderr.isatty():
            return iter(batches)

        return with_progress_bar(batches, run.selection.count, done_before)

    drawn, where = run.selection.count, "on standard output"
    if run.folder is not None:
        drawn, where = draw_files(run, run.folder, drawing, watched), f"in {run.folder}"
    elif run.to_stdout:
        from pocketgan.output.standard_output import write_to_stdout

        with (
            closing(drawing.batches(run.selection.indices)) as batches,
            closing(write_to_stdout(batches, drawing, run.file_format)) as written,
        ):
            for _ in watched(written):
                pass
    if run.is_shown:
        from pocketgan.output.terminal import show_images

        if sys.stdout is None:
            raise OutputError("cannot write to standard output: it is closed")
        first = run.selection.indices[:MOST_SHOWN]
        show_images(np.concatenate([batch.images for batch in drawing.batches(first)]), sys.stdout)
    seconds = time.monotonic() - began
    if run.has_report:
        put(json.dumps(_report(run, drawing, drawn, seconds), indent=2))
    if not run.is_quiet and (run.folder is not None or run.to_stdout):
        tell(f"{_what_was_drawn(drawing, drawn)} {where} after {seconds:.2f} s")


def _report(run: DrawingRun, drawing: Drawing, drawn: int, seconds: float) -> dict[str, object]:
    """Return what programs may want to know of a run: its manifest, where it is, and how it went."""
    from pocketgan.output.manifest import manifest_of

    return {
        **manifest_of(run, drawing),
        "folder": None if run.folder is None else str(run.folder),
        "provider": drawing.generator.provider.value,
        "threads": drawing.threads,
        "drawn": drawn,
        "seconds": round(seconds, 6),
    }


def _what_was_drawn(drawing: Drawing, drawn: int) -> str:
    selection = drawing.selection
    what = ("image" if selection.count == 1 else "images") + ("" if selection.text is None else f" of {selection.text}")
    how = "" if drawing.truncation == FULL_VARIETY else f" at truncation {drawing.truncation:.3g}"
    new = "" if drawn == selection.count else f" ({drawn:,} of them drawn now)"
    return f"{selection.count:,} {what} of seed {selection.seed} from index {selection.start}{how}{new}"


class _Beside(NamedTuple):
    """What lies beside the images."""

    manifest: Path
    labels: Path
    sheet: Path
    walk: Path


Watch = Callable[[Iterable[Batch], int], Iterator[Batch]]
"""Passes batches on and shows how far they have come; the number is of images that were there before."""


def draw_files(run: DrawingRun, folder: Path, drawing: Drawing, watched: Watch) -> int:
    """Draw the files that are asked for into a folder, with manifest and labels, sheet and animation; return how many images.

    Nothing is written before the model has drawn its first images, so a bad one leaves nothing behind. Raises OutputError if
    files exist that may not be replaced, are of another run than the one to resume, or cannot be written.
    """
    files = files_of(run.file_format, folder, drawing)
    if run.grid is not None:
        check_sheet(drawing, run.grid)
    manifest, beside = manifests.manifest_of(run, drawing), _beside(run, folder)
    path = beside.manifest
    # Nobody else may write between looking what is there and writing.
    with made_folder(folder), _alone_with(path, run.is_quiet), ExitStack() as stack:
        existing = _what_to_do(run, files, beside, manifest, _needs_labels(drawing, files))
        missing = files.missing() if existing is Existing.resume else [drawing.selection.indices]
        left = sum(map(len, missing))
        batches = _drawn_from(drawing, missing)
        # Closed before the lock is given up: threads that draw and write must have ended by then.
        stack.callback(batches.close)
        first = list(islice(batches, 1))  # a model that cannot draw shall leave nothing behind
        names = {file.name for file in beside}
        remove_temporaries(folder, lambda name: name in names or files.is_ours(name))
        if existing is not Existing.resume:
            files.discard_unfinished()  # before a manifest says that they are of this run
        # Where the images themselves may be lost in a power cut, it need not be safer.
        write_manifest = partial(manifests.write_manifest, path, manifest, run.file_format not in NAMED_BY_INDEX)
        write_manifest(is_replacing=existing is Existing.overwrite)
        try:
            with closing(files.write(chain(first, batches), existing)) as written:
                for _ in watched(written, drawing.selection.count - left):
                    pass
        except KeyboardInterrupt:
            _tell_of_a_stop(run, folder, files, existing)
            raise
        except OutputError as error:
            raise OutputError(f"{error}; when that is mended, {_how_to_go_on(run)}") from error
        if existing is Existing.overwrite:
            write_manifest(is_replacing=False)
        if _needs_labels(drawing, files):
            write_labels(beside.labels, drawing, files.file_of)
        elif existing is Existing.overwrite:
            remove_labels(beside.labels)
        if run.grid is not None:
            write_sheet(beside.sheet, drawing, run.grid)
        if run.has_walk:
            write_walk(beside.walk, drawing)
    return left


def _beside(run: DrawingRun, folder: Path) -> _Beside:
    """Return where what lies beside the images is: one of each in a folder, unless runs of several ranges may share it."""
    start = run.selection.start
    part = f"_{start:08d}" if start and run.file_format in NAMED_BY_INDEX else ""
    names = ("manifest", ".json"), ("labels", ".csv"), ("grid", ".png"), ("walk", ".gif")
    return _Beside(*(folder / f"{name}{part}{ending}" for name, ending in names))


def _what_to_do(run: DrawingRun, files: Files, beside: _Beside, manifest: dict[str, object], has_labels: bool) -> Existing:
    """Return what is really done about files that exist: there may be nothing to resume, or it must be replaced.

    Raises OutputError if there are files that may not be replaced, or those of another run than the one to resume.
    """
    if run.existing is Existing.overwrite:
        return Existing.overwrite
    found = manifests.read_manifest(beside.manifest) if run.existing is Existing.resume else None
    if found is not None:
        manifests.refuse_another_run(beside.manifest, found, manifest)
        return Existing.overwrite if manifests.is_replacing(found) else Existing.resume
    written = (
        [beside.manifest] + [beside.labels] * has_labels + [beside.sheet] * (run.grid is not None) + [beside.walk] * run.has_walk
    )
    in_the_way = chain(files.existing(), (file for file in written if os.path.lexists(file)))
    refuse_overwriting(in_the_way, can_resume=os.path.exists(beside.manifest))
    return Existing.refuse


def _drawn_from(drawing: Drawing, missing: Iterable[range]) -> abc.Generator[Batch, None, None]:
    for indices in missing:
        yield from drawing.batches(indices)


@contextmanager
def _alone_with(path: Path, is_quiet: bool) -> Iterator[None]:
    """Hold a lock on a run, where the file system knows locks. Raises OutputError if another process is drawing the same."""
    with ExitStack() as stack:
        try:
            is_locked = stack.enter_context(locked_where_possible(path.with_name(f".{path.name}.lock")))
        except BlockingIOError as error:
            raise OutputError(f"another gan-gen is writing into {path.parent}: wait for it, or choose another --out") from error
        except OSError as error:
            raise OutputError(f"cannot write into {path.parent}: {error.strerror}; choose another --out") from error
        if not is_locked and not is_quiet:
            tell(f"{path.parent} is on a file system without locks: let no other gan-gen write into it meanwhile")
        yield


def _needs_labels(drawing: Drawing, files: Files) -> bool:
    return bool(drawing.generator.card.classes) and not files.holds_labels


def _tell_of_a_stop(run: DrawingRun, folder: Path, files: Files, existing: Existing) -> None:
    """Say how far it came when a user stops it, and how to go on."""
    if run.is_quiet:
        return
    count, done = run.selection.count, 0
    if existing is not Existing.overwrite:
        with suppress(OutputError):  # the folder that was written to just now; there is nothing better to say than 0
            done = count - sum(map(len, files.missing()))
    tell(f"stopped: {done:,} of {count:,} images are in {folder}; {_how_to_go_on(run)}")


def _how_to_go_on(run: DrawingRun) -> str:
    how = "--resume in place of --overwrite" if run.existing is Existing.overwrite else "--resume"
    return f"the same command with {how} draws the rest"


def with_progress_bar(batches: Iterable[Batch], count: int, done_before: int = 0) -> Iterator[Batch]:
    """Pass batches on, and show on the terminal how many of `count` images have come, how fast, and how long the rest will take.

    A run that is resumed begins with those that were there before.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} images/s"),
        TimeRemainingColumn(),
    )
    began = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("images", total=count, completed=done_before, rate="")
        done = 0
        for batch in batches:
            yield batch
            done += len(batch.images)
            progress.update(task, completed=done_before + done, rate=f"{done / (time.monotonic() - began):,.0f}")
