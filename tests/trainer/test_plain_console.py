"""What the trainer prints: no text controls the terminal, starts a new line, or counts as markup."""

import io

import pytest
from rich.table import Table

from pocketgan_trainer.plain_console import PlainConsole

TEXTS = {
    "escape": ("a\x1b[31mb", "a?[31mb"),
    "newline": ("a\nerror: forged", "a?error: forged"),
    "markup": ("[bold]a[/bold]", "[bold]a[/bold]"),
    "emoji code": (":smile:", ":smile:"),
    "letters": ("ça 日本", "ça 日本"),
}


@pytest.mark.parametrize(("text", "shown"), TEXTS.values(), ids=TEXTS)
def test_a_text_is_printed_in_one_line_without_markup(text: str, shown: str) -> None:
    console = PlainConsole(soft_wrap=True)
    console.file = io.StringIO()
    console.print(f"note: {text}")
    assert console.file.getvalue() == f"note: {shown}\n"


@pytest.mark.parametrize(("text", "shown"), TEXTS.values(), ids=TEXTS)
def test_so_are_the_title_the_head_and_the_cells_of_a_table(text: str, shown: str) -> None:
    console = PlainConsole()
    console.file = io.StringIO()
    table = Table(title=text, caption=text)
    table.add_column(text)
    table.add_row(text)
    console.print(table)
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 7
    assert sum(shown in line for line in lines) == 4
