"""`gan-page`: one HTML file that draws with a model in a browser."""

from pathlib import Path
from typing import Annotated

import typer

from pocketgan import shared_options
from pocketgan.console import cli_errors, command_line, complete_model, print_message, printable, run_and_exit
from pocketgan.help_page import PlainCommand, examples

DEFAULT_FILE = "digits.html"

app = command_line()


@app.command(
    cls=PlainCommand,
    epilog=examples(
        "gan-page",
        "gan-page nano --out nano.html",
        "gan-page model.onnx --run runs/0001-pocket-mnist --out lesson.html",
    ),
)
def page(
    model: Annotated[
        str | None,
        typer.Argument(
            help="An int8 .onnx file from gan-export, or the name of a bundled model.",
            show_default="./model.onnx, else the bundled one",
            autocompletion=complete_model,
        ),
    ] = None,
    named: Annotated[
        str | None, typer.Option("--model", help="The same as MODEL, as in gan-gen.", autocompletion=complete_model)
    ] = None,
    out: Annotated[Path, typer.Option(help="The file to write; an older page is replaced.")] = Path(DEFAULT_FILE),
    run: Annotated[
        Path | None,
        typer.Option(help="A run of gan-train: also show its sheets, from epoch to epoch, and its curves.", metavar="FOLDER"),
    ] = None,
    version: shared_options.Version = False,
) -> None:
    """Write a page that draws with a model: one file, which any browser opens from disk, without a server or a network.

    It draws the same pixels as gan-gen, and says for each image by which command.
    """
    if model is not None and named is not None:
        raise typer.BadParameter(f"MODEL is {printable(model)} already: name one model", param_hint="--model")
    with cli_errors():
        from pocketgan.model.checked import read_model
        from pocketgan.page.document import name_of_run, write_page

        checked = read_model(model or named)
        trained = None if run is None else name_of_run(run)
        write_page(out, checked, run)
        if trained not in (None, checked.card.name):
            print_message(f"note: {run} trained {trained}, but the page draws with {checked.card.name}")
        print_message(f"{out}: {out.stat().st_size:,} bytes, with {checked.location.path}; open it in a browser")


def main() -> None:
    """Run `gan-page`."""
    run_and_exit(app)


if __name__ == "__main__":
    main()
