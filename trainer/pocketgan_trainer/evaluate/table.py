"""An evaluation as rows: for the terminal, as Markdown, as HTML and as JSON."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from html import escape
from statistics import fmean, stdev
from typing import TypeAlias

import numpy as np
import torch
from rich.table import Table

from pocketgan.console import printable
from pocketgan.version import VERSION
from pocketgan_trainer.data.published import CLASSES
from pocketgan_trainer.evaluate.classifiers import TESTED_IMAGES
from pocketgan_trainer.evaluate.copying import BAND_PERCENT, Memorization
from pocketgan_trainer.evaluate.evaluation import (
    REAL_SAMPLES,
    REAL_TOLD_APART_TESTED,
    TOLD_APART_IMAGES,
    Evaluation,
    SourceScores,
)
from pocketgan_trainer.evaluate.figures import ImageScores
from pocketgan_trainer.evaluate.judge import JUDGES
from pocketgan_trainer.evaluate.spaces import PIXEL_COMPONENTS

NO_CLASSES = "no classes"
_ROUNDING = 1e-9

Values: TypeAlias = Callable[[SourceScores], tuple[float, ...] | None]
"""Takes a figure, once for each seed, out of all figures of a source; None where it has none."""


@dataclass(frozen=True)
class Cell:
    """One figure of one source."""

    text: str
    mean: float | None = None
    """Over the seeds; None where there is no such figure."""
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


@dataclass(frozen=True)
class _Figure:
    """How a row is made."""

    name: str
    values: Values
    write: Callable[[float, float | None], str]
    """Makes text of a mean and, if there is one, a standard deviation."""
    has_ratio: bool = False
    band: Callable[[Memorization], tuple[float, float]] | None = None
    """Takes the ends between which 95 of 100 sets of real digits lie, as many as were generated: what is shown of real digits."""


def table_rows(evaluation: Evaluation, by_class: bool) -> tuple[Row, ...]:
    """Return the rows of all figures that were measured; `by_class` adds two for each digit."""
    figures = [*_IMAGE_FIGURES]
    if by_class:
        for digit in range(CLASSES):
            figures.append(_Figure(f"Judged as {digit}, of all images", _share_of(digit), _percent))
            figures.append(_Figure(f"Judged as {digit}, of those asked for as {digit}", _accuracy_of(digit), _percent))
    if evaluation.plan.told_apart:
        figures.append(_TOLD_APART)
    if evaluation.plan.cas:
        figures.append(_CAS)
    return tuple(_row(figure, evaluation) for figure in figures)


def _row(figure: _Figure, evaluation: Evaluation) -> Row:
    real = figure.values(evaluation.real)
    real_mean = fmean(real) if real and figure.has_ratio else None
    if figure.band is None:
        real_cell = _cell(figure, evaluation.real, None)
    else:
        low, high = figure.band(evaluation.real.images[0].memorization)
        real_cell = Cell(f"{BAND_PERCENT:.0f} % in {low:.3f} to {high:.3f}")
    return Row(figure.name, real_cell, tuple(_cell(figure, source, real_mean) for source in evaluation.sources))


def _cell(figure: _Figure, scores: SourceScores, real_mean: float | None) -> Cell:
    values = figure.values(scores)
    if values is None:
        return Cell(NO_CLASSES)
    mean, deviation = fmean(values), stdev(values) if len(values) > 1 else None
    ratio = mean / real_mean if real_mean else None
    # Of what no seed changes, such as the test digits' own figures, there is none but that of rounding.
    text = figure.write(mean, deviation if deviation and deviation > _ROUNDING * abs(mean) else None)
    return Cell(text if ratio is None else f"{text} ({ratio:.2f}x)", mean, deviation, ratio)


def _significant(mean: float, deviation: float | None) -> str:
    """Return three significant digits: `0.0502 ± 0.0011`."""
    return f"{mean:.3g}" if deviation is None else f"{mean:.3g} ± {deviation:.2g}"


def _percent(mean: float, deviation: float | None) -> str:
    """Return a share as `98.60 ± 0.05 %`."""
    return f"{100 * mean:.2f} %" if deviation is None else f"{100 * mean:.2f} ± {100 * deviation:.2f} %"


def _decimals(mean: float, deviation: float | None) -> str:
    """Return three decimals: `0.945 ± 0.002`."""
    return f"{mean:.3f}" if deviation is None else f"{mean:.3f} ± {deviation:.3f}"


def _each(take: Callable[[ImageScores], float | None]) -> Values:
    """Return what takes a figure out of each seed's figures; None if they lack it."""

    def values(scores: SourceScores) -> tuple[float, ...] | None:
        taken = [take(images) for images in scores.images]
        there = [value for value in taken if value is not None]
        return tuple(there) if len(there) == len(taken) else None

    return values


def _share_of(digit: int) -> Values:
    return _each(lambda images: images.classes.histogram[digit] / sum(images.classes.histogram))


def _accuracy_of(digit: int) -> Values:
    def accuracy(images: ImageScores) -> float | None:
        accuracies = images.classes.accuracy_of_class
        return None if accuracies is None else accuracies[digit]

    return _each(accuracy)


def _worst_accuracy(images: ImageScores) -> float | None:
    """Return the accuracy of the digit that comes out worst, among those that were asked for."""
    accuracies = images.classes.accuracy_of_class
    return None if accuracies is None else min(value for value in accuracies if not math.isnan(value))


_FIRST, _SECOND, _PIXELS = "first judge's features", "second judge's features", f"{PIXEL_COMPONENTS} pixel components"
_NOT_INCEPTION = "not Inception FID"
_TEST, _TRAINING = "Frechet distance", "Frechet distance to the 55,000 training digits"

_IMAGE_FIGURES = (
    _Figure(
        f"{_TEST}, {_FIRST} ({_NOT_INCEPTION})", _each(lambda images: images.against_test.frechet.first_judge), _significant, True
    ),
    _Figure(
        f"{_TEST}, {_SECOND} ({_NOT_INCEPTION})",
        _each(lambda images: images.against_test.frechet.second_judge),
        _significant,
        True,
    ),
    _Figure(f"{_TEST}, {_PIXELS}", _each(lambda images: images.against_test.frechet.pixels), _significant, True),
    _Figure(
        f"{_TRAINING}, {_FIRST} ({_NOT_INCEPTION})", _each(lambda images: images.training_frechet.first_judge), _significant, True
    ),
    _Figure(
        f"{_TRAINING}, {_SECOND} ({_NOT_INCEPTION})",
        _each(lambda images: images.training_frechet.second_judge),
        _significant,
        True,
    ),
    _Figure(f"{_TRAINING}, {_PIXELS}", _each(lambda images: images.training_frechet.pixels), _significant, True),
    _Figure(f"Kernel distance, {_FIRST}", _each(lambda images: images.against_test.kernel_distance), _significant),
    _Figure("Precision (k = 3)", _each(lambda images: images.against_test.neighbourhood.precision), _decimals),
    _Figure("Recall (k = 3)", _each(lambda images: images.against_test.neighbourhood.recall), _decimals),
    _Figure("Density (k = 5)", _each(lambda images: images.against_test.neighbourhood.density), _decimals),
    _Figure("Coverage (k = 5)", _each(lambda images: images.against_test.neighbourhood.coverage), _decimals),
    _Figure(
        f"Told apart by the nearest neighbour, {_FIRST}",
        _each(lambda images: images.against_test.nearest_neighbour_accuracy),
        _percent,
    ),
    _Figure(
        f"Told apart by the nearest neighbour, {_SECOND}",
        _each(lambda images: images.against_test.nearest_neighbour_accuracy_second_judge),
        _percent,
    ),
    _Figure(
        f"Told apart by the nearest neighbour, {_PIXELS}",
        _each(lambda images: images.against_test.nearest_neighbour_accuracy_pixels),
        _percent,
    ),
    _Figure(
        "Divergence of the classes from the test digits', in nats", _each(lambda images: images.classes.divergence), _significant
    ),
    _Figure("Judged as the digit asked for", _each(lambda images: images.classes.accuracy), _percent),
    _Figure("Judged as the digit asked for, worst digit", _each(_worst_accuracy), _percent),
    _Figure(
        "Distance to the nearest training digit, ratio to validation digits', median",
        _each(lambda images: images.memorization.nearest_ratio_median),
        _decimals,
        band=lambda memorization: memorization.band_median,
    ),
    _Figure(
        "Distance to the nearest training digit, ratio to validation digits', lowest 1 %",
        _each(lambda images: images.memorization.nearest_ratio_low),
        _decimals,
        band=lambda memorization: memorization.band_low,
    ),
    _Figure(
        "Data copying C_T (far below 0: copied)",
        _each(lambda images: images.memorization.copying_score),
        _decimals,
        band=lambda memorization: memorization.copying_band,
    ),
)
_TOLD_APART = _Figure("Told apart by a network trained to (50 % = it cannot)", lambda scores: scores.told_apart, _percent)
_CAS = _Figure("CAS: real test digits right after training on these only", lambda scores: scores.classifier_accuracy, _percent)


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


def evaluation_json(evaluation: Evaluation, rows: Sequence[Row]) -> str:
    """Return one JSON object: versions, the CPU threads, `plan`, `judges` (SHA-256), `real`, `sources` and `table`.

    Sources hold all figures of each seed, `table` the means of the rows. `closest_pairs` are rows of the images of that seed, as
    they were drawn, and of the 55,000 training digits. What is no finite number is null.
    """
    contents = {
        "pocketgan": VERSION,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "plan": asdict(evaluation.plan),
        "judges": {name: judge.sha256 for name, judge in JUDGES.items()},
        "real": _source(evaluation.real),
        "sources": [_source(source) for source in evaluation.sources],
        "table": [
            {"figure": row.figure, "real": _json_cell(row.real), "sources": [_json_cell(cell) for cell in row.sources]}
            for row in rows
        ],
    }
    return json.dumps(_plain(contents), indent=2, allow_nan=False)


def _source(scores: SourceScores) -> dict[str, object]:
    return {
        "name": scores.name,
        "sha256": scores.sha256,
        "has_classes": scores.has_classes,
        "seeds": [asdict(images) for images in scores.images],
        "told_apart": scores.told_apart,
        "classifier_accuracy": scores.classifier_accuracy,
    }


def _json_cell(cell: Cell) -> dict[str, object]:
    return {"mean": cell.mean, "deviation": cell.deviation, "ratio": cell.ratio}


def _plain(value: object) -> object:
    """Return the value in what JSON knows: arrays and tuples as lists, infinite and undefined numbers as None."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
