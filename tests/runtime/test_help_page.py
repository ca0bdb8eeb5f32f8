"""What `--help` prints."""

import re

import pytest
import typer
from typer.testing import CliRunner

from pocketgan import gen_cli, info_cli, page_cli, write_cli
from pocketgan.console import command_line
from pocketgan.help_page import PANELS, PlainCommand, usage_error

APPS = {"gan-gen": gen_cli.app, "gan-write": write_cli.app, "gan-page": page_cli.app, "gan-info": info_cli.app}


def help_page(app: typer.Typer) -> str:
    """Return what a command prints in a terminal of 80 columns."""
    result = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"})
    assert result.exit_code == 0
    return result.stdout


@pytest.mark.parametrize("name", APPS)
def test_a_help_page_fits_on_two_screens_and_speaks_of_no_types(name: str) -> None:
    page = help_page(APPS[name])
    assert max(map(len, page.splitlines())) <= 80
    assert len(page.splitlines()) <= 96
    assert not re.search(r"<=|<int|<str|<path|x>=|\[default: \(", page)


def test_an_argument_that_is_required_is_named_without_brackets() -> None:
    app = command_line()

    @app.command("draw", cls=PlainCommand)
    def command(path: str = typer.Argument(metavar="PATH")) -> None:
        """Draw."""

    assert help_page(app).splitlines()[0].endswith(" [OPTIONS] PATH")


@pytest.mark.parametrize("name", ["gan-gen", "gan-write"])
def test_many_options_are_in_panels_in_the_order_of_the_table(name: str) -> None:
    page = help_page(APPS[name])
    panels = re.findall(r"^(\w[\w ]*):$", page, flags=re.MULTILINE)
    assert panels == [*PANELS, "Options"]
    for panel, text in zip(panels, re.split(r"^\w[\w ]*:$", page, flags=re.MULTILINE)[1:], strict=True):
        shown = re.findall(r"^  (?:-\w, )?(--[\w-]+)", text, flags=re.MULTILINE)
        if panel in PANELS:
            assert shown == [option for option in PANELS[panel].split() if option in shown]
        else:
            assert {"--quiet", "--json", "--help"} <= set(shown)
    assert f"  {name} --" in page


def test_each_option_of_the_table_exists() -> None:
    pages = help_page(gen_cli.app) + help_page(write_cli.app)
    assert [option for options in PANELS.values() for option in options.split() if f"  {option}" not in pages] == []


def test_ranges_are_told_in_words() -> None:
    page = " ".join(help_page(gen_cli.app).split())
    assert "--count N How many images to draw. [from 1; default: 10; the grid's; or 1 with --text]" in page
    assert "--size N Height of the images in pixels. [1 to 512; default: the model's]" in page


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--count", "x"], "--count: x is not a whole number"),
        (["--count", "-5"], "--count: -5 is out of range: expected 1 to 281474976710656"),
        (["--show=yes"], "--show: it takes no value"),
        (["--threads", "2000"], "--threads: 2000 is out of range: expected 1 to 1024"),
        (["extra"], "unexpected argument: extra"),
        (["--seed"], "--seed: expected a value"),
        (["--digit", "3", "--digits", "4"], "--digit: it cannot be used together with --digits"),
        (["--digits", "4-2"], "--digits: the range 4-2 runs backwards: expected 2-4"),
    ],
)
def test_wrong_usage_is_one_line_as_all_errors_are(arguments: list[str], line: str) -> None:
    result = CliRunner().invoke(gen_cli.app, arguments, prog_name="gan-gen")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"error: {line}; see gan-gen --help\n"


def test_an_unknown_option_is_named_with_those_like_it() -> None:
    result = CliRunner().invoke(gen_cli.app, ["--tread", "3"], prog_name="gan-gen")
    assert re.fullmatch(r"error: no option --tread; did you mean .*--threads.*\?; see gan-gen --help\n", result.stderr)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("Invalid value for '--size': 0 is not in the range 1<=x<=512.", "--size: 0 is out of range: expected 1 to 512"),
        ("Invalid value for '--count': 0 is not in the range x>=1.", "--count: 0 is out of range: expected at least 1"),
        (
            "Invalid value for '--spacing': 2000 is not in the range -1000<=x<=1000.",
            "--spacing: 2000 is out of range: expected -1000 to 1000",
        ),
        ("Invalid value for '--lr': 'a b' is not a valid float.", "--lr: a b is not a number"),
        ("No such option: --sed Did you mean --seed?", "no option --sed; did you mean --seed?"),
        ("No such option '--sed'. (Did you mean one of: '--seed', '--size'?)", "no option --sed; did you mean --seed, --size?"),
        ("Got unexpected extra argument (a)", "unexpected argument: a"),
        ("Missing argument 'PATH'.", "PATH is missing"),
        ("something\n  else", "something else"),
    ],
)
def test_the_words_of_several_versions_of_click_become_ours(message: str, words: str) -> None:
    assert usage_error(message) == words
