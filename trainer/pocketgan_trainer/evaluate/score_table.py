"""The one table of an evaluation, figures as rows and sources as columns: for the terminal, as Markdown and as HTML."""

from collections.abc import Sequence
from html import escape

from rich.table import Table
from rich.text import Text

from pocketgan_trainer.evaluate.score_rows import Row
from pocketgan_trainer.evaluate.scores import Evaluation, Plan

FIGURE = "figure"


def terminal_table(evaluation: Evaluation, rows: Sequence[Row]) -> Table:
    """Return the table for a terminal."""
    table = Table(title=None, caption=Text(caption(evaluation.plan)), caption_justify="left")
    table.add_column(FIGURE, overflow="fold")
    for name in _columns(evaluation):
        table.add_column(Text(name, overflow="fold"), justify="right")
    for row in rows:
        table.add_row(*(Text(text) for text in _texts(row)))
    return table


def markdown_table(evaluation: Evaluation, rows: Sequence[Row]) -> str:
    """Return the table in GitHub's Markdown, with its caption as a line below; it ends with a line break."""
    columns = _columns(evaluation)
    lines = [
        _markdown_line([FIGURE, *columns]),
        _markdown_line(["---", *("---:" for _ in columns)]),
        *(_markdown_line(_texts(row)) for row in rows),
        "",
        caption(evaluation.plan),
    ]
    return "\n".join(lines) + "\n"


def html_table(evaluation: Evaluation, rows: Sequence[Row]) -> str:
    """Return the table as an HTML element, with its caption."""
    head = "".join(f"<th>{escape(name)}</th>" for name in [FIGURE, *_columns(evaluation)])
    body = "\n".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in _texts(row)) + "</tr>" for row in rows)
    return f"<table>\n<caption>{escape(caption(evaluation.plan))}</caption>\n<tr>{head}</tr>\n{body}\n</table>"


def caption(plan: Plan) -> str:
    """Return what the numbers of the table are."""
    parts = [f"{plan.count:,} images each, in the test digits' proportions of classes, against {plan.count:,} test digits"]
    if plan.seeds > 1:
        parts.append(f"mean ± standard deviation over {plan.seeds} seeds")
    if plan.told_apart or plan.cas:
        parts.append(f"trainings of each network: {plan.classifier_seeds}")
    parts.append("in brackets the ratio to real digits")
    return "; ".join(parts) + "."


def _columns(evaluation: Evaluation) -> list[str]:
    return [evaluation.real.name, *(source.name for source in evaluation.sources)]


def _texts(row: Row) -> list[str]:
    return [row.figure, row.real.text, *(cell.text for cell in row.sources)]


def _markdown_line(texts: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"
