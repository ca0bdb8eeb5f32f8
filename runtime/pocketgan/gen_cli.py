"""`gan-gen`: draw digits into files."""

from pathlib import Path
from typing import Annotated

import typer

from pocketgan.address import INDEX_LIMIT, SEED_LIMIT, parse_shard, shard_range
from pocketgan.console import cli_errors, command_line, run_and_exit, show_version, usage_errors
from pocketgan.digit_spec import parse_digit, parse_digits, parse_text
from pocketgan.drawing_run import LARGEST_HEIGHT, DrawingRun, Format
from pocketgan.session import Provider
from pocketgan.truncation import FULL_VARIETY, truncation_units

MOST_IMAGES = 100_000_000
"""Images in one call of gan-gen; more are drawn with further calls and --shard or --start."""

DEFAULT_COUNT = 10

app = command_line()


@app.command()
def generate(
    count: Annotated[
        int | None,
        typer.Option(min=1, max=INDEX_LIMIT, help="How many images.", show_default=f"{DEFAULT_COUNT}, or 1 with --text"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the files; made if it is not there.")] = Path("digits"),
    digit: Annotated[str | None, typer.Option(help="Only images of this class, such as 7.")] = None,
    digits: Annotated[str | None, typer.Option(help="Images of these classes in turn, such as 0-4,7.", metavar="SPEC")] = None,
    text: Annotated[str | None, typer.Option(help="Each image is a row of digits that reads so, such as 2026.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=SEED_LIMIT - 1, help="Which endless row of images.")] = 0,
    start: Annotated[int, typer.Option(min=0, max=INDEX_LIMIT - 1, help="Index of the first image in that row.")] = 0,
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
    threads: Annotated[
        int | None, typer.Option(min=1, max=1024, help="How many at once.", show_default="the CPUs this process may use")
    ] = None,
    file_format: Annotated[
        Format, typer.Option("--format", help="A PNG file for each image; one NPZ file; or IDX files as MNIST's.")
    ] = Format.png,
    height: Annotated[
        int | None,
        typer.Option("--size", min=1, max=LARGEST_HEIGHT, help="Height of the images in pixels.", show_default="the model's"),
    ] = None,
    invert: Annotated[bool, typer.Option("--invert", help="Dark on white, as on paper.")] = False,
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
    if count > MOST_IMAGES:
        raise typer.BadParameter(
            f"{count:,} are too many for one call: at most {MOST_IMAGES:,}; use --shard", param_hint="--count"
        )
    with cli_errors():
        from pocketgan.draw_files import draw_files

        draw_files(
            DrawingRun(
                model=model,
                provider=provider,
                threads=threads,
                seed=seed,
                start=start,
                count=count,
                names=names,
                text=text,
                truncation=truncation,
                height=height,
                is_inverted=invert,
                folder=out,
                file_format=file_format,
                has_sheet=grid,
                may_overwrite=overwrite,
                is_quiet=quiet,
            )
        )


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


def main() -> None:
    """Run `gan-gen`."""
    run_and_exit(app)


if __name__ == "__main__":
    main()
