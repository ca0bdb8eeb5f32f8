"""`gan-gen`: draw digits into files."""

import sys
import time
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketgan.address import INDEX_LIMIT, SEED_LIMIT
from pocketgan.console import cli_errors, command_line, show_version, tell
from pocketgan.session import Provider

if TYPE_CHECKING:
    from pocketgan.generator import Batch

MOST_IMAGES = 100_000_000
"""Images in one call of gan-gen; more are drawn with further calls and --start."""

app = command_line()


class Format(StrEnum):
    """What the images are written as."""

    png = "png"
    npz = "npz"


@app.command()
def generate(
    count: Annotated[int, typer.Option(min=1, max=MOST_IMAGES, help="How many images.")] = 10,
    out: Annotated[Path, typer.Option(help="Folder for the files; made if it is not there.")] = Path("digits"),
    seed: Annotated[int, typer.Option(min=0, max=SEED_LIMIT - 1, help="Which endless row of images.")] = 0,
    start: Annotated[int, typer.Option(min=0, max=INDEX_LIMIT - MOST_IMAGES, help="Index of the first image in that row.")] = 0,
    model: Annotated[
        str | None,
        typer.Option(
            help="An .onnx file of gan-export, or a bundled model by name.", show_default="./model.onnx, else the bundled one"
        ),
    ] = None,
    provider: Annotated[Provider, typer.Option(help="Where to draw.")] = Provider.auto,
    threads: Annotated[int | None, typer.Option(min=1, max=1024, show_default="the CPUs this process may use")] = None,
    file_format: Annotated[
        Format, typer.Option("--format", help="One PNG file an image, or one NPZ file with all.")
    ] = Format.png,
    grid: Annotated[bool, typer.Option("--grid", help="Also write the first images on one sheet, grid.png.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Draw images with an exported generator.

    An image depends on the model, the seed, its index and its class only: --count 10 and --start 7 --count 1 draw the same
    image 7.
    """
    with cli_errors():
        _generate(count, out, seed, start, model, provider, threads, file_format, grid, overwrite, quiet)


def _generate(
    count: int,
    out: Path,
    seed: int,
    start: int,
    model: str | None,
    provider: Provider,
    threads: int | None,
    file_format: Format,
    grid: bool,
    overwrite: bool,
    quiet: bool,
) -> None:
    from pocketgan import writers
    from pocketgan.cpus import usable_cpus
    from pocketgan.generator import Generator

    generator = Generator.load(model, provider)
    card = generator.card
    if not quiet:
        tell(f"model {generator.path} ({generator.reason}): {card.architecture}, {card.precision}")
        tell(f"provider {generator.provider.value}: {generator.provider_reason}")
    began = time.monotonic()

    writers.prepare_folder(out)
    if not overwrite:
        if file_format is Format.png:
            writers.refuse_overwriting_images(out, start, count)
        single_files = {writers.NPZ_NAME: file_format is Format.npz, writers.GRID_NAME: grid}
        writers.refuse_overwriting(out, [name for name, is_written in single_files.items() if is_written])

    batches = generator.stream(count, seed=seed, start=start, threads=threads or usable_cpus())
    if file_format is Format.npz:
        written = writers.write_npz_file(out / writers.NPZ_NAME, batches, card, start, count, generator.labels)
    else:
        written = writers.write_png_files(out, batches, card)
    if not quiet and sys.stderr is not None and sys.stderr.isatty():
        written = _with_progress_bar(written, count)
    for_grid = []
    for batch in written:
        if grid and batch.start < start + writers.GRID_IMAGES:
            for_grid.append(batch.images)
    if grid:
        import numpy as np

        writers.write_grid(out / writers.GRID_NAME, np.concatenate(for_grid)[: writers.GRID_IMAGES])
    if not quiet:
        what = "image" if count == 1 else "images"
        tell(f"{count:,} {what} of seed {seed} from index {start} in {out} after {time.monotonic() - began:.2f} s")


def _with_progress_bar(batches: Iterable["Batch"], count: int) -> Iterator["Batch"]:
    """Pass batches on, and show on the terminal how many images have come."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("images", total=count)
        for batch in batches:
            yield batch
            progress.advance(task, len(batch.images))


def main() -> None:
    """Run `gan-gen`."""
    app()


if __name__ == "__main__":
    main()
