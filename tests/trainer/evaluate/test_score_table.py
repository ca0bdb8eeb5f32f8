"""The table in its three forms: all hold the same figures."""

import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from quick_evaluation import PLAN, quick_evaluation
from rich.console import Console

from pocketgan_trainer.evaluate.evaluation import Evaluation
from pocketgan_trainer.evaluate.table import Row, caption, html_table, markdown_table, table_rows, terminal_table
from pocketgan_trainer.plain_console import PlainConsole


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """Of three sources, one of them with a bar in its name."""
    return quick_evaluation()


@pytest.fixture(scope="module")
def rows(evaluation: Evaluation) -> tuple[Row, ...]:
    """Of that evaluation."""
    return table_rows(evaluation, True)


@pytest.fixture(scope="module")
def expected(rows: tuple[Row, ...]) -> list[list[str]]:
    """All texts, the head first."""
    head = ["figure", "real digits", "other|digits.npz", "blurred", "mlp"]
    return [head, *([row.figure, row.real.text, *(cell.text for cell in row.sources)] for row in rows)]


class Cells(HTMLParser):
    """Collects the texts of a table's cells, row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1] and data.strip():
            self.rows[-1][-1] += data


def test_markdown_holds_the_figures_of_the_table(
    evaluation: Evaluation, rows: tuple[Row, ...], expected: list[list[str]]
) -> None:
    lines = markdown_table(evaluation, rows).splitlines()
    found = [[text.replace("\\|", "|") for text in re.split(r"(?<!\\) \| ", line[2:-2])] for line in lines[: len(expected) + 1]]
    assert [found[0], *found[2:]] == expected
    assert lines[1] == "| --- | ---: | ---: | ---: | ---: |"
    assert lines[len(expected) + 1 :] == ["", caption(evaluation)]


def test_html_holds_the_figures_of_the_table(evaluation: Evaluation, rows: tuple[Row, ...], expected: list[list[str]]) -> None:
    names = ("<b>", "blurred", "mlp")
    named = replace(
        evaluation, sources=tuple(replace(one, name=name) for one, name in zip(evaluation.sources, names, strict=True))
    )
    cells = Cells()
    cells.feed(html_table(named, rows))
    assert cells.rows == [["figure", "real digits", *names], *expected[1:]]


def test_a_wide_terminal_shows_every_text(evaluation: Evaluation, rows: tuple[Row, ...], expected: list[list[str]]) -> None:
    console = Console(width=400)
    with console.capture() as capture:
        console.print(terminal_table(evaluation, rows))
    shown = capture.get()
    assert all(text in shown for texts in expected for text in texts)
    assert caption(evaluation) in " ".join(shown.split())


def test_the_caption_says_what_the_numbers_are(evaluation: Evaluation) -> None:
    told = caption(evaluation)
    assert told.startswith("1,000 images each, in the test digits' proportions of classes, against 1,000 test digits; ")
    assert "over 2 latent seeds" in told
    assert "without classes" in told
    assert "told apart: 45,000 images of each kind, 5,000 of them for the test" in told
    assert "trainings of each network: 2" in told
    with_classes = replace(evaluation, plan=replace(PLAN, told_apart=False, cas=False), sources=evaluation.sources[:2])
    assert not any(words in caption(with_classes) for words in ("without classes", "told apart", "trainings"))


def test_no_form_holds_what_could_command_a_terminal(evaluation: Evaluation, rows: tuple[Row, ...]) -> None:
    hostile = replace(evaluation.sources[0], name="a\x1b[31m\n\udcff[b]:x:.npz")
    named = replace(evaluation, sources=(hostile, *evaluation.sources[1:]))
    console = PlainConsole()
    console.file, console.width = io.StringIO(), 400
    console.print(terminal_table(named, rows))
    for form in (console.file.getvalue(), markdown_table(named, rows), html_table(named, rows)):
        assert "a?[31m??[b]:x:.npz" in form
        assert "\x1b" not in form
