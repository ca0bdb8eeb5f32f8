"""`gan-export`: turns a checkpoint into one ONNX file, or C file."""

import math
import os
import re
from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from pocketgan import shared_options
from pocketgan.console import cli_errors, command_line, print_message, printable, run_and_exit
from pocketgan.help_page import PlainCommand, examples

if TYPE_CHECKING:
    from pocketgan_trainer.export.exporter import ExportReport
    from pocketgan_trainer.training.checkpoint import Checkpoint
    from pocketgan_trainer.training.run_folder import RunFolder

app = command_line()


_ONE_LICENCE = r"\(*[A-Za-z0-9][A-Za-z0-9.+-]*\)*"
_SPDX = re.compile(rf"{_ONE_LICENCE}( (AND|OR|WITH) {_ONE_LICENCE})*")


class Precision(StrEnum):
    """The type of numbers that the file computes with."""

    int8 = "int8"
    fp16 = "fp16"
    fp32 = "fp32"


@app.command(
    cls=PlainCommand,
    epilog=examples(
        "gan-export model.onnx",
        "gan-export nano.onnx --checkpoint runs/0002-nano-mnist",
        "gan-export model.c",
    ),
)
def export(
    target: Annotated[Path, typer.Argument(metavar="PATH", help="The file to write, such as model.onnx, or model.c.")],
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="A checkpoint, a run folder or a folder of runs.", show_default="the newest run's best in ./runs"),
    ] = None,
    precision: Annotated[
        Precision, typer.Option(case_sensitive=False, help="int8 for CPUs; fp16 or fp32 for CUDA.")
    ] = Precision.int8,
    least_psnr_db: Annotated[
        float | None,
        typer.Option(
            "--min-psnr",
            metavar="DB",
            min=0,
            max=100,
            help="Refuse a file if the PSNR of its pixels, compared with torch's, is lower.",
            show_default="depends on preset and precision",
        ),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(metavar="SPDX", help="The licence of the weights, such as MIT, for the card.", show_default="not stated"),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that another checkpoint made.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write the file even if checks fail, and print the failures.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what was measured as JSON, even if the file is refused.")] = False,
    version: shared_options.Version = False,
) -> None:
    """Export a trained generator to one self-describing ONNX file, or to C.

    The file is checked before it appears: its kernels, whether its sums could overflow on any processor, its pixels compared with
    torch's, and whether they depend on the batch. It replaces only a file that was made from the same checkpoint.
    """
    if target.suffix not in (".onnx", ".c"):
        message = f"{target} does not end in .onnx or .c: PATH is the file to write; name a checkpoint with --checkpoint"
        raise typer.BadParameter(printable(message), param_hint="PATH")
    if target.suffix == ".c" and precision is not Precision.int8:
        raise typer.BadParameter("a C file computes with whole numbers alone: expected int8", param_hint="--precision")
    if least_psnr_db is not None and math.isnan(least_psnr_db):
        raise typer.BadParameter("nan is not in the range from 0 to 100", param_hint="--min-psnr")
    if licence is not None and (len(licence) > 100 or not _SPDX.fullmatch(licence)):
        message = f"{printable(licence)} is not an SPDX identifier: expected one such as MIT, CC-BY-4.0 or LicenseRef-mine"
        raise typer.BadParameter(message, param_hint="--licence")
    with cli_errors():
        _export(target, checkpoint, precision, least_psnr_db, licence, overwrite, force, json)


def _export(
    target: Path,
    checkpoint_path: Path | None,
    precision: Precision,
    least_psnr_db: float | None,
    licence: str | None,
    overwrite: bool,
    force: bool,
    json: bool,
) -> None:
    from pocketgan.model.card import UNSTATED_LICENCE
    from pocketgan.model.session import import_onnxruntime
    from pocketgan_trainer.requirements import require_training_extra

    require_training_extra()
    import_onnxruntime()
    from pocketgan_trainer.errors import ExportError
    from pocketgan_trainer.export.exporter import export as run_export
    from pocketgan_trainer.export.exporter import refusal_json, report_json
    from pocketgan_trainer.plain_console import PlainConsole
    from pocketgan_trainer.training.checkpoint import load_checkpoint
    from pocketgan_trainer.training.run_folder import BEST, RUNS, find_run_folder, newer_runs

    path = checkpoint_path or RUNS
    if checkpoint_path is None or os.path.isdir(path):
        run = find_run_folder(path, BEST)
        if newer := newer_runs(path, run):
            print_message(f"note: {_note_on_newer_run(newer[0], run)}")
        path = run.best
    checkpoint = load_checkpoint(path)
    seen = _judged_while_training(checkpoint)
    words = "rounding weights, comparing images and timing, which takes up to a minute"
    try:
        with PlainConsole(stderr=True, soft_wrap=True, quiet=json).announced(words):
            report = run_export(checkpoint, target, precision.value, least_psnr_db, force, overwrite, licence or UNSTATED_LICENCE)
    except ExportError as error:
        if json:
            print(refusal_json(error))
        raise
    if json:
        print(report_json(report))
    else:
        _print_report(report, checkpoint, seen)


def _judged_while_training(checkpoint: "Checkpoint") -> str | None:
    """Return the Frechet ratio in words that the run measured at this checkpoint; None if it measured none there."""
    from pocketgan_trainer.training.run_folder import RunFolder
    from pocketgan_trainer.watch.observation import figures_in_words

    progress = checkpoint.progress
    lines = [] if progress.step else RunFolder(checkpoint.path.parent).read_statistics()
    words = [figures_in_words(line)[:1] for line in lines if line.get("epoch") == progress.epoch]
    return words[0][0] if words and words[0] else None


def _note_on_newer_run(newer: "RunFolder", run: "RunFolder") -> str:
    remedy = "to train the newer run, start it again with gan-train"
    if newer.last.exists() or newer.previous.exists():
        remedy = f"to continue the newer run: gan-train --resume --out {quote(str(newer.path))}"
    return f"{newer.path} is newer but has not finished an epoch, so {run.path} is exported; {remedy}"


def _print_report(report: "ExportReport", checkpoint: "Checkpoint", seen: str | None) -> None:
    from rich.table import Column, Table

    from pocketgan_trainer.export.exporter import report_rows, report_warnings
    from pocketgan_trainer.plain_console import PlainConsole

    title = f"{report.target}: {report.card.name}, {report.card.precision}"
    table = Table(Column(), Column(overflow="fold"), show_header=False, title=title, title_justify="left")
    table.add_row("from", f"{checkpoint.path}, epoch {checkpoint.progress.epoch}")
    if seen is not None:
        table.add_row("quality", f"{seen}, before the export; gan-eval measures more")
    for name, value in report_rows(report):
        table.add_row(name, value)
    console = PlainConsole(stderr=True)
    console.print(table)
    console.print(f"sha256 {report.sha256}", soft_wrap=True)
    for warning in report_warnings(report):
        console.print(f"warning: {warning}", soft_wrap=True)
    if report.target.suffix == ".onnx":
        console.print(f"next: gan-gen --model {quote(str(report.target))} --count 10 --out drawn/", soft_wrap=True)


def main() -> None:
    """Run `gan-export`."""
    run_and_exit(app)


if __name__ == "__main__":
    main()
