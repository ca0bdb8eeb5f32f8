"""Drawing as gan-gen does it: to files, to standard output or to the terminal, and saying what is done."""

import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing

import numpy as np

from pocketgan.console import put, tell
from pocketgan.cpus import usable_cpus
from pocketgan.drawing import Drawing
from pocketgan.drawing_run import DrawingRun
from pocketgan.errors import OutputError
from pocketgan.generator import Batch, Generator
from pocketgan.truncation import FULL_VARIETY

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
        from pocketgan.output.progress_bar import with_progress_bar

        return with_progress_bar(batches, run.selection.count, done_before)

    drawn, where = run.selection.count, "on standard output"
    if run.folder is not None:
        from pocketgan.draw_files import draw_files

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
