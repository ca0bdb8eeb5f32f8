"""The door to the terminal: nothing in a name commands it, begins a line of its own, or is taken for markup."""

import io

import pytest
from rich.table import Table

from pocketgan_trainer.plain_console import PlainConsole

HOSTILE = {
    "escape": ("a\x1b[31mb", "a?[31mb"),
    "newline": ("a\nerror: forged", "a?error: forged"),
    "carriage return": ("a\rb", "a?b"),
    "C1": ("a\x9b31mb", "a?31mb"),
    "bidi override": ("a\u202eb", "a?b"),
    "line separator": ("a\u2028b", "a?b"),
    "lone surrogate": ("a\udcffb", "a?b"),
    "markup": ("[bold]a[/bold]", "[bold]a[/bold]"),
    "emoji code": (":smile:", ":smile:"),
    "letters": ("ça 日本", "ça 日本"),
}


@pytest.mark.parametrize(("text", "shown"), HOSTILE.values(), ids=HOSTILE)
def test_a_text_is_shown_in_one_line_as_it_is(text: str, shown: str) -> None:
    console = PlainConsole(soft_wrap=True)
    console.file = io.StringIO()
    console.print(f"note: {text}")
    assert console.file.getvalue() == f"note: {shown}\n"


@pytest.mark.parametrize(("text", "shown"), HOSTILE.values(), ids=HOSTILE)
def test_so_are_the_cells_the_heads_and_the_title_of_a_table(text: str, shown: str) -> None:
    console = PlainConsole()
    console.file = io.StringIO()
    table = Table(title=text, caption=text)
    table.add_column(text)
    table.add_row(text)
    console.print(table)
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 7
    assert sum(shown in line for line in lines) == 4
