"""Drawing into files: from what was asked for to what lies in the folder, and what is said on the way."""

import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pocketgan import writers
from pocketgan.console import tell
from pocketgan.cpus import usable_cpus
from pocketgan.digit_spec import labels_of_names
from pocketgan.drawing_run import DrawingRun, Format
from pocketgan.finish import finished
from pocketgan.generator import BATCH_SIZE, Batch, Digits, Generator
from pocketgan.idx_files import all_idx_names, write_idx_files
from pocketgan.progress_bar import with_progress_bar
from pocketgan.text_rows import text_labels, text_rows
from pocketgan.truncation import FULL_VARIETY, TRUNCATION_UNITS, truncation_units


def draw_files(run: DrawingRun) -> None:
    """Draw what is asked for into files, and say on stderr what was used and done.

    Files appear whole. Raises ModelError, ProviderError or RuntimeMissingError if the model cannot be used, RequestError if it
    cannot draw that, and OutputError if a file cannot be written or would be overwritten without leave.
    """
    generator = Generator.load(run.model, run.provider)
    if not run.is_quiet:
        tell(f"model {generator.path} ({generator.reason}): {generator.card.architecture}, {generator.card.precision}")
        tell(f"provider {generator.provider.value}: {generator.provider_reason}")
    began = time.monotonic()
    chosen = None if run.names is None else labels_of_names(generator.card, run.names)
    threads = run.threads or usable_cpus()
    if run.text is None:
        drawn = generator.stream(run.count, chosen, run.seed, run.start, threads, truncation=run.truncation)
    else:
        drawn = text_rows(generator, run.text, run.count, run.seed, run.start, threads, truncation=run.truncation)

    writers.prepare_folder(run.folder)
    if not run.may_overwrite:
        _refuse_overwriting(run)
    written = _written(run, generator, chosen, finished(drawn, run.height, run.is_inverted, threads), threads)
    if not run.is_quiet and sys.stderr is not None and sys.stderr.isatty():
        written = with_progress_bar(written, run.count)
    written = _telling_of_a_stop(written, run)
    if run.has_sheet:
        _write_sheet(run, written)
    else:
        for _ in written:
            pass
    if not run.is_quiet:
        tell(f"{_what_was_drawn(run)} in {run.folder} after {time.monotonic() - began:.2f} s")


def _refuse_overwriting(run: DrawingRun) -> None:
    """Raise OutputError if a file that is to be written is there already."""
    single_files = [writers.GRID_NAME] * run.has_sheet
    if run.file_format is Format.png:
        writers.refuse_overwriting_images(run.folder, run.start, run.count)
    elif run.file_format is Format.npz:
        single_files.append(writers.NPZ_NAME)
    else:
        single_files += all_idx_names(run.file_format is Format.idx_gz)
    writers.refuse_overwriting(run.folder, single_files)


def _written(
    run: DrawingRun, generator: Generator, chosen: Digits | None, batches: Iterable[Batch], threads: int
) -> Iterator[Batch]:
    """Write batches in the format that was asked for, and pass them on."""
    if run.file_format in (Format.idx, Format.idx_gz):
        return write_idx_files(run.folder, batches, run.count, run.file_format is Format.idx_gz)
    if run.file_format is Format.npz:
        labels = partial(generator.labels, digits=chosen) if run.text is None else partial(text_labels, generator, run.text)
        return writers.write_npz_file(run.folder / writers.NPZ_NAME, batches, run.start, run.count, labels)
    older = writers.images_by_index(run.folder, run.start, run.count) if run.may_overwrite else {}
    about: dict[str, str | int | float] = {"model": generator.sha256, "seed": run.seed, "truncation": _used_truncation(run)}
    about |= {} if run.height is None else {"height": run.height}
    about |= {"inverted": True} if run.is_inverted else {}
    # Threads that would have no batch to write take milliseconds to start.
    batches_of_all = -(-run.count * len(run.text or "1") // BATCH_SIZE)
    return writers.write_png_files(run.folder, batches, generator.card, older, min(threads, batches_of_all), about)


def _write_sheet(run: DrawingRun, written: Iterable[Batch]) -> None:
    """Wait for all batches, and write the first images on a sheet."""
    on_sheet: list[NDArray[np.uint8]] = []
    for batch in written:
        _, height, width = batch.images.shape
        most = writers.images_on_sheet(height, width, characters=len(run.text or "1"))
        if batch.start < run.start + most:
            on_sheet.append(batch.images[: run.start + most - batch.start])
    writers.write_grid(run.folder / writers.GRID_NAME, np.concatenate(on_sheet))


def _telling_of_a_stop(written: Iterable[Batch], run: DrawingRun) -> Iterator[Batch]:
    """Pass batches on, and say how far it came if a user stops it."""
    done = 0
    try:
        for batch in written:
            done += len(batch.images)
            yield batch
    except KeyboardInterrupt:
        if not run.is_quiet:
            written_by_now = done if run.file_format is Format.png else 0
            tell(f"stopped: {written_by_now:,} of {run.count:,} images are in {run.folder}")
        raise


def _used_truncation(run: DrawingRun) -> float:
    return truncation_units(run.truncation) / TRUNCATION_UNITS


def _what_was_drawn(run: DrawingRun) -> str:
    what = ("image" if run.count == 1 else "images") + ("" if run.text is None else f" of {run.text}")
    used = _used_truncation(run)
    how = "" if used == FULL_VARIETY else f" at truncation {used:.3g}"
    return f"{run.count:,} {what} of seed {run.seed} from index {run.start}{how}"
