"""`gan-write`: draw numbers as people write them, with labels for those who read them."""

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from pocketgan.address import (
    DEFAULT_CONSISTENCY,
    FULL_VARIETY,
    INDEX_LIMIT,
    SEED_LIMIT,
    consistency_units,
    parse_hand,
    parse_shard,
    parse_trait,
    shard_range,
    truncation_units,
)
from pocketgan.console import cli_errors, command_line, complete_model, run_and_exit, show_version, usage_errors
from pocketgan.errors import RequestError
from pocketgan.model.session import Provider
from pocketgan.output.formats import Format
from pocketgan.request import LARGEST_HEIGHT, LONGEST_TEXT, Existing, parse_grid
from pocketgan.write.boxes import Boxes
from pocketgan.write.layout import JITTER_UNITS, Style, usual_canvas
from pocketgan.write.paper import PAPER_LEVEL, Paper, Ruling, read_picture
from pocketgan.write.patterns import NAMED_PATTERNS, Characters, Repeated, parse_pattern
from pocketgan.write.texts import Texts, checked_pattern, checked_texts, read_texts

MOST_IMAGES = 10_000_000
"""The most images in one call of gan-write."""
DEFAULT_COUNT = 10
DEFAULT_FOLDER = "numbers"
DEFAULT_LENGTH = "3..6"
DEFAULT_SIZE = 28
DEFAULT_JITTER = 0.5
LARGEST_CANVAS = 4096
_FORMATS = (Format.png, Format.webdataset, Format.parquet)
_SPACING_PERCENT = 15

app = command_line()


@app.command()
def write(
    text: Annotated[str | None, typer.Option(help="What all numbers say, such as 2026; a space is a gap.")] = None,
    texts: Annotated[
        str | None,
        typer.Option(help="A file with a text in each line, in turn; - for standard input.", metavar="FILE"),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(help=f"Random texts, such as [0-9]{{5}} or (19|20)[0-9]{{2}}; or a name: {', '.join(NAMED_PATTERNS)}."),
    ] = None,
    length: Annotated[
        str | None, typer.Option(help="Random digits, so many: 5, or 3..8.", metavar="DIGITS", show_default=DEFAULT_LENGTH)
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=INDEX_LIMIT, help="How many images to draw.")] = DEFAULT_COUNT,
    numbers: Annotated[int, typer.Option(min=1, max=1000, help="Numbers in each image; more than 1 need --canvas.")] = 1,
    out: Annotated[
        str | None,
        typer.Option(help="Folder for the files, created if needed.", show_default=f"{DEFAULT_FOLDER}; none with --show"),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=SEED_LIMIT - 1, help="Random seed: each one gives another endless series of numbers.")
    ] = 0,
    start: Annotated[int, typer.Option(min=0, max=INDEX_LIMIT - 1, help="Index of the first image in the series.")] = 0,
    shard: Annotated[str | None, typer.Option(help="Draw only part K of N; the first part is 0/N.", metavar="K/N")] = None,
    size: Annotated[int, typer.Option(min=14, max=LARGEST_HEIGHT, help="Height of a digit with its margin.")] = DEFAULT_SIZE,
    spacing: Annotated[
        int | None,
        typer.Option(min=-100, max=1000, help="Pixels between digits.", show_default=f"{_SPACING_PERCENT} % of --size"),
    ] = None,
    jitter: Annotated[float, typer.Option(min=0, max=1, help="0 to 1: how uneven size, turn, height and distance are.")] = (
        DEFAULT_JITTER
    ),
    canvas: Annotated[
        str | None,
        typer.Option(help="Pixels of an image, such as 256x64.", metavar="WIDTHxHEIGHT", show_default="for the longest text"),
    ] = None,
    background: Annotated[
        str, typer.Option(help="Grey level, 0 to 255, or lines, squares, or a picture, of which each image shows a part.")
    ] = "0",
    noise: Annotated[int, typer.Option(min=0, max=127, help="Noise of the paper, in grey levels.")] = 0,
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
    slant: Annotated[str | None, typer.Option(help="How slanted: 15, or -10..30.", metavar="DEGREES")] = None,
    thickness: Annotated[
        str | None, typer.Option(help="How thick strokes are in an image of 28x28: 2.5, or 2..4.", metavar="PIXELS")
    ] = None,
    truncation: Annotated[
        float, typer.Option(help="Above 0, at most 1: less gives cleaner digits.", metavar="PSI")
    ] = FULL_VARIETY,
    boxes: Annotated[Boxes | None, typer.Option(help="Also write where each digit is, for COCO, YOLO or as CSV.")] = None,
    masks: Annotated[bool, typer.Option("--masks", help="Also write which pixels belong to which digit.")] = False,
    model: Annotated[
        str | None,
        typer.Option(
            help="An .onnx file from gan-export, or the name of a bundled model.",
            show_default="./model.onnx, else the bundled one",
            autocompletion=complete_model,
        ),
    ] = None,
    provider: Annotated[Provider, typer.Option(help="Where the model runs.")] = Provider.auto,
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="How many threads draw at once.", show_default="the CPUs this process may use"),
    ] = None,
    file_format: Annotated[Format, typer.Option("--format", help="png, webdataset or parquet.", metavar="FORMAT")] = Format.png,
    grid: Annotated[str | None, typer.Option(help="Also write a sheet of the first, grid.png.", metavar="COLUMNSxROWS")] = None,
    show: Annotated[bool, typer.Option("--show", help="Show the first images in the terminal.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Complete the interrupted run in this folder, or start one if there is none.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")] = False,
    has_report: Annotated[bool, typer.Option("--json", help="Print a report as JSON, for programs.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Draw numbers as people write them: each by one hand, on paper, with the place of each digit.

    Everything about a number comes from its address: the same seed, index and options draw the same image.
    """
    what, said = _texts(text, texts, pattern, length, seed)
    with usage_errors("--truncation"):
        units = truncation_units(truncation)
    with usage_errors("--consistency"):
        shared_units = consistency_units(consistency)
    with usage_errors("--hand"):
        writer = None if hand is None else parse_hand(hand, seed, shared_units)
    asked = []
    for trait, spec in (("slant", slant), ("thickness", thickness)):
        if spec is not None:
            with usage_errors(f"--{trait}"):
                asked.append(parse_trait(trait, spec))
    with usage_errors("--grid"):
        sheet = None if grid is None else parse_grid(grid)
    if shard is not None:
        with usage_errors("--shard"):
            start, count = shard_range(start, count, parse_shard(shard))
    if count > MOST_IMAGES:
        raise typer.BadParameter(
            f"{count:,} are too many for one call: at most {MOST_IMAGES:,}; use --shard", param_hint="--count"
        )
    if numbers > 1 and canvas is None:
        raise typer.BadParameter("several numbers need a --canvas to lie on, such as 640x480", param_hint="--numbers")
    with usage_errors("--canvas"):
        pixels = usual_canvas(what.longest, size) if canvas is None else _parse_canvas(canvas, size)
    with usage_errors("--ink"):
        strength = _parse_ink(ink)
    with usage_errors("--background"):
        paper = _paper(background, size, pixels, noise, strength)
    if file_format not in _FORMATS:
        raise typer.BadParameter("expected png, webdataset or parquet", param_hint="--format")
    if (boxes or masks) and file_format is not Format.png:
        option = "--boxes" if boxes else "--masks"
        raise typer.BadParameter("it says where digits are in PNG files: it needs --format png", param_hint=option)
    if show and has_report:
        raise typer.BadParameter("it cannot be used together with --show: both go to standard output", param_hint="--json")
    if overwrite and resume:
        raise typer.BadParameter("it cannot be used together with --overwrite", param_hint="--resume")
    if out == "":
        raise typer.BadParameter("the name is empty: expected a folder", param_hint="--out")
    gap = size * _SPACING_PERCENT // 100 if spacing is None else spacing
    options = {
        **said,
        "numbers": numbers,
        "size": size,
        "spacing": gap,
        "jitter": jitter,
        "canvas": f"{pixels[0]}x{pixels[1]}",
        "background": background,
        "noise": noise,
        "ink": ink,
        **({} if writer is None else {"hand": f"{writer.seed}:{writer.number}"}),
        "consistency": shared_units / 256,
        **{trait.name: str(trait) for trait in asked},
        "truncation": units / 256,
    }
    with cli_errors():
        from pocketgan.write.writing import WritingRequest
        from pocketgan.write_run import WritingRun, write

        write(
            WritingRun(
                model=model,
                provider=provider,
                threads=threads,
                request=WritingRequest(
                    seed=seed,
                    start=start,
                    count=count,
                    texts=what,
                    style=Style(size, gap, round(jitter * JITTER_UNITS), pixels, numbers),
                    paper=paper,
                    truncation_units=units,
                    hand=writer,
                    consistency_units=shared_units,
                    asked=tuple(asked),
                    options=options,
                ),
                folder=None if out is None and show else Path(out or DEFAULT_FOLDER),
                file_format=file_format,
                existing=Existing.overwrite if overwrite else Existing.resume if resume else Existing.refuse,
                grid=sheet,
                boxes=boxes,
                has_masks=masks,
                is_shown=show,
                is_quiet=quiet,
                has_report=has_report,
            )
        )


def _texts(
    text: str | None, texts: str | None, pattern: str | None, length: str | None, seed: int
) -> tuple[Texts, dict[str, object]]:
    """Return what numbers say, and the option that says so. Raises typer.BadParameter for wrong usage."""
    given = {"--text": text, "--texts": texts, "--pattern": pattern, "--length": length}
    chosen = {option: value for option, value in given.items() if value is not None} or {"--length": DEFAULT_LENGTH}
    (option, value), *others = chosen.items()
    if others:
        raise typer.BadParameter(f"it cannot be used together with {others[0][0]}", param_hint=option)
    said: dict[str, object] = {option[2:]: value}
    with usage_errors(option):
        if option == "--text":
            return checked_texts([value]), said
        if option == "--texts":
            return read_texts(sys.stdin.buffer if value == "-" else Path(value)), said
        if option == "--pattern":
            return checked_pattern(parse_pattern(value), seed), said
        least, most = _whole_range(value, LONGEST_TEXT)
        return checked_pattern(Repeated(Characters("0123456789"), least, most), seed), said


_RANGE = re.compile(r"([0-9]{1,4})(?:\.\.([0-9]{1,4}))?")


def _whole_range(spec: str, largest: int) -> tuple[int, int]:
    """Parse a number or a range such as 3..8. Raises RequestError if it is malformed, or out of 1 to `largest`."""
    match = _RANGE.fullmatch(spec)
    least, most = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= least <= most <= largest:
        raise RequestError(f"{spec!r}: expected a whole number from 1 to {largest}, or a range such as 3..8")
    return least, most


def _parse_ink(spec: str) -> tuple[int, int]:
    return _whole_range(spec, 100)


_CANVAS = re.compile(r"([0-9]{1,5})x([0-9]{1,5})", re.IGNORECASE)


def _parse_canvas(spec: str, size: int) -> tuple[int, int]:
    """Parse a size such as 256x64. Raises RequestError if it is malformed, or digits of this size do not fit."""
    match = _CANVAS.fullmatch(spec)
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    if not (size <= width <= LARGEST_CANVAS and size <= height <= LARGEST_CANVAS):
        raise RequestError(f"{spec!r}: expected WIDTHxHEIGHT from {size}, the size of a digit, to {LARGEST_CANVAS} pixels")
    return width, height


def _paper(background: str, size: int, canvas: tuple[int, int], noise: int, ink: tuple[int, int]) -> Paper:
    """Return the paper. Raises RequestError if a picture cannot be read, or is smaller than the canvas."""
    if background.isdecimal() and background.isascii():
        if int(background) > 255:
            raise RequestError(f"grey level {background} is out of range: expected 0 to 255")
        return Paper(level=int(background), noise=noise, ink_percent=ink)
    if background in set(Ruling):
        ruling = Ruling(background)
        distance = size * (3 if ruling is Ruling.lines else 1) // 2
        return Paper(PAPER_LEVEL, ruling, distance, noise=noise, ink_percent=ink)
    return Paper(picture=read_picture(Path(background), canvas), noise=noise, ink_percent=ink)


def main() -> None:
    """Run `gan-write`."""
    run_and_exit(app)


if __name__ == "__main__":
    main()
