"""`curves.png`: a picture of a run's statistics."""

import io
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pocketgan.console import printable
from pocketgan.files import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE_INCHES = (17.0, 7.0)
_DOTS_PER_INCH = 90
_MOST_NAMES = 12
"""With more classes the legend would not fit, so there is none."""
_LONGEST_NAME = 32


def write_curves(path: Path, lines: Sequence[Mapping[str, object]]) -> None:
    """Draw the lines of `stats.jsonl`, one for each epoch, as a PNG file. Raises OutputError if it cannot be written.

    Fields that a line lacks, since another version wrote it, are left out.
    """
    with _matplotlib_as_delivered():
        contents = _drawn(lines)
    # Outside of matplotlib, so that its own errors with files, such as a missing font, are not taken for one with this file.
    with whole_file(path) as temporary:
        temporary.write_bytes(contents)


@contextmanager
def _matplotlib_as_delivered() -> Iterator[None]:
    """Use matplotlib's default settings, without warnings, inside the block.

    The user's settings are for the user's own pictures. A backend, which notebooks set for every process they start, may not even
    be importable here.
    """
    log = logging.getLogger("matplotlib")
    level = log.level
    set_by_user = {name: os.environ.pop(name) for name in ("MPLBACKEND", "MATPLOTLIBRC") if name in os.environ}
    os.environ["MATPLOTLIBRC"] = os.devnull
    log.setLevel(logging.CRITICAL)  # no warnings of unknown settings and of folders that cannot be written
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # for example of characters that the font lacks
            import matplotlib

            own = {name: value for name, value in matplotlib.rcParamsDefault.items() if not name.startswith("backend")}
            # Names are shown as they are, not as formulas.
            with matplotlib.rc_context({**own, "text.parse_math": False}):
                yield
    finally:
        log.setLevel(level)
        del os.environ["MATPLOTLIBRC"]
        os.environ.update(set_by_user)


def _drawn(lines: Sequence[Mapping[str, object]]) -> bytes:
    # Imported here, since matplotlib reads settings when it is imported, and only where there is something to draw.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    FigureCanvasAgg(figure)
    (losses, scores, pairs, frechet), (shares, near, wrong, texture) = figure.subplots(2, 4)
    _plot(losses, "losses", lines, {"generator_loss": "generator", "discriminator_loss": "discriminator"})
    _plot(scores, "probability of being real, by the discriminator", lines, {"real_score": "real", "fake_score": "generated"})
    scores.set_ylim(0, 1)
    _plot(frechet, "Frechet ratio to training images (1 = real)", lines, {"frechet_ratio": ""})
    frechet.set_yscale("log")
    frechet.yaxis.set_major_formatter("{x:g}")
    frechet.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    frechet.yaxis.set_minor_formatter("{x:g}")
    _plot_classes(shares, lines)
    _plot_lowest(near, lines)
    _plot(
        pairs,
        "pairs in which it finds the real one (0.5 = a guess)",
        lines,
        {"pairs_named_training": "of images trained on", "pairs_named_held_out": "of images never seen"},
    )
    pairs.set_ylim(0.4, 1.02)
    _plot(
        wrong,
        "share taken for another class; distance of parts and holes",
        lines,
        {"misjudged": "another class", "topology_distance": "parts and holes"},
    )
    wrong.set_ylim(bottom=0)
    _plot(texture, "told apart by texture (0.5 = a guess)", lines, {"told_apart_by_texture": ""})
    texture.set_ylim(0.4, 1.02)
    encoded = io.BytesIO()
    # The version of matplotlib is left out, so that the same run has the same file.
    figure.savefig(encoded, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return encoded.getvalue()


def _plot(axes: "Axes", title: str, lines: Sequence[Mapping[str, object]], names: Mapping[str, str]) -> None:
    """Plot some fields of the lines over the epochs, each under its name."""
    _label(axes, title)
    for field, name in names.items():
        points = [(line["epoch"], line[field]) for line in lines if isinstance(line.get(field), float | int)]
        if points:
            axes.plot(*zip(*points, strict=True), label=name, marker=_marker(points))
    if any(names.values()) and axes.lines:
        axes.legend()


def _plot_classes(axes: "Axes", lines: Sequence[Mapping[str, object]]) -> None:
    _label(axes, "share of the images that are taken for each class")
    tables = [(line["epoch"], table) for line in lines if isinstance(table := line.get("class_shares"), dict)]
    names = list(tables[-1][1]) if tables else []
    for number, name in enumerate(names):
        points = [(epoch, table[name]) for epoch, table in tables if name in table]
        colour = f"C{number % 10}"
        axes.plot(*zip(*points, strict=True), color=colour, label=_shown(name), marker=_marker(points))
    axes.set_ylim(bottom=0)
    if 1 < len(names) <= _MOST_NAMES:
        axes.legend(ncols=2, fontsize="small")


def _plot_lowest(axes: "Axes", lines: Sequence[Mapping[str, object]]) -> None:
    _label(axes, "lowest of any class (real: about 0.95 and 1)")
    for field in ("coverage", "variety"):
        tables = [(line["epoch"], table) for line in lines if isinstance(table := line.get(field), dict)]
        known = [(epoch, [value for value in table.values() if value is not None]) for epoch, table in tables]
        points = [(epoch, min(values)) for epoch, values in known if values]
        if points:
            axes.plot(*zip(*points, strict=True), label=field, marker=_marker(points))
    axes.set_ylim(bottom=0)
    if axes.lines:
        axes.legend()


def _shown(name: str) -> str:
    """Return the name of a class for a legend; matplotlib leaves out names that begin with an underscore."""
    shown = printable(name)[:_LONGEST_NAME]
    return f" {shown}" if shown.startswith("_") else shown


def _marker(points: Sequence[object]) -> str:
    """Return the marker of the points of a line: a single point would not show without one."""
    return "o" if len(points) == 1 else ""


def _label(axes: "Axes", title: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_title(title, fontsize="medium")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
