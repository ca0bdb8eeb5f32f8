"""`gan-write`: draw numbers as people write them, with labels for those who read them."""

import re
from pathlib import Path
from typing import Annotated

import typer

from pocketgan import shared_options
from pocketgan.address import (
    DEFAULT_CONSISTENCY,
    FULL_VARIETY,
    INDEX_LIMIT,
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
    standard_input,
    usage_errors,
)
from pocketgan.help_page import CommandWithPanels, examples
from pocketgan.model.session import Provider
from pocketgan.output.formats import Format
from pocketgan.request import LARGEST_HEIGHT, parse_canvas, parse_grid, parse_whole_range
from pocketgan.write.options import (
    DEFAULT_COUNT,
    DEFAULT_JITTER,
    DEFAULT_LENGTH,
    DEFAULT_SIZE,
    LEAST_SIZE,
    MOST_NOISE,
    MOST_NUMBERS,
    MOST_SPACING,
    SPACING_PERCENT,
    Boxes,
    NumberFormat,
)
from pocketgan.write.patterns import NAMED_PATTERNS

MOST_IMAGES = 10_000_000
"""The most images in one call of gan-write."""
DEFAULT_FOLDER = "numbers"

_LEVEL = re.compile("[0-9]{1,9}")

app = command_line()


@app.command(
    cls=CommandWithPanels,
    epilog=examples(
        "gan-write --text 2026 --count 5 --out years/",
        "gan-write --pattern date --background lines --boxes coco --out dates/",
        "gan-write --numbers 20 --canvas 640x300 --out page/",
    ),
)
def write(
    text: Annotated[str | None, typer.Option(help="The text of every number, such as 2026; a space is a gap.")] = None,
    texts: Annotated[
        str | None,
        typer.Option(help="A file with a text in each line, in turn; - for standard input.", metavar="FILE"),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(help=f"Random texts, such as [0-9]{{5}}; or a name: {', '.join(NAMED_PATTERNS)}. A date is 24 12 1999."),
    ] = None,
    length: Annotated[
        str | None,
        typer.Option(help="How many random digits: 5, or 3..8.", metavar="DIGITS", show_default="{}..{}".format(*DEFAULT_LENGTH)),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(min=1, max=INDEX_LIMIT, help="How many images to draw.", show_default=f"{DEFAULT_COUNT}; all of --texts"),
    ] = None,
    numbers: Annotated[int, typer.Option(min=1, max=MOST_NUMBERS, help="Numbers in each image; more than 1 need --canvas.")] = 1,
    out: Annotated[
        str | None,
        typer.Option(help="Folder for the files, created if needed.", show_default=f"{DEFAULT_FOLDER}; none with --show"),
    ] = None,
    seed: shared_options.Seed = "0",
    start: shared_options.Start = 0,
    shard: shared_options.Shard = None,
    size: Annotated[
        int, typer.Option(min=LEAST_SIZE, max=LARGEST_HEIGHT, help="Height of a digit with its margin.")
    ] = DEFAULT_SIZE,
    spacing: Annotated[
        int | None,
        typer.Option(
            min=-MOST_SPACING, max=MOST_SPACING, help="Pixels between digits.", show_default=f"{SPACING_PERCENT} % of --size"
        ),
    ] = None,
    jitter: Annotated[float, typer.Option(help="0 to 1: how uneven size, turn, height and distance are.")] = (DEFAULT_JITTER),
    canvas: Annotated[
        str | None,
        typer.Option(help="Pixels of an image, such as 256x64.", metavar="WIDTHxHEIGHT", show_default="for the longest text"),
    ] = None,
    background: Annotated[
        str, typer.Option(help="Grey level, 0 to 255, or lines, squares, or a picture, of which each image shows a part.")
    ] = "0",
    noise: Annotated[int, typer.Option(min=0, max=MOST_NOISE, help="Noise of the paper, in grey levels.")] = 0,
    ink: Annotated[str, typer.Option(help="How strong the ink is: 80, or 40..100.", metavar="PERCENT")] = "100",
    hand: Annotated[
        str | None,
        typer.Option(
            help="All numbers by person 3, or by 7:3, of seed 7.",
            metavar="HAND",
            show_default="each by another person",
        ),
    ] = None,
    consistency: Annotated[
        float, typer.Option(help="0 to 1: how much digits by one person look alike.", metavar="SHARE")
    ] = DEFAULT_CONSISTENCY,
    slant: shared_options.Slant = None,
    thickness: shared_options.Thickness = None,
    truncation: Annotated[
        float, typer.Option(help="Above 0, at most 1: less gives cleaner digits.", metavar="PSI")
    ] = FULL_VARIETY,
    boxes: Annotated[
        list[Boxes] | None,
        typer.Option(
            case_sensitive=False, help="Also write where each digit is, for COCO, YOLO or as CSV; several are possible."
        ),
    ] = None,
    masks: Annotated[bool, typer.Option("--masks", help="Also write which pixels belong to which digit.")] = False,
    model: shared_options.Model = None,
    provider: shared_options.ProviderChoice = Provider.auto,
    threads: shared_options.Threads = None,
    file_format: Annotated[
        NumberFormat, typer.Option("--format", case_sensitive=False, help="PNG files, or 10,000 images in each file.")
    ] = NumberFormat.png,
    grid: shared_options.Sheet = None,
    show: shared_options.Show = False,
    overwrite: shared_options.Overwrite = False,
    resume: shared_options.Resume = False,
    quiet: shared_options.Quiet = False,
    has_report: shared_options.Report = False,
    version: shared_options.Version = False,
) -> None:
    """Draw numbers as people write them: each by one hand, on paper, with the place of each digit.

    Everything about a number comes from its address: the same seed, index and options draw the same image.
    """
    number = chosen_seed(seed, {"--shard": shard is not None, "--resume": resume})
    sheet = parsed("--grid", parse_grid, grid)
    # Here, since it takes numpy.
    from pocketgan.write.request import usual_count, writing_request
    from pocketgan.write.texts import read_texts

    with usage_errors("--texts"):
        listed = None if texts is None else read_texts(Path(texts) if texts != "-" else standard_input())
    count = usual_count(listed, numbers) if count is None else count
    start, count = shared_options.images_to_draw(start, count, shard, MOST_IMAGES)
    with usage_errors("--ink"):
        strength = parse_whole_range(ink)
    with usage_errors():
        request = writing_request(
            text=text,
            texts=listed,
            pattern=pattern,
            length=parsed("--length", parse_whole_range, length),
            count=count,
            numbers=numbers,
            seed=number,
            start=start,
            size=size,
            spacing=spacing,
            jitter=jitter,
            canvas=parsed("--canvas", parse_canvas, canvas),
            background=int(background) if _LEVEL.fullmatch(background) else background,
            noise=noise,
            ink=strength,
            hand=parsed("--hand", parse_hand, hand),
            consistency=consistency,
            slant=parsed("--slant", parse_trait, slant),
            thickness=parsed("--thickness", parse_trait, thickness),
            truncation=truncation,
        )
    for option, is_given in (("--boxes", bool(boxes)), ("--masks", masks)):
        if is_given and file_format is not NumberFormat.png:
            raise typer.BadParameter("it works only with --format png", param_hint=option)
    shared_options.refuse_two_on_stdout(show, has_report)
    existing = shared_options.chosen_existing(overwrite, resume)
    if out in ("", "-"):
        raise typer.BadParameter("expected the name of a folder", param_hint="--out")
    if out is None and show:
        others = {"--grid": grid is not None, "--boxes": bool(boxes), "--masks": masks}
        others |= {"--overwrite": overwrite, "--resume": resume, "--format": file_format is not NumberFormat.png}
        for option in (option for option, is_given in others.items() if is_given):
            raise typer.BadParameter(f"it writes no files without --out: {option} needs it", param_hint="--show")
    with cli_errors():
        from pocketgan.folder_run import RunOptions
        from pocketgan.write_run import WritingRun, write

        options = RunOptions(
            model=model,
            provider=provider,
            threads=threads,
            folder=None if out is None and show else Path(out or DEFAULT_FOLDER),
            file_format=Format[file_format.name],
            existing=existing,
            grid=sheet,
            is_shown=show,
            is_quiet=quiet,
            has_report=has_report,
        )
        write(WritingRun(options, request, frozenset(boxes or ()), masks))


def main() -> None:
    """Run `gan-write`."""
    limit_numpy_threads()
    run_and_exit(app)


if __name__ == "__main__":
    main()
