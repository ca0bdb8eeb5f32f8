"""The options that several commands have, each with its help, and the checks that go with them."""

from typing import Annotated, TypeAlias

import typer

from pocketgan.address import INDEX_LIMIT, parse_shard, shard_range
from pocketgan.console import complete_model, show_version, usage_errors
from pocketgan.cpus import MOST_THREADS
from pocketgan.model.session import Provider
from pocketgan.request import Existing

Seed: TypeAlias = Annotated[
    str,
    typer.Option(help="Each seed gives another endless series of images; random chooses one, and says which.", metavar="SEED"),
]
Start: TypeAlias = Annotated[int, typer.Option(min=0, max=INDEX_LIMIT - 1, help="Index of the first image in the series.")]
Shard: TypeAlias = Annotated[
    str | None, typer.Option(help="Draw only part K of N of these images; the first part is 0/N.", metavar="K/N")
]
Slant: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="How slanted, if the model has traits: 15, or -5..20 for any angle between; to the right is positive.",
        metavar="DEGREES",
    ),
]
Thickness: TypeAlias = Annotated[
    str | None, typer.Option(help="How thick the strokes are, at 28x28, if it has traits: 3, or 2.5..3.5.", metavar="PIXELS")
]
Model: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="An .onnx file from gan-export, or a bundled model: pocket; nano, which is smaller and faster; dcgan and mlp, "
        "which have no classes.",
        show_default="./model.onnx, else the bundled one",
        autocompletion=complete_model,
    ),
]
ProviderChoice: TypeAlias = Annotated[Provider, typer.Option("--provider", case_sensitive=False, help="Where the model runs.")]
Threads: TypeAlias = Annotated[
    int | None,
    typer.Option(min=1, max=MOST_THREADS, help="How many threads draw at once.", show_default="the CPUs this process may use"),
]
Sheet: TypeAlias = Annotated[
    str | None, typer.Option("--grid", help="Also write a sheet of the first images, grid.png.", metavar="COLUMNSxROWS")
]
Show: TypeAlias = Annotated[bool, typer.Option("--show", help="Show the first images in the terminal.")]
Overwrite: TypeAlias = Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")]
Resume: TypeAlias = Annotated[
    bool, typer.Option("--resume", help="Complete the interrupted run in this folder, or start one if there is none.")
]
Quiet: TypeAlias = Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")]
Report: TypeAlias = Annotated[bool, typer.Option("--json", help="Print a report as JSON, for programs.")]
Version: TypeAlias = Annotated[bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")]


def images_to_draw(start: int, count: int, shard: str | None, most: int) -> tuple[int, int]:
    """Return the start and the count of the images of this shard. Raises typer.BadParameter if there are more than `most`."""
    if shard is not None:
        with usage_errors("--shard"):
            start, count = shard_range(start, count, parse_shard(shard))
    if count > most:
        raise typer.BadParameter(f"{count:,} are too many for one call: at most {most:,}; use --shard", param_hint="--count")
    return start, count


def chosen_existing(overwrite: bool, resume: bool) -> Existing:
    """Return what to do with files that exist already. Raises typer.BadParameter if both are wanted."""
    if overwrite and resume:
        raise typer.BadParameter("it cannot be used together with --overwrite", param_hint="--resume")
    return Existing.overwrite if overwrite else Existing.resume if resume else Existing.refuse


def refuse_two_on_stdout(show: bool, has_report: bool) -> None:
    """Raise typer.BadParameter if both pictures and a report are to go to standard output."""
    if show and has_report:
        raise typer.BadParameter("it cannot be used together with --show: both go to standard output", param_hint="--json")
