"""Files in a folder: from what was asked for to what lies there, kept whole, never lost, and completed where it was stopped."""

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain
from pathlib import Path

from pocketgan.console import tell
from pocketgan.drawing import Drawing
from pocketgan.drawing_run import DrawingRun, Existing, Format
from pocketgan.errors import OutputError
from pocketgan.generator import Batch
from pocketgan.locking import locked_or_refused
from pocketgan.output import manifest as manifests
from pocketgan.output.folder import prepare_folder, refuse_overwriting, remove_leftovers
from pocketgan.output.formats import Files, files_of
from pocketgan.output.labels_file import labels_path, write_labels
from pocketgan.output.png_files import PngFiles
from pocketgan.output.sheet import GRID_NAME, check_sheet, write_sheet
from pocketgan.output.walk_file import WALK_NAME, write_walk

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)

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
    manifest, path = manifests.manifest_of(run, drawing), manifests.manifest_path(folder, run.file_format, run.selection.start)
    existing = _what_to_do(run, folder, files, path, manifest)
    missing = files.missing() if existing is Existing.resume else [drawing.selection.indices]
    left = sum(map(len, missing))
    batches = _with_first_drawn(chain.from_iterable(map(drawing.batches, missing)))

    prepare_folder(folder)
    with _alone_with(path):
        if run.existing is not Existing.refuse:
            beside = (path.name, labels_path(folder, drawing.selection.start).name, GRID_NAME, WALK_NAME)
            remove_leftovers(folder, beside.__contains__)
        manifests.write_manifest(path, manifest, is_replacing=existing is Existing.overwrite)
        try:
            for _ in watched(files.write(batches, existing), drawing.selection.count - left):
                pass
        except KeyboardInterrupt:
            _tell_of_a_stop(run, folder, files, existing)
            raise
        except OutputError as error:
            raise OutputError(f"{error}; when that is mended, {_how_to_go_on(run)}") from error
        _write_labels(run, folder, drawing, files)
        if run.grid is not None:
            write_sheet(folder / GRID_NAME, drawing, run.grid)
        if run.has_walk:
            write_walk(folder / WALK_NAME, drawing)
        if existing is Existing.overwrite:
            manifests.write_manifest(path, manifest, is_replacing=False)
    return left


def _what_to_do(run: DrawingRun, folder: Path, files: Files, path: Path, manifest: dict[str, object]) -> Existing:
    """Return what is really done about files that exist: there may be nothing to resume, or it must be replaced.

    Raises OutputError if there are files that may not be replaced, or those of another run than the one to resume.
    """
    if run.existing is Existing.overwrite:
        return Existing.overwrite
    found = manifests.read_manifest(path) if run.existing is Existing.resume else None
    if found is not None:
        manifests.refuse_another_run(path, found, manifest)
        return Existing.overwrite if manifests.is_replacing(found) else Existing.resume
    beside = [path, labels_path(folder, run.selection.start)]
    beside += [folder / GRID_NAME] * (run.grid is not None) + [folder / WALK_NAME] * run.has_walk
    in_the_way = [*files.existing(), *(file for file in beside if os.path.exists(file))]
    refuse_overwriting(in_the_way, can_resume=path in in_the_way)
    return Existing.refuse


def _with_first_drawn(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Return the same batches, the first of them drawn already."""
    return chain([first], batches) if (first := next(batches, None)) is not None else iter(())


@contextmanager
def _alone_with(path: Path) -> Iterator[None]:
    """Hold a lock on a run, where the file system knows locks. Raises OutputError if another process is drawing the same."""
    with ExitStack() as stack:
        try:
            stack.enter_context(locked_or_refused(path.with_name(f".{path.name}.lock")))
        except BlockingIOError as error:
            raise OutputError(f"another gan-gen is writing into {path.parent}: wait for it, or choose another --out") from error
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise OutputError(f"cannot write into {path.parent}: {error.strerror}; choose another --out") from error
            tell(f"{path.parent} is on a file system without locks: let no other gan-gen write into it meanwhile")
        yield


def _write_labels(run: DrawingRun, folder: Path, drawing: Drawing, files: Files) -> None:
    """Write the labels of a model with classes, if the images' own files do not hold them."""
    if not drawing.generator.card.classes:
        return
    if isinstance(files, PngFiles):
        write_labels(folder, drawing, files.name)
    elif run.file_format is Format.raw:
        write_labels(folder, drawing, None)


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
