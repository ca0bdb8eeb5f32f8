"""`gan-eval`: scores models, or digits in files, against real digits."""

import sys
from io import TextIOWrapper
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import typer

from pocketgan import shared_options
from pocketgan.console import cli_errors, command_line, print_message, printable, run_and_exit
from pocketgan.cpus import MOST_THREADS
from pocketgan.help_page import PlainCommand, examples

FEWEST_IMAGES, MOST_IMAGES = 1_000, 10_000
"""The distances need many more images than features, and the regions of C_T 20 images each; there are 10,000 test digits."""
FEWEST_QUICK_IMAGES, MOST_QUICK_IMAGES = 100, 1_000
REPORT_ENDINGS = (".html", ".png")

app = command_line()


class EvalCommand(PlainCommand):
    """The command, with the panels of its help page."""

    panels = MappingProxyType(
        {
            "What to measure": "--count --quick --seeds --told-apart --cas --classifier-seeds --by-class --data",
            "How to show it": "--report --json --markdown --quiet",
            "Speed": "--threads",
        }
    )


@app.command(
    cls=EvalCommand,
    epilog=examples(
        "gan-eval --quick",
        "gan-eval pocket nano --seeds 5",
        "gan-eval model.onnx --report page.html",
        "gan-eval digits/ --quick --count 100",
    ),
)
def evaluate(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL|FILES]...",
            help="Bundled models by name, .onnx files, or digits in files or folders, as docs/own-data.md lists them. Files "
            "with classes must hold at least as many of each digit as the test digits: 1,200 are enough, for --told-apart 5,100, "
            "for --cas 6,000.",
            show_default="./model.onnx, else the bundled one",
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            help=f"The number of images of each source, and of as many test digits: {FEWEST_IMAGES:,} to {MOST_IMAGES:,}, with "
            f"--quick {FEWEST_QUICK_IMAGES} to {MOST_QUICK_IMAGES:,}.",
            show_default="the most",
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Measure fewer images, and only what can be measured within a minute.")
    ] = False,
    seeds: Annotated[
        int, typer.Option(min=1, max=100, help="The number of sets of images to measure: latent seeds 0, 1, ...")
    ] = 1,
    told_apart: Annotated[
        bool,
        typer.Option(
            "--told-apart",
            help="Also train two networks to distinguish generated from real, with 5,000 to 40,000 digits of each kind. "
            "Takes about half an hour on one thread for each source and training.",
        ),
    ] = False,
    cas: Annotated[
        bool,
        typer.Option("--cas", help="Also train a classifier on generated digits only, and test it on real ones. Takes minutes."),
    ] = False,
    classifier_seeds: Annotated[
        int, typer.Option(min=1, max=100, help="The number of trainings of each network of --told-apart and --cas.")
    ] = 1,
    by_class: Annotated[bool, typer.Option("--by-class", help="Add rows for each digit.")] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Also write a .png sheet with the closest pairs and the worst images, or an .html page with all tables."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print everything measured as JSON instead of the table.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder with the four MNIST IDX files.", show_default="those that come with the source, else downloaded"
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_THREADS,
            help="CPU threads.",
            show_default="all this process may use; often one for --told-apart and --cas",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress.")] = False,
    version: shared_options.Version = False,
) -> None:
    """Score generated digits against real ones: exported models through the runtime, pixel for pixel, or digits in files.

    Every figure is shown next to that of real digits. Classes are generated in the proportions of the test digits.
    """
    if json and markdown:
        raise typer.BadParameter("it cannot be used together with --markdown", param_hint="--json")
    if report is not None and report.suffix not in REPORT_ENDINGS:
        message = printable(f"{report} must end in {' or '.join(REPORT_ENDINGS)}")
        raise typer.BadParameter(message, param_hint="--report")
    fewest, most = (FEWEST_QUICK_IMAGES, MOST_QUICK_IMAGES) if quick else (FEWEST_IMAGES, MOST_IMAGES)
    count = most if count is None else count
    if not fewest <= count <= most:
        of_quick = "" if quick else f"; {FEWEST_QUICK_IMAGES} to {MOST_QUICK_IMAGES:,} with --quick"
        message = f"{count:,} is out of range: expected {fewest:,} to {most:,}{of_quick}"
        raise typer.BadParameter(message, param_hint="--count")
    if quick and (told_apart or cas or report is not None):
        raise typer.BadParameter("it cannot be used together with --told-apart, --cas or --report", param_hint="--quick")
    if classifier_seeds != 1 and not (told_apart or cas):
        raise typer.BadParameter("it needs --told-apart or --cas", param_hint="--classifier-seeds")
    with cli_errors():
        from pocketgan.model.session import import_onnxruntime
        from pocketgan_trainer.requirements import require_training_extra

        require_training_extra(quiet)
        import_onnxruntime()
        import torch

        from pocketgan.cpus import usable_cpus
        from pocketgan.errors import OutputError
        from pocketgan.files import named_file, prepare_folder, refuse_other_file
        from pocketgan_trainer.data.published import load_mnist
        from pocketgan_trainer.devices import choose_threads
        from pocketgan_trainer.evaluate.evaluation import EvaluationOptions, total_work
        from pocketgan_trainer.evaluate.evaluation import evaluate as run_evaluation
        from pocketgan_trainer.evaluate.sheet import REPORT_MARK, write_report
        from pocketgan_trainer.evaluate.sources import open_source
        from pocketgan_trainer.evaluate.table import evaluation_json, markdown_table, table_rows, terminal_table, verdicts
        from pocketgan_trainer.evaluate.two_samples import train_one_step
        from pocketgan_trainer.plain_console import PlainConsole, WorkBar

        if report is not None:
            if report.is_dir():
                raise OutputError(f"cannot write {report}: it is a folder; expected a file name for --report")
            report_file = named_file(report)
            refuse_other_file(
                report_file, REPORT_MARK.encode(), "is no report of gan-eval: choose another --report, or move it away"
            )
            prepare_folder(report_file.parent, "--report")
        torch.set_num_threads(threads or usable_cpus())
        if threads is None and (told_apart or cas):
            choose_threads(train_one_step, usable_cpus())
        threads = threads or usable_cpus()
        opened = [open_source(name, threads) for name in sources or []] or [open_source(None, threads)]
        options = EvaluationOptions(
            count=count, seeds=seeds, told_apart=told_apart, cas=cas, classifier_seeds=classifier_seeds, quick=quick
        )
        training, test = load_mnist(data), load_mnist(data, "test")
        console = PlainConsole(stderr=True, soft_wrap=True, quiet=quiet)
        with WorkBar(console, total_work(opened, options, len(training))) as bar:
            evaluation = run_evaluation(opened, options, training, test, bar)
        rows = table_rows(evaluation, by_class)
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # a character must not cost what was measured in minutes
        if json:
            sys.stdout.write(evaluation_json(evaluation, rows) + "\n")
        elif markdown:
            sys.stdout.write(markdown_table(evaluation, rows))
        else:
            for line in verdicts(evaluation):
                PlainConsole(soft_wrap=True).print(line)
            PlainConsole().print(terminal_table(evaluation, rows))
        # Last, so that an error in it does not cost the figures.
        if report is not None:
            write_report(report_file, evaluation, rows)
            if not quiet:
                print_message(f"report {report}")


def main() -> None:
    """Run `gan-eval`."""
    run_and_exit(app)


if __name__ == "__main__":
    main()
