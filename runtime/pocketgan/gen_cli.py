"""`gan-gen`: draw digits into files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from pocketgan import shared_options
from pocketgan.address import (
    DEFAULT_CONSISTENCY,
    FULL_VARIETY,
    INDEX_LIMIT,
    asked_traits,
    image_range,
    parse_hand,
    parse_trait,
)
from pocketgan.console import (
    chosen_seed,
    cli_errors,
    command_line,
    limit_numpy_threads,
    parsed,
    run_and_exit,
    usage_errors,
)
from pocketgan.help_page import CommandWithPanels, examples
from pocketgan.model.session import Provider
from pocketgan.output.formats import STREAMED, Format
from pocketgan.request import (
    LARGEST_HEIGHT,
    Grid,
    Selection,
    parse_digit,
    parse_digits,
    parse_grid,
    parse_text,
)
from pocketgan.trait_table import Varied

MOST_IMAGES = 100_000_000
"""The most images in one call of gan-gen. Larger runs are split into several calls with --shard or --start."""

DEFAULT_COUNT = 10
DEFAULT_FOLDER = "digits"
STDOUT = "-"
_STREAMED = " or ".join(STREAMED)

app = command_line()


@app.command(
    cls=CommandWithPanels,
    epilog=examples(
        "gan-gen --count 10 --out digits/",
        "gan-gen --digit 7 --seed random --out sevens/",
        "gan-gen --format idx.gz --count 60000 --out mnist/",
    ),
)
def generate(
    count: Annotated[
        int | None,
        typer.Option(
            min=1, max=INDEX_LIMIT, help="How many images to draw.", show_default=f"{DEFAULT_COUNT}; the grid's; or 1 with --text"
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            help=f"Folder for the files, created if needed; - writes to standard output, with --format {_STREAMED} only.",
            show_default=f"{DEFAULT_FOLDER}; none with --show",
        ),
    ] = None,
    digit: Annotated[str | None, typer.Option("--digit", "--class", help="Only images of this class, such as 7.")] = None,
    digits: Annotated[str | None, typer.Option(help="Images of these classes in turn, such as 0-4,7.", metavar="SPEC")] = None,
    text: Annotated[str | None, typer.Option(help="Each image is a row of digits with this text, such as 2026.")] = None,
    seed: shared_options.Seed = "0",
    start: shared_options.Start = 0,
    shard: shared_options.Shard = None,
    truncation: Annotated[
        float,
        typer.Option(help="Above 0, at most 1: smaller values give cleaner images that are more alike.", metavar="PSI"),
    ] = FULL_VARIETY,
    hand: Annotated[
        str | None,
        typer.Option(
            help="Draw all images as if one person wrote them: person 3 of this seed, or 7:3, of seed 7.", metavar="HAND"
        ),
    ] = None,
    consistency: Annotated[
        float | None,
        typer.Option(
            help="0 to 1: how much images by one hand look alike.", metavar="SHARE", show_default=str(DEFAULT_CONSISTENCY)
        ),
    ] = None,
    slant: shared_options.Slant = None,
    thickness: shared_options.Thickness = None,
    width: Annotated[
        str | None,
        typer.Option(
            help="How wide digits are, upright: 12, or 10..14; with --digits, since no width suits all.", metavar="PIXELS"
        ),
    ] = None,
    model: shared_options.Model = None,
    provider: shared_options.ProviderChoice = Provider.auto,
    threads: shared_options.Threads = None,
    file_format: Annotated[
        Format,
        typer.Option(
            "--format", case_sensitive=False, help=f"{'; '.join(f'{member}: {member.row.about}' for member in Format)}."
        ),
    ] = Format.png,
    height: Annotated[
        int | None,
        typer.Option("--size", min=1, max=LARGEST_HEIGHT, help="Height of the images in pixels.", show_default="the model's"),
    ] = None,
    invert: Annotated[bool, typer.Option("--invert", help="Draw dark on white, as on paper.")] = False,
    grid: shared_options.Sheet = None,
    gif: Annotated[
        bool,
        typer.Option("--gif", help="Also write an animation of the first images, walk.gif; with --vary, of what varies."),
    ] = (False),
    vary: Annotated[
        Varied | None,
        typer.Option(
            help="Also write a sheet, vary.png: each of the first ten images with this trait from least to most, or by ten hands."
        ),
    ] = None,
    show: shared_options.Show = False,
    overwrite: shared_options.Overwrite = False,
    resume: shared_options.Resume = False,
    quiet: shared_options.Quiet = False,
    has_report: shared_options.Report = False,
    version: shared_options.Version = False,
) -> None:
    """Draw images with an exported generator: the same ones each time; others with --seed 1, --seed 2 or --seed random.

    An image depends only on the model, the seed, its index, its class, and how it is to look: --count 10 and --start 7 --count 1
    draw the same image 7. With --text, --count and --start count rows.
    """
    names = _class_names(digit, digits, text)
    number = chosen_seed(seed, {"--shard": shard is not None, "--resume": resume})
    if consistency is not None and hand is None:
        raise typer.BadParameter("it says how much images by one hand look alike: it needs --hand", param_hint="--consistency")
    sheet = parsed("--grid", parse_grid, grid)
    count = count or _default_count(sheet, has_one_row=text is not None and not gif)
    start, count = shared_options.images_to_draw(start, count, shard, MOST_IMAGES)
    given = (("--slant", slant), ("--thickness", thickness), ("--width", width))
    with usage_errors():
        asked = asked_traits(*(parsed(option, parse_trait, value) for option, value in given))
        shared = DEFAULT_CONSISTENCY if consistency is None else consistency
        rows = image_range(number, start, count, truncation, parsed("--hand", parse_hand, hand), shared, asked)
        selection = Selection(rows, names, text, height, is_inverted=invert)
    if gif and vary is None and count < 2:
        raise typer.BadParameter("a walk needs at least two images: expected a --count of 2 or more", param_hint="--gif")
    shared_options.refuse_two_on_stdout(show, has_report)
    existing = shared_options.chosen_existing(overwrite, resume)
    sheets = {"--grid": sheet is not None, "--gif": gif, "--vary": vary is not None}
    other_options = sheets | {"--overwrite": overwrite, "--resume": resume}
    if out == STDOUT:
        _refuse_with_stdout(file_format, other_options | {"--show": show, "--json": has_report})
    elif out == "":
        raise typer.BadParameter("the name is empty: expected a folder, or - for standard output", param_hint="--out")
    elif out is None and show:
        _refuse(
            "--show", other_options | {"--format": file_format is not Format.png}, "it writes no files without --out: {} needs it"
        )
    has_folder = out != STDOUT and not (out is None and show)
    with cli_errors():
        from pocketgan.folder_run import RunOptions
        from pocketgan.gen_run import DrawingRun, draw

        options = RunOptions(
            model=model,
            provider=provider,
            threads=threads,
            folder=Path(out or DEFAULT_FOLDER) if has_folder else None,
            file_format=file_format,
            existing=existing,
            grid=sheet,
            is_shown=show,
            is_quiet=quiet,
            has_report=has_report,
        )
        draw(DrawingRun(options, selection, gif, None if vary is None else vary.value, to_stdout=out == STDOUT))


def _default_count(sheet: Grid | None, has_one_row: bool) -> int:
    if sheet is not None:
        return sheet.columns * sheet.rows
    return 1 if has_one_row else DEFAULT_COUNT


def _refuse(option: str, others: Mapping[str, bool], message: str) -> None:
    """Raise typer.BadParameter if any of the other options, which cannot be used with this one, is given."""
    for other, is_given in others.items():
        if is_given:
            raise typer.BadParameter(message.format(other), param_hint=option)


def _refuse_with_stdout(file_format: Format, others: Mapping[str, bool]) -> None:
    """Raise typer.BadParameter for a format or another option that cannot be used with standard output."""
    if file_format not in STREAMED:
        raise typer.BadParameter(
            f"standard output takes --format {_STREAMED}, not {file_format.value}: choose a folder", param_hint="--out -"
        )
    _refuse("--out -", others, "it cannot be used together with {}")


def _class_names(digit: str | None, digits: str | None, text: str | None) -> tuple[str, ...] | None:
    """Return the names of the requested classes, None for all in turn. Raises typer.BadParameter for wrong usage."""
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
    limit_numpy_threads()
    run_and_exit(app)


if __name__ == "__main__":
    main()
