"""`gan-gen`: draw digits into files."""

import sys
import time
from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketgan.address import INDEX_LIMIT, SEED_LIMIT, parse_shard, shard_range
from pocketgan.console import cli_errors, command_line, run_and_exit, show_version, tell, usage_errors
from pocketgan.digit_spec import labels_of_names, parse_digit, parse_digits, parse_text
from pocketgan.session import Provider
from pocketgan.truncation import FULL_VARIETY, TRUNCATION_UNITS, truncation_units

if TYPE_CHECKING:
    from pocketgan.generator import Batch

MOST_IMAGES = 100_000_000
"""Images in one call of gan-gen; more are drawn with further calls and --start."""

DEFAULT_COUNT = 10

app = command_line()


class Format(StrEnum):
    """What the images are written as."""

    png = "png"
    npz = "npz"
    idx = "idx"
    idx_gz = "idx.gz"


@app.command()
def generate(
    count: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_IMAGES, help="How many images.", show_default=f"{DEFAULT_COUNT}, or 1 with --text"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the files; made if it is not there.")] = Path("digits"),
    digit: Annotated[str | None, typer.Option(help="Only images of this class, such as 7.")] = None,
    digits: Annotated[str | None, typer.Option(help="Images of these classes in turn, such as 0-4,7.", metavar="SPEC")] = None,
    text: Annotated[str | None, typer.Option(help="Each image is a row of digits that reads so, such as 2026.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=SEED_LIMIT - 1, help="Which endless row of images.")] = 0,
    start: Annotated[int, typer.Option(min=0, max=INDEX_LIMIT - MOST_IMAGES, help="Index of the first image in that row.")] = 0,
    shard: Annotated[
        str | None,
        typer.Option(help="Only part K of N of these images, from 0/N on: all parts are the whole.", metavar="K/N"),
    ] = None,
    truncation: Annotated[
        float,
        typer.Option(help="Above 0 to 1: less gives images nearer to the average, so cleaner and more alike.", metavar="PSI"),
    ] = FULL_VARIETY,
    model: Annotated[
        str | None,
        typer.Option(
            help="An .onnx file of gan-export, or a bundled model by name.", show_default="./model.onnx, else the bundled one"
        ),
    ] = None,
    provider: Annotated[Provider, typer.Option(help="Where to draw.")] = Provider.auto,
    threads: Annotated[int | None, typer.Option(min=1, max=1024, show_default="the CPUs this process may use")] = None,
    file_format: Annotated[
        Format, typer.Option("--format", help="A PNG file for each image; one NPZ file; or IDX files as MNIST's.")
    ] = Format.png,
    grid: Annotated[bool, typer.Option("--grid", help="Also write the first images on one sheet, grid.png.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Draw images with an exported generator.

    An image depends on the model, the seed, its index, its class and the truncation only: --count 10 and --start 7 --count 1 draw
    the same image 7. With --text, --count and --start count rows.
    """
    names = _class_names(digit, digits, text)
    with usage_errors("--truncation"):
        truncation_units(truncation)
    count = count or (DEFAULT_COUNT if text is None else 1)
    if shard is not None:
        with usage_errors("--shard"):
            start, count = shard_range(start, count, parse_shard(shard))
    with cli_errors():
        _generate(count, out, names, text, seed, start, truncation, model, provider, threads, file_format, grid, overwrite, quiet)


def _class_names(digit: str | None, digits: str | None, text: str | None) -> tuple[str, ...] | None:
    """Return the names of the classes that are asked for, None for all in turn. Raises typer.BadParameter for wrong usage."""
    options = (("--digit", digit, parse_digit), ("--digits", digits, parse_digits), ("--text", text, parse_text))
    given = [(option, value, parse) for option, value, parse in options if value is not None]
    if not given:
        return None
    option, value, parse = given[0]
    if len(given) > 1:
        raise typer.BadParameter(f"it cannot be used together with {given[1][0]}", param_hint=option)
    with usage_errors(option):
        return parse(value)


def _generate(
    count: int,
    out: Path,
    names: tuple[str, ...] | None,
    text: str | None,
    seed: int,
    start: int,
    truncation: float,
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
    from pocketgan.generator import BATCH_SIZE, Generator
    from pocketgan.idx_files import idx_names, write_idx_files
    from pocketgan.text_rows import text_labels, text_rows

    generator = Generator.load(model, provider)
    card = generator.card
    if not quiet:
        tell(f"model {generator.path} ({generator.reason}): {card.architecture}, {card.precision}")
        tell(f"provider {generator.provider.value}: {generator.provider_reason}")
    began = time.monotonic()

    threads = threads or usable_cpus()
    chosen = None if names is None else labels_of_names(card, names)
    if text is None:
        batches = generator.stream(count, chosen, seed, start, threads, truncation=truncation)
    else:
        batches = text_rows(generator, text, count, seed, start, threads, truncation=truncation)

    writers.prepare_folder(out)
    is_compressed = file_format is Format.idx_gz
    if not overwrite:
        single_files = [writers.GRID_NAME] * grid
        if file_format is Format.png:
            writers.refuse_overwriting_images(out, start, count)
        elif file_format is Format.npz:
            single_files += [writers.NPZ_NAME]
        else:
            single_files += idx_names(is_compressed, label_dimensions=bool(card.classes) + (text is not None))
        writers.refuse_overwriting(out, single_files)

    if file_format in (Format.idx, Format.idx_gz):
        written = write_idx_files(out, batches, count, is_compressed)
    elif file_format is Format.npz:
        labels = partial(generator.labels, digits=chosen) if text is None else partial(text_labels, generator, text)
        written = writers.write_npz_file(out / writers.NPZ_NAME, batches, start, count, labels)
    else:
        older = writers.images_by_index(out, start, count) if overwrite else {}
        # Threads that would have no batch to write take milliseconds to start.
        about: dict[str, str | int | float] = {
            "model": generator.sha256,
            "seed": seed,
            "truncation": truncation_units(truncation) / TRUNCATION_UNITS,
        }
        written = writers.write_png_files(out, batches, card, older, min(threads, -(-count // BATCH_SIZE)), about)
    if not quiet and sys.stderr is not None and sys.stderr.isatty():
        written = _with_progress_bar(written, count)
    on_grid = writers.GRID_IMAGES if text is None else writers.GRID_IMAGES // len(text)
    for_grid = []
    for batch in written:
        if grid and batch.start < start + on_grid:
            for_grid.append(batch.images)
    if grid:
        import numpy as np

        writers.write_grid(out / writers.GRID_NAME, np.concatenate(for_grid)[:on_grid])
    if not quiet:
        what = ("image" if count == 1 else "images") + ("" if text is None else f" of {text}")
        used = truncation_units(truncation) / TRUNCATION_UNITS
        how = "" if used == FULL_VARIETY else f" at truncation {used:.3g}"
        tell(f"{count:,} {what} of seed {seed} from index {start}{how} in {out} after {time.monotonic() - began:.2f} s")


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
    run_and_exit(app)


if __name__ == "__main__":
    main()
