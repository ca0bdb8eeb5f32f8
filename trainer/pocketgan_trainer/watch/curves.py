"""`curves.png`: how a run went, from its statistics."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pocketgan.files import whole_file

_SIZE_INCHES = (13.0, 7.0)
_DOTS_PER_INCH = 90
_MOST_NAMES = 12
"""Of more classes the names would not fit."""


def write_curves(path: Path, lines: Sequence[Mapping[str, object]]) -> None:
    """Draw the lines of `stats.jsonl`, one for each epoch, as a PNG file. Raises OutputError if it cannot be written.

    What a line lacks, since another version wrote it, is left out.
    """
    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    FigureCanvasAgg(figure)
    (losses, scores, frechet), (shares, near, pairs) = figure.subplots(2, 3)
    _plot(losses, "losses", lines, {"generator_loss": "generator", "discriminator_loss": "discriminator"})
    _plot(scores, "how real the discriminator finds images", lines, {"real_score": "real", "fake_score": "generated"})
    scores.set_ylim(0, 1)
    _plot(frechet, "Frechet ratio to real validation images (1 = real)", lines, {"frechet_ratio": ""})
    frechet.set_yscale("log")
    frechet.yaxis.set_major_formatter("{x:g}")
    frechet.yaxis.set_minor_formatter("{x:g}")
    _plot_classes(shares, lines)
    _plot_lowest(near, lines)
    _plot(
        pairs,
        "pairs whose real one is named (0.5 = cannot tell)",
        lines,
        {"pairs_named_training": "of images trained on", "pairs_named_held_out": "of images never seen"},
    )
    pairs.set_ylim(0.4, 1.02)
    with whole_file(path) as temporary:
        # Without the version of the program that drew it, the same run has the same file.
        figure.savefig(temporary, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})


def _plot(axes: Axes, title: str, lines: Sequence[Mapping[str, object]], names: Mapping[str, str]) -> None:
    """Plot some fields of the lines over the epochs, each under its name."""
    _label(axes, title)
    for field, name in names.items():
        points = [(line["epoch"], line[field]) for line in lines if isinstance(line.get(field), float | int)]
        if points:
            axes.plot(*zip(*points, strict=True), label=name, marker=_marker(points))
    if any(names.values()) and axes.lines:
        axes.legend()


def _plot_classes(axes: Axes, lines: Sequence[Mapping[str, object]]) -> None:
    _label(axes, "share of the images that are taken for each class")
    tables = [(line["epoch"], table) for line in lines if isinstance(table := line.get("class_shares"), dict)]
    names = list(tables[-1][1]) if tables else []
    for number, name in enumerate(names):
        points = [(epoch, table[name]) for epoch, table in tables if name in table]
        colour = f"C{number % 10}"
        axes.plot(*zip(*points, strict=True), color=colour, label=name, marker=_marker(points))
    axes.set_ylim(bottom=0)
    if 1 < len(names) <= _MOST_NAMES:
        axes.legend(ncols=2, fontsize="small")


def _plot_lowest(axes: Axes, lines: Sequence[Mapping[str, object]]) -> None:
    _label(axes, "lowest of any class: coverage, variety (real: about 0.95, 1)")
    for field in ("coverage", "variety"):
        tables = [(line["epoch"], table) for line in lines if isinstance(table := line.get(field), dict)]
        known = [(epoch, [value for value in table.values() if value is not None]) for epoch, table in tables]
        points = [(epoch, min(values)) for epoch, values in known if values]
        if points:
            axes.plot(*zip(*points, strict=True), label=field, marker=_marker(points))
    axes.set_ylim(bottom=0)
    if axes.lines:
        axes.legend()


def _marker(points: Sequence[object]) -> str:
    """Return how the points of a line are marked: a single one would not show otherwise."""
    return "o" if len(points) == 1 else ""


def _label(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize="medium")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
