"""An evaluation as rows: for the terminal, as Markdown, as HTML and as JSON."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from html import escape
from statistics import fmean, stdev
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.table import Table

from pocketgan.console import printable
from pocketgan.version import VERSION
from pocketgan_trainer.evaluate.copying import BAND_PERCENT
from pocketgan_trainer.evaluate.evaluation import (
    QUICK_TRAINING_DIGITS,
    REAL_SAMPLES,
    REAL_TWO_SAMPLE_TESTED,
    TRAINED_FIGURES,
    Evaluation,
    SourceScores,
)
from pocketgan_trainer.evaluate.figures import FIGURES, Figure, SetFigures, percent
from pocketgan_trainer.evaluate.judge import JUDGES
from pocketgan_trainer.evaluate.two_samples import BUDGETS, DETECTORS, TESTED_IMAGES
from pocketgan_trainer.evaluate.verdict import verdict

NO_CLASSES = "no classes"
_FIRST_COLUMN = "figure"
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Cell:
    """One figure of one source."""

    text: str
    mean: float | None = None
    """Over the seeds; None where there is no such figure, or where it is no number."""
    deviation: float | None = None
    """Standard deviation over the seeds; None of a single one."""
    ratio: float | None = None
    """To the real digits' mean, of distances that are above 0 for real digits too."""


@dataclass(frozen=True)
class Row:
    """One figure of real digits, and of each source in their order."""

    figure: str
    real: Cell
    sources: tuple[Cell, ...]


def table_rows(evaluation: Evaluation, by_class: bool) -> tuple[Row, ...]:
    """Return the rows of all figures that were measured; `by_class` adds two for each digit."""
    real, sources = evaluation.real, evaluation.sources
    rows = []
    for figure in evaluation.options.figures:
        if figure.name is not None and (by_class or not figure.by_class):
            real_cell = _cell(figure, real)
            cells = tuple(_cell(figure, source, real_cell.mean) for source in sources)
            rows.append(Row(figure.name, _band(figure.band, real) if figure.band else real_cell, cells))
    if evaluation.options.told_apart:
        name = f"Told apart by the better of two networks, {BUDGETS[-1]:,} digits of each kind (50 % = they cannot)"
        rows.append(Row(name, _better_cell(real), tuple(_better_cell(source) for source in sources)))
    for trained in evaluation.options.trained_figures:
        real_cell, *cells_of_sources = (_number_cell(percent, one.trained.get(trained.key)) for one in (real, *sources))
        rows.append(Row(trained.name, real_cell, tuple(cells_of_sources)))
    return tuple(rows)


def _better_cell(scores: SourceScores) -> Cell:
    """Return what the network that is right more often gets with the largest budget."""
    return _number_cell(percent, max((scores.trained[detector.key] for detector in DETECTORS), key=fmean))


def _cell(figure: Figure, scores: SourceScores, real_mean: float | None = None) -> Cell:
    values = [of_seed[figure.key] for of_seed in scores.seeds]
    if figure.summarize is not None:
        matrices = [value for value in values if isinstance(value, np.ndarray)]
        return Cell(figure.summarize(np.sum(matrices, axis=0))) if matrices else Cell(NO_CLASSES)
    numbers = [value for value in values if isinstance(value, float)]
    return _number_cell(figure.write, numbers or None, real_mean if figure.has_ratio else None)


def _number_cell(
    write: Callable[[float, float | None], str], values: Sequence[float] | None, real_mean: float | None = None
) -> Cell:
    if values is None:
        return Cell(NO_CLASSES)
    mean, deviation = fmean(values), stdev(values) if len(values) > 1 else None
    ratio = mean / real_mean if real_mean else None
    # What no seed changes, such as the test digits' own figures, has no deviation but that of rounding.
    text = write(mean, deviation if deviation and deviation > _ROUNDING * abs(mean) else None)
    return Cell(text if ratio is None else f"{text} ({ratio:.2f}x)", mean, deviation, ratio)


def _band(key: str, real: SourceScores) -> Cell:
    """Return the ends between which sets of real digits lie, in place of the test digits' own value."""
    ends = real.seeds[0][key]
    assert isinstance(ends, tuple)
    low, high = ends
    return Cell(f"{BAND_PERCENT:.0f} % in {low:.3f} to {high:.3f}")


def verdicts(evaluation: Evaluation) -> list[str]:
    """Return a line for each source: its name, and what its figures mean."""
    return [f"{source.name}: {verdict(evaluation, source)}" for source in evaluation.sources]


def terminal_table(evaluation: Evaluation, rows: Sequence[Row]) -> Table:
    """Return the table for a terminal, to be printed on a PlainConsole."""
    table = Table(title=None, caption=caption(evaluation), caption_justify="left")
    table.add_column(_FIRST_COLUMN, overflow="fold")
    for name in _columns(evaluation):
        table.add_column(name, justify="right", overflow="fold")
    for row in rows:
        table.add_row(*_texts(row))
    return table


def markdown_table(evaluation: Evaluation, rows: Sequence[Row]) -> str:
    """Return the verdicts and the table in GitHub's Markdown, with its caption as a line below; it ends with a line break."""
    columns = _columns(evaluation)
    lines = [
        *(f"- {printable(line)}" for line in verdicts(evaluation)),
        "",
        _markdown_line([_FIRST_COLUMN, *columns]),
        _markdown_line(["---", *("---:" for _ in columns)]),
        *(_markdown_line(_texts(row)) for row in rows),
        "",
        caption(evaluation),
    ]
    return "\n".join(lines) + "\n"


def html_table(evaluation: Evaluation, rows: Sequence[Row]) -> str:
    """Return the table as an HTML element, with its caption."""
    head = "".join(f"<th>{escape(name)}</th>" for name in [_FIRST_COLUMN, *_columns(evaluation)])
    body = "\n".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in _texts(row)) + "</tr>" for row in rows)
    return f"<table>\n<caption>{escape(caption(evaluation))}</caption>\n<tr>{head}</tr>\n{body}\n</table>"


def html_matrices(evaluation: Evaluation) -> str:
    """Return an HTML table for each figure that is a matrix and each source that has it, real digits first.

    The rows are digits asked for, the columns digits judged; cells are shares of their row, over all seeds.
    """
    tables = []
    for figure in evaluation.options.figures:
        for scores in (evaluation.real, *evaluation.sources):
            values = [value for of_seed in scores.seeds if isinstance(value := of_seed[figure.key], np.ndarray)]
            if figure.summarize is not None and values:
                title = f"{printable(scores.name)}: digits asked for in rows, judged in columns, in % of those asked for"
                tables.append(_html_matrix(title, np.sum(values, axis=0)))
    return "\n".join(tables)


def _html_matrix(title: str, counts: NDArray[np.int64]) -> str:
    shares = 100 * counts / counts.sum(axis=1, keepdims=True).clip(1)
    lines = [["", *map(str, range(len(counts)))]]
    lines += [[str(digit), *(f"{share:.2f}" if share else "" for share in of_digit)] for digit, of_digit in enumerate(shares)]
    body = "\n".join("<tr>" + "".join(f"<td>{text}</td>" for text in texts) + "</tr>" for texts in lines)
    return f"<table>\n<caption>{escape(title)}</caption>\n{body}\n</table>"


def caption(evaluation: Evaluation) -> str:
    """Return what the numbers of the table are."""
    options = evaluation.options
    of_training = f"{QUICK_TRAINING_DIGITS:,} training digits" if options.quick else "training digits"
    parts = [
        f"{options.count:,} images each, in the test digits' proportions of classes, against {options.count:,} test digits",
        f"real digits are {REAL_SAMPLES} samples as large, from {of_training}, or the test digits where those are the measure",
        "± is the standard deviation" + (f", over {options.seeds} latent seeds of a source" if options.seeds > 1 else ""),
        "in brackets the ratio to real digits",
    ]
    if not all(source.has_classes for source in evaluation.sources):
        parts.append(
            "models without classes draw digits in proportions of their own, which alone would raise "
            "the ratio even of real digits"
        )
    if options.told_apart:
        parts.append(
            f"told apart: {TESTED_IMAGES:,} more images of each kind for the test, and as many batches in each row; the better "
            "network is chosen by these figures; "
            "real digits: one half of the training digits from the other, so 25,000 of each at most and "
            f"{REAL_TWO_SAMPLE_TESTED:,} for the test"
        )
    if options.told_apart or options.cas:
        parts.append(f"trainings of each network: {options.classifier_seeds}")
    return "; ".join(parts) + "."


def _columns(evaluation: Evaluation) -> list[str]:
    """Return the names of the columns, most of which are paths, so that they can be printed on a terminal, now or from a file."""
    return [printable(name) for name in (evaluation.real.name, *(source.name for source in evaluation.sources))]


def _texts(row: Row) -> list[str]:
    return [row.figure, row.real.text, *(cell.text for cell in row.sources)]


def _markdown_line(texts: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"


def evaluation_json(evaluation: Evaluation, rows: Sequence[Row]) -> str:
    """Return one JSON object: versions, the CPU threads, `plan`, `judges` (SHA-256), `real`, `sources` and `table`.

    Sources hold all figures of each seed, `table` the means of the rows that are numbers. `closest_pairs` are rows of the images
    of that seed, as they were drawn, and of the 55,000 training digits. `confusion` counts images by the digit asked for (rows)
    and the digit judged (columns). What is no finite number is null.
    """
    contents = {
        "pocketgan": VERSION,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "plan": asdict(evaluation.options),
        "judges": {name: judge.sha256 for name, judge in JUDGES.items()},
        "real": _source(evaluation.real),
        "sources": [{**_source(source), "verdict": verdict(evaluation, source)} for source in evaluation.sources],
        "table": [
            {"figure": row.figure, "real": _json_cell(row.real), "sources": [_json_cell(cell) for cell in row.sources]}
            for row in rows
        ],
    }
    return json.dumps(_as_json(contents), indent=2, allow_nan=False)


def _source(scores: SourceScores) -> dict[str, object]:
    return {
        "name": scores.name,
        "sha256": scores.sha256,
        "has_classes": scores.has_classes,
        "seeds": [_nested(of_seed) for of_seed in scores.seeds],
        **{figure.key: scores.trained.get(figure.key) for figure in TRAINED_FIGURES},
    }


def _nested(of_seed: SetFigures) -> dict[str, Any]:
    """Return the figures of one seed as an object of objects, by the parts of their keys."""
    nested: dict[str, Any] = {}
    for figure in FIGURES:
        if figure.in_json and figure.key in of_seed:
            *groups, name = figure.key.split(".")
            place = nested
            for group in groups:
                place = place.setdefault(group, {})
            place[name] = of_seed[figure.key]
    return nested


def _json_cell(cell: Cell) -> dict[str, object]:
    return {"mean": cell.mean, "deviation": cell.deviation, "ratio": cell.ratio}


def _as_json(value: object) -> object:
    """Return the value in types that JSON has: arrays and tuples as lists, infinite and undefined numbers as None."""
    if isinstance(value, dict):
        return {name: _as_json(item) for name, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _as_json(value.tolist())
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
