"""Writes a series of images into a folder, with a manifest, labels and other files beside them; a stopped run can be resumed."""

import json
import os
import sys
import time
from collections import abc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path

import numpy as np

from pocketgan.console import print_message, print_output
from pocketgan.errors import OutputError
from pocketgan.files import file_names, made_folder, refuse_overwriting, remove_temporaries
from pocketgan.generator import Batch, Generator
from pocketgan.locking import locked_where_possible
from pocketgan.model.session import Provider
from pocketgan.output import manifest as manifests
from pocketgan.output.formats import Files, Format
from pocketgan.request import Existing, Grid
from pocketgan.series import Series


@dataclass(frozen=True)
class Extra:
    """A file beside the images. If several ranges may share a folder, each has its own."""

    name: str
    ending: str
    write: Callable[[Path], None] = lambda path: None
    """Writes it when all images are there. Raises OutputError if that fails."""
    follow: Callable[[Path, Iterable[Batch]], abc.Generator[Batch, None, None]] | None = None
    """Writes it while all images are drawn, and passes these on; None if `write` writes it. Raises OutputError if that fails."""
    is_ours: Callable[[str], bool] = lambda name: False
    """Whether it also writes a file of this name into the folder of the images."""
    files_of: Callable[[Path], Iterable[Path]] = lambda path: [path]
    """All files that it writes."""


@dataclass(frozen=True)
class RunOptions:
    """The options that gan-gen and gan-write share: the model, where images go, and what is printed."""

    model: str | None
    """A name or a path; None for `model.onnx` here, else the bundled default."""
    provider: Provider
    threads: int | None
    """None for the CPUs that this process may use."""
    folder: Path | None
    """Where the files go, made if it does not exist; None for no files."""
    file_format: Format
    existing: Existing
    grid: Grid | None
    """Columns and rows of a sheet of the first images; None for no sheet."""
    is_shown: bool
    """Whether the first images are shown in the terminal."""
    is_quiet: bool
    has_report: bool
    """Whether a JSON report is printed at the end."""


@dataclass(frozen=True)
class FolderRun:
    """A folder of images, and what else goes into it."""

    folder: Path
    """Made if it does not exist."""
    files: Files
    """The files of the images."""
    extras: Sequence[Extra]
    manifest: Mapping[str, object]
    """What `manifest_of` returned."""
    options: RunOptions


def opened(options: RunOptions) -> Generator:
    """Open the model, and print which one, and where it runs. Raises the errors of `Generator.load`."""
    generator = Generator.load(options.model, options.provider)
    if not options.is_quiet:
        print_message(f"model {generator.path} ({generator.reason}): {generator.card.architecture}, {generator.card.precision}")
        print_message(f"provider {generator.provider.value}: {generator.provider_reason}")
    return generator


def carry_out(
    options: RunOptions,
    series: Series,
    manifest: Mapping[str, object],
    files: Files | None,
    extras: Sequence[Extra],
    most_shown: int,
    write_to_stdout: Callable[[], None] | None = None,
) -> None:
    """Draw the images of `series` into files in a folder, to standard output or to the terminal, and print what the options say.

    Raises OutputError if a file cannot be written, or exists and `--overwrite` was not given.
    """
    began = time.monotonic()
    if not options.is_quiet and options.threads is not None and series.threads < options.threads:
        print_message(f"using {series.threads} threads instead of {options.threads} to limit memory")
    drawn: int | None = len(series.indices)
    where = None
    if options.folder is not None and files is not None:
        drawn = write_folder(FolderRun(options.folder, files, extras, manifest, options), series)
        where = f"in {options.folder}"
    elif write_to_stdout is not None:
        write_to_stdout()
        where = "on standard output"
    if options.is_shown:
        show_first(series, most_shown)
    seconds = time.monotonic() - began
    if options.has_report:
        print_report(series, manifest, options.folder, drawn or 0, seconds)
    if not options.is_quiet and where is not None:
        print_message(f"{series.summary}{_drawn_now(drawn, len(series.indices))} {where} after {seconds:.2f} s")


def _drawn_now(drawn: int | None, count: int) -> str:
    """Return what to say if fewer of a run's images were drawn than it has; None stands for a run that was there already."""
    if drawn is None:
        return " (already there, the same)"
    return "" if drawn == count else f" ({drawn:,} of them drawn now)"


def print_report(drawing: Series, manifest: Mapping[str, object], folder: Path | None, drawn: int, seconds: float) -> None:
    """Print what was drawn, and where, as JSON for programs."""
    report = {
        **manifest,
        "folder": None if folder is None else str(folder),
        "provider": drawing.generator.provider.value,
        "threads": drawing.threads,
        "drawn": drawn,
        "seconds": round(seconds, 6),
    }
    print_output(json.dumps(report, indent=2))


def show_first(drawing: Series, most: int) -> None:
    """Show the first images in the terminal, `most` at most. Raises OutputError if standard output is closed."""
    from pocketgan.output.terminal import show_images

    if sys.stdout is None:
        raise OutputError("cannot write to standard output: it is closed")
    show_images(np.concatenate([batch.images for batch in drawing.batches(drawing.indices[:most])]), sys.stdout)


def with_progress(batches: Iterable[Batch], count: int, is_quiet: bool, done_before: int = 0) -> Iterator[Batch]:
    """Pass batches of `count` images on, and show a progress bar if stderr is a terminal.

    `done_before` is the number of images that a resumed run has already.
    """
    if is_quiet or sys.stderr is None or not sys.stderr.isatty():
        yield from batches
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]} images/s"), TimeRemainingColumn()
    began, done = time.perf_counter(), 0
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("images", total=count, completed=done_before, rate="")
        for batch in batches:
            yield batch
            done += len(batch.images)
            progress.update(task, completed=done_before + done, rate=f"{done / (time.perf_counter() - began):,.0f}")


def write_folder(run: FolderRun, drawing: Series) -> int | None:
    """Write the images into their files, the manifest, their labels and the other files; return how many images were drawn.

    Nothing is written before the model has drawn its first images, so a model that fails leaves nothing behind. If the folder
    holds this run already, complete, nothing is written and it returns None. Raises OutputError if a file cannot be written,
    exists and may not be replaced, or is from another run than the one to resume.
    """
    folder, files, options = run.folder, run.files, run.options
    has_labels = bool(drawing.generator.card.classes) and not files.holds_labels
    manifest, labels, *others = (_beside(run, drawing, name, ending) for name, ending in _files_beside(run))
    # No other process may write between the look for existing files and the writing.
    with made_folder(folder), _run_lock(manifest, drawing.command[0], options.is_quiet), ExitStack() as stack:
        existing = _resolved_existing(run, [manifest, *[labels] * has_labels, *others])
        if existing is None:
            return None
        missing = files.missing() if existing is Existing.resume else [drawing.indices]
        left = sum(map(len, missing))
        batches = _batches(drawing, missing)
        # Closed before the lock is released: threads that draw and write must have ended by then.
        stack.callback(batches.close)
        first = list(islice(batches, 1))
        names = {file.name for file in (manifest, labels, *others)}
        remove_temporaries(folder, lambda name: name in names or files.is_ours(name) or _is_extra(run, name), is_alone=True)
        if existing is not Existing.resume:
            files.discard_unfinished()  # before the manifest claims them for this run
        # A power cut may lose single images too, so the manifest is no safer than they are.
        is_synced = not options.file_format.row.is_named_by_index
        beside = [path.name for path in others]
        older = manifests.older_manifest(manifest) if existing is Existing.overwrite else {}
        manifests.remove_older(folder, older, beside)
        write_manifest = partial(manifests.write_manifest, manifest, run.manifest, beside, is_synced)
        write_manifest(is_replacing=existing is Existing.overwrite, is_finished=False)
        try:
            _write_images(run, drawing, files.write(chain(first, batches), existing), left, others, stack)
            if existing is Existing.overwrite:
                write_manifest(is_replacing=False, is_finished=False)
            if has_labels:
                manifests.write_labels(labels, drawing, files.file_of)
            elif existing is Existing.overwrite:
                manifests.remove_labels(labels)
            for extra, path in zip(run.extras, others, strict=True):
                extra.write(path)
            write_manifest(is_replacing=False, is_finished=True)
            stay = manifests.images_that_stay(older, run.manifest, options.file_format.row.images_in_file)
            if stay and not options.is_quiet:
                print_message(
                    f"not replaced, and still in {folder}: {stay:,} {'image' if stay == 1 else 'images'} of an older run"
                )
        except KeyboardInterrupt:
            _report_a_stop(run, existing, len(drawing.indices))
            raise
        except OutputError as error:
            raise OutputError(f"{error}; once that is fixed, {_resume_hint(run)}") from error
    return left


def _files_beside(run: FolderRun) -> list[tuple[str, str]]:
    return [("manifest", ".json"), ("labels", ".csv"), *((extra.name, extra.ending) for extra in run.extras)]


def _beside(run: FolderRun, drawing: Series, name: str, ending: str) -> Path:
    """Return the path of a file beside the images."""
    start = drawing.indices.start
    part = f"_{start:08d}" if start and run.options.file_format.row.is_named_by_index else ""
    return run.folder / f"{name}{part}{ending}"


@contextmanager
def _run_lock(manifest: Path, program: str, is_quiet: bool) -> Iterator[None]:
    """Hold the lock of a run, if the file system has locks. Raises OutputError if another process holds it."""
    folder = manifest.parent
    with ExitStack() as stack:
        try:
            is_locked = stack.enter_context(locked_where_possible(manifest.with_name(f".{manifest.name}.lock")))
        except BlockingIOError as error:
            raise OutputError(f"another {program} is writing into {folder}: wait for it, or choose another --out") from error
        except OSError as error:
            raise OutputError(f"cannot write into {folder}: {error.strerror}; choose another --out") from error
        if not is_locked and not is_quiet:
            print_message(f"{folder} is on a file system without locks: do not run another {program} in it at the same time")
        yield


def _resolved_existing(run: FolderRun, beside: Sequence[Path]) -> Existing | None:
    """Return how to treat existing files: as requested, but a run that was stopped while it replaced older files begins again.

    None means that this very run is there already. Raises OutputError if files exist that may not be replaced, or that are from
    another run than the one to resume.
    """
    manifest = beside[0]
    if run.options.existing is Existing.overwrite:
        return Existing.overwrite
    try:
        found = manifests.read_manifest(manifest)
    except OutputError:
        if run.options.existing is Existing.resume:
            raise
        found = None  # it is in the way like any other file
    if found is not None and run.options.existing is Existing.resume:
        manifests.refuse_another_run(manifest, found, run.manifest)
        return Existing.overwrite if manifests.is_replacing(found) else Existing.resume
    differences = [] if found is None else manifests.differences(found, run.manifest)
    if found is not None and not differences and manifests.is_finished(found) and _is_complete(run, beside):
        return None
    more = (run.folder / name for name in file_names(run.folder) if _is_extra(run, name))
    in_the_way = chain((path for path in beside if os.path.lexists(path)), more)
    refuse_overwriting(chain(run.files.existing(), in_the_way), can_resume=found is not None, differences=differences)
    return Existing.refuse


def _is_complete(run: FolderRun, beside: Sequence[Path]) -> bool:
    """Return whether all images and the files beside them are there. Raises OutputError if one cannot be read."""
    paths = beside[len(beside) - len(run.extras) :]
    of_extras = (file for extra, path in zip(run.extras, paths, strict=True) for file in extra.files_of(path))
    return all(map(os.path.lexists, chain(beside, of_extras))) and not run.files.missing()


def _is_extra(run: FolderRun, name: str) -> bool:
    return any(extra.is_ours(name) for extra in run.extras)


def _write_images(
    run: FolderRun, drawing: Series, written: abc.Generator[Batch, None, None], left: int, paths: Sequence[Path], stack: ExitStack
) -> None:
    """Write the `left` images that are missing, and the extras that follow all images, to their paths.

    If some images are there already, all are drawn once more for these. `stack` closes what is open if the run is stopped.
    """
    stack.callback(written.close)
    count = len(drawing.indices)
    passes: list[abc.Generator[Batch, None, None]] = [written]
    if left < count and any(extra.follow for extra in run.extras):
        passes.append(_batches(drawing, [drawing.indices]))
    for extra, path in zip(run.extras, paths, strict=True):
        if extra.follow is not None:
            passes[-1] = extra.follow(path, passes[-1])
            stack.callback(passes[-1].close)
    for batches, done_before in zip(passes, (count - left, 0), strict=False):
        for _ in with_progress(batches, count, run.options.is_quiet, done_before):
            pass


def _batches(drawing: Series, missing: Iterable[range]) -> abc.Generator[Batch, None, None]:
    for indices in missing:
        yield from drawing.batches(indices)


def _report_a_stop(run: FolderRun, existing: Existing, count: int) -> None:
    """Print how many images a stopped run has written, and how to resume it."""
    if run.options.is_quiet:
        return
    done = 0
    if existing is not Existing.overwrite:
        with suppress(OutputError):  # if the folder cannot be read, 0 is the safe answer
            done = count - sum(map(len, run.files.missing()))
    print_message(f"stopped: {done:,} of {count:,} images are in {run.folder}; {_resume_hint(run)}")


def _resume_hint(run: FolderRun) -> str:
    how = "--resume in place of --overwrite" if run.options.existing is Existing.overwrite else "--resume"
    return f"the same command with {how} draws the rest"
