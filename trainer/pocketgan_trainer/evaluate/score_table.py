"""The one table of an evaluation, figures as rows and sources as columns: for the terminal, as Markdown and as HTML."""

from collections.abc import Sequence
from html import escape

from rich.table import Table

from pocketgan.console import printable
from pocketgan_trainer.evaluate.score_rows import Row
from pocketgan_trainer.evaluate.scores import REAL_SAMPLES, Evaluation
from pocketgan_trainer.evaluate.told_apart import TESTED_IMAGES
from pocketgan_trainer.evaluate.trained_scores import REAL_TOLD_APART_TESTED, TOLD_APART_IMAGES

FIGURE = "figure"


def terminal_table(evaluation: Evaluation, rows: Sequence[Row]) -> Table:
    """Return the table for a terminal, to be printed on a PlainConsole."""
    table = Table(title=None, caption=caption(evaluation), caption_justify="left")
    table.add_column(FIGURE, overflow="fold")
    for name in _columns(evaluation):
        table.add_column(name, justify="right", overflow="fold")
    for row in rows:
        table.add_row(*_texts(row))
    return table


def markdown_table(evaluation: Evaluation, rows: Sequence[Row]) -> str:
    """Return the table in GitHub's Markdown, with its caption as a line below; it ends with a line break."""
    columns = _columns(evaluation)
    lines = [
        _markdown_line([FIGURE, *columns]),
        _markdown_line(["---", *("---:" for _ in columns)]),
        *(_markdown_line(_texts(row)) for row in rows),
        "",
        caption(evaluation),
    ]
    return "\n".join(lines) + "\n"


def html_table(evaluation: Evaluation, rows: Sequence[Row]) -> str:
    """Return the table as an HTML element, with its caption."""
    head = "".join(f"<th>{escape(name)}</th>" for name in [FIGURE, *_columns(evaluation)])
    body = "\n".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in _texts(row)) + "</tr>" for row in rows)
    return f"<table>\n<caption>{escape(caption(evaluation))}</caption>\n<tr>{head}</tr>\n{body}\n</table>"


def caption(evaluation: Evaluation) -> str:
    """Return what the numbers of the table are."""
    plan = evaluation.plan
    parts = [
        f"{plan.count:,} images each, in the test digits' proportions of classes, against {plan.count:,} test digits",
        f"real digits are {REAL_SAMPLES} samples of training digits, or the test digits where those are the measure",
        f"± is the standard deviation, over {plan.seeds} latent seeds of a source",
        "in brackets the ratio to real digits",
    ]
    if not all(source.has_classes for source in evaluation.sources):
        parts.append(
            "without classes, digits come in proportions of their own, which alone costs real digits a part of the ratio"
        )
    if plan.told_apart:
        parts.append(
            f"told apart: {TOLD_APART_IMAGES:,} images of each kind, {TESTED_IMAGES:,} of them for the test; real digits: one "
            f"half of the training digits from the other, {REAL_TOLD_APART_TESTED:,} of each for the test"
        )
    if plan.told_apart or plan.cas:
        parts.append(f"trainings of each network: {plan.classifier_seeds}")
    return "; ".join(parts) + "."


def _columns(evaluation: Evaluation) -> list[str]:
    """Return the names of the columns, of which most are paths: for a terminal, and for files that others look at in one."""
    return [printable(name) for name in (evaluation.real.name, *(source.name for source in evaluation.sources))]


def _texts(row: Row) -> list[str]:
    return [row.figure, row.real.text, *(cell.text for cell in row.sources)]


def _markdown_line(texts: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"
