"""`curves.png` is drawn for every run, whatever its lines hold."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from full_disk import small_files_only
from observations import class_view, line_of, observation
from PIL import Image

from pocketgan.errors import OutputError
from pocketgan_trainer.watch import curves
from pocketgan_trainer.watch.curves import write_curves
from pocketgan_trainer.watch.observation import ClassView, Observation

Lines = list[dict[str, object]]

WIDTH, HEIGHT = 1530, 630
BLUE = (31, 119, 180)
"""Of the first line in a diagram."""
FIGURES = (
    "generator_loss",
    "discriminator_loss",
    "real_score",
    "fake_score",
    "pairs_named_training",
    "pairs_named_held_out",
    "misjudged",
    "topology_distance",
    "told_apart_by_texture",
)
TABLES = ("class_shares", "coverage", "variety")
CAT, DOG = class_view("cat", share=0.6, real_share=0.5), class_view("dog", share=0.4, real_share=0.5)


def pets(ratio: float, *changed: ClassView, named_training: float = 0.75, named_held_out: float = 0.75) -> Observation:
    """Return an observation of cats and dogs, some of them `changed`."""
    views = {view.name: view for view in (CAT, DOG, *changed)}
    return observation(ratio, tuple(views.values()), named_training, named_held_out, names=tuple(views))


LINES: Lines = [line_of(epoch, pets(4.0 / epoch)) for epoch in (1, 2, 3)]


def drawn(path: Path, lines: Lines) -> bytes:
    """Return the file of the curves of these lines, a whole PNG file of the size that all of them have."""
    write_curves(path, lines)
    with Image.open(path) as picture:
        picture.load()
        assert picture.format == "PNG"
        assert picture.size == (WIDTH, HEIGHT)
        lightest_and_darkest = picture.convert("L").getextrema()
        assert lightest_and_darkest == (0, 255)
    return path.read_bytes()


def panels(path: Path, lines: Lines) -> list[Image.Image]:
    """Return the eight diagrams of the curves of these lines, row by row."""
    drawn(path, lines)
    wide, high = WIDTH // 4, HEIGHT // 2
    with Image.open(path) as picture:
        corners = [(wide * column, high * row) for row in range(2) for column in range(4)]
        return [picture.convert("RGB").crop((left, top, left + wide, top + high)) for left, top in corners]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The curves of LINES."""
    path = tmp_path_factory.mktemp("curves") / "curves.png"
    drawn(path, LINES)
    return path


def test_unknown_coverage_is_left_out_and_the_same_diagrams_are_the_same_file(tmp_path: Path, known: Path) -> None:
    path = tmp_path / "curves.png"
    path.write_bytes(b"older")
    assert drawn(path, [{**line, "coverage": {"cat": 0.9, "dog": None}} for line in LINES]) == known.read_bytes()
    assert list(tmp_path.iterdir()) == [path]


REACH: Lines = [
    {"epoch": 0, **dict.fromkeys(FIGURES, 0.3), **{table: {"cat": 0.05, "dog": 0.05} for table in TABLES}, "frechet_ratio": 1.0},
    {"epoch": 1, **dict.fromkeys(FIGURES, 1.0), **{table: {"cat": 1.0, "dog": 1.0} for table in TABLES}, "frechet_ratio": 10.0},
    *({**line, "epoch": epoch} for epoch, line in enumerate([*LINES, LINES[-1]], start=2)),
]
"""Lines whose first two take the axes as far as they go, so that a change in the others changes nothing but the curves."""


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> list[Image.Image]:
    """The diagrams of REACH."""
    return panels(tmp_path_factory.mktemp("curves") / "curves.png", REACH)


@pytest.mark.parametrize(
    "changed",
    [
        {
            "generator_loss": 0.5,
            "real_score": 0.4,
            "frechet_ratio": 3.0,
            "class_shares": {"cat": 0.3, "dog": 0.4},
            "coverage": {"cat": 0.9, "dog": 0.4},
            "pairs_named_training": 0.9,
            "misjudged": 0.9,
            "told_apart_by_texture": 0.9,
        },
        {
            "discriminator_loss": 0.9,
            "fake_score": 0.6,
            "frechet_ratio": 5.0,
            "class_shares": {"cat": 0.6, "dog": 0.9},
            "variety": {"cat": 0.4, "dog": 0.9},
            "pairs_named_held_out": 0.5,
            "topology_distance": 0.9,
            "told_apart_by_texture": 0.6,
        },
    ],
    ids=["some", "the others"],
)
def test_each_figure_shows_in_its_diagram(tmp_path: Path, before: list[Image.Image], changed: dict[str, object]) -> None:
    after = panels(tmp_path / "curves.png", [*REACH[:-2], {**REACH[-2], **changed}, REACH[-1]])
    assert [one.tobytes() == other.tobytes() for one, other in zip(before, after, strict=True)] == [False] * 8


@pytest.mark.parametrize(
    ("lines", "is_there"), [([], False), ([{"epoch": 1, "frechet_ratio": 2.0, "class_shares": {"cat": 1.0}}], True)], ids=[0, 1]
)
def test_a_single_epoch_shows_as_points(tmp_path: Path, lines: Lines, is_there: bool) -> None:
    _, _, _, ratio, shares, *_ = panels(tmp_path / "curves.png", lines)
    # These two have no legend, in which the colour would be as well.
    for diagram in (ratio, shares):
        assert (np.asarray(diagram) == BLUE).all(axis=2).any() == is_there


def test_what_lines_lack_is_left_out(tmp_path: Path) -> None:
    lines: Lines = [
        {"epoch": 1},
        {"epoch": 2, "frechet_ratio": None, "coverage": None, "class_shares": None},
        {"epoch": 3, "class_shares": {}, "coverage": {}, "variety": {}},
        {"epoch": 4, "class_shares": {"cat": 1.0}, "coverage": {"cat": None}},
        line_of(5, pets(2.0, class_view("owl"))),
    ]
    assert drawn(tmp_path / "curves.png", lines)


def test_many_classes_are_drawn(tmp_path: Path) -> None:
    names = [f"class{number}" for number in range(13)]
    assert drawn(tmp_path / "curves.png", [line_of(epoch, observation(2.0, names=names)) for epoch in (1, 2)])


def test_on_a_full_disk_the_older_curves_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves, "_drawn", lambda lines: bytes(1_000_000))
    path = tmp_path / "curves.png"
    path.write_bytes(b"older")
    with pytest.raises(OutputError, match=r"cannot write .*curves\.png: File too large"), small_files_only():
        write_curves(path, LINES)
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


def test_names_of_classes_are_shown_as_they_are(tmp_path: Path) -> None:
    # A name that begins with an underscore, one that would be a formula, one that could control a terminal, and a long one.
    names = [[first, r"$\frac", "\x1b[31m\n\u202e", "\U0001f600" * 10_000] for first in ("_a", "_b")]
    files = [drawn(tmp_path / "curves.png", [line_of(epoch, observation(names=four)) for epoch in (1, 2)]) for four in names]
    assert files[0] != files[1]


def test_settings_of_the_user_change_nothing_and_matplotlib_is_imported_only_to_draw(tmp_path: Path, known: Path) -> None:
    settings = "text.usetex: True\nfont.size: 30\nfigure.facecolor: red\npath.sketch: 1, 2, 3\nbackend: module://none\nnonsense\n"
    for folder in (tmp_path, tmp_path / ".config" / "matplotlib"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "matplotlibrc").write_text(settings)
    code = f"""
import sys
from pathlib import Path
import pocketgan_trainer.train_run
assert "matplotlib" not in sys.modules
from pocketgan_trainer.watch import curves
from pocketgan_trainer.watch.curves import write_curves
write_curves(Path("curves.png"), {LINES!r})
"""
    set_by_user = {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "MPLCONFIGDIR": "/dev/null", "HOME": str(tmp_path)}
    command = [sys.executable, "-c", code]
    environment = {**os.environ, **set_by_user, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": "error::UserWarning"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "curves.png").read_bytes() == known.read_bytes()
