"""`gan-export`: turn a checkpoint into one ONNX file."""

import os
from collections import Counter
from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from pocketgan.console import cli_errors, command_line, show_version

if TYPE_CHECKING:
    from pocketgan_trainer.export.exporter import ExportReport
    from pocketgan_trainer.training.checkpoint import Checkpoint

app = command_line()


class Precision(StrEnum):
    """The numbers that the file computes with."""

    int8 = "int8"
    fp16 = "fp16"
    fp32 = "fp32"


@app.command()
def export(
    target: Annotated[Path, typer.Argument(metavar="PATH", help="The file to write, such as model.onnx.")],
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="A checkpoint, a run folder or a folder of runs.", show_default="the newest run's best in ./runs"),
    ] = None,
    precision: Annotated[Precision, typer.Option(help="int8 for CPUs; fp16 or fp32 for CUDA.")] = Precision.int8,
    version: Annotated[bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Export a trained generator to one self-describing ONNX file.

    The file is checked before it appears, or replaces the one that is there: its kernels, and its pixels against torch's.
    """
    if target.suffix != ".onnx":
        message = f"{target} does not end in .onnx: PATH is the file to write; a checkpoint is named with --checkpoint"
        raise typer.BadParameter(message, param_hint="PATH")
    with cli_errors():
        _export(target, checkpoint, precision)


def _export(target: Path, checkpoint_path: Path | None, precision: Precision) -> None:
    from pocketgan.session import import_onnxruntime
    from pocketgan_trainer.requirements import require_training_extra

    require_training_extra()
    import_onnxruntime()
    from pocketgan_trainer.export.exporter import export as run_export
    from pocketgan_trainer.training.checkpoint import load_checkpoint
    from pocketgan_trainer.training.run_folder import BEST, RUNS, find_run_folder

    path = checkpoint_path or RUNS
    if checkpoint_path is None or os.path.isdir(path):
        path = find_run_folder(path, BEST).best
    checkpoint = load_checkpoint(path)
    _print_report(run_export(checkpoint, target, precision.value), checkpoint)


def _print_report(report: "ExportReport", checkpoint: "Checkpoint") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    card, parity = report.card, report.card.parity
    table = Table(show_header=False, title=Text(f"{report.target}: {card.name}, {card.precision}"), title_justify="left")
    table.add_row("from", Text(f"{checkpoint.path}, epoch {checkpoint.progress.epoch}", overflow="fold"))
    table.add_row("size", f"{report.size_bytes:,} bytes, {report.size_bytes / report.float_size_bytes:.0%} of float32")
    others = ", ".join(f"{operator} x{count}" for operator, count in Counter(report.kernels.other).items()) or "none"
    table.add_row("kernels", f"{report.kernels.integer} integer; in floating point: {others}")
    table.add_row(
        "against torch",
        f"PSNR {parity.psnr_db:.1f} dB over {parity.images:,} images; mean error {parity.mean_error:.2f}, largest "
        f"{parity.largest_error} of 255 grey levels",
    )
    speed = report.speed
    table.add_row("speed", f"{speed.median:.2f}x float32 ({speed.lowest:.2f} to {speed.highest:.2f}), batch 64, one thread")
    table.add_row("sha256", Text(report.sha256, overflow="fold"))
    console = Console(stderr=True, highlight=False, markup=False)
    console.print(table)
    console.print(f"next: gan-gen --model {quote(str(report.target))} --count 10 --out drawn/", soft_wrap=True)


def main() -> None:
    """Run `gan-export`."""
    app()


if __name__ == "__main__":
    main()
