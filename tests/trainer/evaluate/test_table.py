"""The table of an evaluation: which rows it has, its forms, and JSON, which all hold the figures that were measured."""

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from importlib.metadata import version

import numpy as np
import pytest
from numpy.typing import NDArray
from quick_evaluation import COUNT, HALVED_LOSS, OPTIONS, REAL_ACCURACY, SECOND_GAIN, TWO_SAMPLE_ACCURACY, quick_evaluation
from rich.console import Console

from pocketgan import Generator
from pocketgan_trainer.evaluate.evaluation import Evaluation, SourceScores
from pocketgan_trainer.evaluate.figures import SetFigures, decimals, largest_confusions, number, percent, significant
from pocketgan_trainer.evaluate.judge import JUDGES
from pocketgan_trainer.evaluate.table import (
    Cell,
    Row,
    caption,
    evaluation_json,
    html_matrices,
    html_table,
    markdown_table,
    table_rows,
    terminal_table,
    verdicts,
)
from pocketgan_trainer.plain_console import PlainConsole


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """Of other real digits, with a bar in their name, of the same blurred, and of a model without classes; two seeds."""
    return quick_evaluation()


def row(evaluation: Evaluation, start: str, by_class: bool = False) -> Row:
    """Return the only row whose name starts so."""
    (found,) = (row for row in table_rows(evaluation, by_class) if row.figure.startswith(start))
    return found


def values(scores: SourceScores, key: str) -> list[float]:
    """Return a figure of each seed."""
    return [number(of_seed, key) for of_seed in scores.seeds]


def test_a_cell_is_mean_deviation_and_ratio_of_the_seeds(evaluation: Evaluation) -> None:
    key = "against_test.frechet.second_judge"
    cell = row(evaluation, "Frechet distance, second judge's features (not Inception FID)").sources[1]
    of_seeds, real = values(evaluation.sources[1], key), np.mean(values(evaluation.real, key))
    assert cell.mean == pytest.approx(np.mean(of_seeds))
    assert cell.deviation == pytest.approx(np.std(of_seeds, ddof=1))
    assert cell.ratio == pytest.approx(np.mean(of_seeds) / real)
    assert cell.text == f"{np.mean(of_seeds):.3g} ± {np.std(of_seeds, ddof=1):.2g} ({np.mean(of_seeds) / real:.2f}x)"


@pytest.mark.parametrize(
    ("write", "alone", "with_deviation"),
    [(significant, "0.986", "0.986 ± 0.0012"), (percent, "98.62 %", "98.62 ± 0.12 %"), (decimals, "0.986", "0.986 ± 0.001")],
)
def test_figures_are_written_with_the_digits_that_mean_something(
    write: Callable[[float, float | None], str], alone: str, with_deviation: str
) -> None:
    assert (write(0.9862, None), write(0.9862, 0.0012)) == (alone, with_deviation)


@pytest.mark.parametrize(
    ("start", "key"),
    [
        ("Frechet distance, first judge's features (not Inception FID)", "against_test.frechet.first_judge"),
        ("Frechet distance, 128 pixel components", "against_test.frechet.pixels"),
        ("Frechet distance to the 55,000 training digits, second", "training_frechet.second_judge"),
        ("Kernel distance", "against_test.kernel_distance"),
        ("Precision", "against_test.neighbourhood.precision"),
        ("Recall", "against_test.neighbourhood.recall"),
        ("Density", "against_test.neighbourhood.density"),
        ("Coverage", "against_test.neighbourhood.coverage"),
        ("Told apart by the nearest neighbour, first", "against_test.nearest_neighbour_accuracy"),
        ("Told apart by the nearest neighbour, 128", "against_test.nearest_neighbour_accuracy_pixels"),
        ("Distance to the nearest training digit, ratio to validation digits', median", "memorization.nearest_ratio_median"),
        ("Data copying", "memorization.copying_score"),
    ],
)
def test_each_figure_is_in_its_own_row(evaluation: Evaluation, start: str, key: str) -> None:
    assert row(evaluation, start).sources[2].mean == pytest.approx(np.mean(values(evaluation.sources[2], key)))


def test_trained_figures_have_their_rows(evaluation: Evaluation) -> None:
    first = [row(evaluation, f"Told apart by the first network, {digits}") for digits in ("40,000", "20,000", "10,000", "5,000")]
    for halvings, one in enumerate(first):
        assert one.sources[2].mean == pytest.approx(TWO_SAMPLE_ACCURACY + 0.005 - HALVED_LOSS * halvings)
    second, better = row(evaluation, "Told apart by the second network, 40"), row(evaluation, "Told apart by the better of two")
    assert second.sources[2].mean == pytest.approx(TWO_SAMPLE_ACCURACY + 0.005 + SECOND_GAIN)
    assert (better.real, better.sources) == (second.real, second.sources)
    assert row(evaluation, "CAS").real.mean == pytest.approx(REAL_ACCURACY + 0.005)


def test_figures_about_classes_are_shown_as_missing_without_classes(evaluation: Evaluation) -> None:
    for start in ("Judged as the digit asked for", "Most often judged as another digit", "CAS"):
        found = [row for row in table_rows(evaluation, False) if row.figure.startswith(start)]
        assert found
        assert all(one.sources[2] == Cell("no classes") for one in found)
        assert not any(one.sources[0].text == "no classes" for one in found)


def test_the_worst_digit_is_the_one_with_the_lowest_accuracy(evaluation: Evaluation) -> None:
    worst = [min(accuracies(of_seed)) for of_seed in evaluation.sources[0].seeds]
    cell = row(evaluation, "Judged as the digit asked for, worst digit").sources[0]
    assert cell.mean == pytest.approx(np.mean(worst))
    assert cell.text.endswith(" %")


def test_confusions_are_summed_over_the_seeds(evaluation: Evaluation) -> None:
    both = [array(of_seed, "classes.confusion") for of_seed in evaluation.sources[1].seeds]
    assert row(evaluation, "Most often judged as another digit").sources[1].text == largest_confusions(both[0] + both[1])


def test_rows_of_each_digit_come_only_if_asked_for(evaluation: Evaluation) -> None:
    assert len(table_rows(evaluation, True)) == len(table_rows(evaluation, False)) + 20
    mlp = [of_seed["classes.histogram"] for of_seed in evaluation.sources[2].seeds]
    shares = [row(evaluation, f"Judged as {digit}, of all", by_class=True).sources[2].mean for digit in range(10)]
    assert shares == pytest.approx(np.mean(np.array(mlp), axis=0) / COUNT)
    cells = [row(evaluation, f"Judged as {digit}, of those", by_class=True).sources[1] for digit in range(10)]
    expected = np.mean([accuracies(of_seed) for of_seed in evaluation.sources[1].seeds], axis=0)
    assert [cell.mean for cell in cells] == pytest.approx(expected)
    assert row(evaluation, "Judged as 3, of those", by_class=True).sources[2].text == "no classes"


def test_the_band_of_memorization_is_shown_for_real_digits(evaluation: Evaluation) -> None:
    band = evaluation.real.seeds[0]["memorization.band_low"]
    assert isinstance(band, tuple)
    cell = row(evaluation, "Distance to the nearest training digit, ratio to validation digits', lowest").real
    # The test digits' own value is not that of the training digits' writers.
    assert cell == Cell(f"95 % in {band[0]:.3f} to {band[1]:.3f}")


def test_a_single_seed_has_no_deviation_and_what_was_not_measured_no_row(evaluation: Evaluation) -> None:
    single = replace(
        evaluation,
        options=replace(evaluation.options, seeds=1, told_apart=False, cas=False),
        real=replace(evaluation.real, seeds=evaluation.real.seeds[:1]),
        sources=tuple(replace(source, seeds=source.seeds[:1]) for source in evaluation.sources),
    )
    rows = table_rows(single, True)
    assert not any(row.figure.startswith(("Told apart by the first network", "Told apart by the better", "CAS")) for row in rows)
    assert all(cell.deviation is None and "±" not in cell.text for row in rows for cell in (row.real, *row.sources))


def accuracies(of_seed: SetFigures) -> tuple[float, ...]:
    """Return the accuracy of each digit."""
    found = of_seed["classes.accuracy_of_class"]
    assert isinstance(found, tuple)
    return found


def array(of_seed: SetFigures, key: str) -> NDArray[np.int64]:
    """Return a figure that is a matrix."""
    found = of_seed[key]
    assert isinstance(found, np.ndarray)
    return found


@pytest.fixture(scope="module")
def rows(evaluation: Evaluation) -> tuple[Row, ...]:
    """Of that evaluation."""
    return table_rows(evaluation, True)


@pytest.fixture(scope="module")
def expected(rows: tuple[Row, ...]) -> list[list[str]]:
    """All texts, the head first."""
    head = ["figure", "real digits", "other|digits.npz", "blurred", "mlp"]
    return [head, *([row.figure, row.real.text, *(cell.text for cell in row.sources)] for row in rows)]


class CellTexts(HTMLParser):
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
    count = len(evaluation.sources)
    assert lines[: count + 1] == [*(f"- {line}" for line in verdicts(evaluation)), ""]
    del lines[: count + 1]
    found = [[text.replace("\\|", "|") for text in re.split(r"(?<!\\) \| ", line[2:-2])] for line in lines[: len(expected) + 1]]
    assert [found[0], *found[2:]] == expected
    assert lines[1] == "| --- | ---: | ---: | ---: | ---: |"
    assert lines[len(expected) + 1 :] == ["", caption(evaluation)]


def test_html_holds_the_figures_of_the_table(evaluation: Evaluation, rows: tuple[Row, ...], expected: list[list[str]]) -> None:
    names = ("<b>", "blurred", "mlp")
    named = replace(
        evaluation, sources=tuple(replace(one, name=name) for one, name in zip(evaluation.sources, names, strict=True))
    )
    cells = CellTexts()
    cells.feed(html_table(named, rows))
    assert cells.rows == [["figure", "real digits", *names], *expected[1:]]


def test_html_matrices_are_shares_of_each_digit_asked_for(evaluation: Evaluation) -> None:
    cells = CellTexts()
    cells.feed(html_matrices(evaluation))
    # Real digits and the two sources with classes; each with a head and ten rows.
    assert len(cells.rows) == 3 * 11
    assert cells.rows[11] == ["", *"0123456789"]
    both = sum(array(of_seed, "classes.confusion") for of_seed in evaluation.sources[0].seeds)
    shares = 100 * np.array(both) / np.array(both).sum(axis=1, keepdims=True)
    assert cells.rows[12 + 4] == ["4", *(f"{share:.2f}" if share else "" for share in shares[4])]


def test_a_wide_terminal_shows_every_text(evaluation: Evaluation, rows: tuple[Row, ...], expected: list[list[str]]) -> None:
    console = Console(width=400)
    with console.capture() as capture:
        console.print(terminal_table(evaluation, rows))
    shown = capture.get()
    assert all(text in shown for texts in expected for text in texts)
    assert caption(evaluation) in " ".join(shown.split())


def test_the_caption_says_what_the_numbers_are(evaluation: Evaluation) -> None:
    text = caption(evaluation)
    assert text.startswith("1,000 images each, in the test digits' proportions of classes, against 1,000 test digits; ")
    assert "over 2 latent seeds" in text
    assert "without classes" in text
    assert "told apart: 5,000 more images of each kind for the test" in text
    assert "trainings of each network: 2" in text
    with_classes = replace(evaluation, options=replace(OPTIONS, told_apart=False, cas=False), sources=evaluation.sources[:2])
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


def test_json_holds_every_figure_of_every_seed_as_measured(evaluation: Evaluation) -> None:
    rows = table_rows(evaluation, False)
    found = json.loads(evaluation_json(evaluation, rows))
    assert found["pocketgan"] == version("pocketgan")
    assert found["judges"] == {name: judge.sha256 for name, judge in JUDGES.items()}
    assert found["plan"] == {"count": 1000, "seeds": 2, "told_apart": True, "cas": True, "classifier_seeds": 2, "quick": False}
    assert [source["name"] for source in found["sources"]] == ["other|digits.npz", "blurred", "mlp"]
    assert [source["sha256"] for source in found["sources"]] == ["0" * 64, None, Generator.load("mlp").sha256]

    for source, scores in zip((found["real"], *found["sources"]), (evaluation.real, *evaluation.sources), strict=True):
        assert len(source["seeds"]) == 2
        for written, of_seed in zip(source["seeds"], scores.seeds, strict=True):
            assert written["against_test"]["frechet"]["first_judge"] == of_seed["against_test.frechet.first_judge"]
            assert written["against_test"]["neighbourhood"]["coverage"] == of_seed["against_test.neighbourhood.coverage"]
            np.testing.assert_equal(tuple(written["classes"]["histogram"]), of_seed["classes.histogram"])
            assert written["classes"]["accuracy"] == of_seed["classes.accuracy"]
            np.testing.assert_array_equal(written["memorization"]["closest_pairs"], array(of_seed, "memorization.closest_pairs"))
        for key in ("told_apart", "told_apart_5000", "told_apart_second", "told_apart_second_20000"):
            assert source[key] == list(scores.trained[key])
    assert (
        found["sources"][0]["seeds"][1]["classes"]["confusion"]
        == array(evaluation.sources[0].seeds[1], "classes.confusion").tolist()
    )
    assert found["sources"][2]["seeds"][0]["classes"]["confusion"] is None
    assert found["sources"][2]["classifier_accuracy"] is None
    assert found["sources"][2]["seeds"][0]["classes"]["accuracy"] is None

    assert [row["figure"] for row in found["table"]] == [row.figure for row in rows]
    for line, row in zip(found["table"], rows, strict=True):
        assert line["real"]["mean"] == row.real.mean
        assert [cell["ratio"] for cell in line["sources"]] == [cell.ratio for cell in row.sources]


def test_keys_of_json_stay_what_they_were(evaluation: Evaluation) -> None:
    seed = json.loads(evaluation_json(evaluation, ()))["sources"][0]["seeds"][0]
    assert {group: list(figures) for group, figures in seed.items()} == {
        "against_test": [
            "frechet",
            "kernel_distance",
            "neighbourhood",
            "nearest_neighbour_accuracy",
            "nearest_neighbour_accuracy_second_judge",
            "nearest_neighbour_accuracy_pixels",
            "told_apart_by_texture",
        ],
        "traits": [
            "sized_and_centered",
            "usual_full_ink",
            "one_full_ink",
            "level_distance",
            "edge_distance",
            "topology_distance",
            "slant_distance",
            "thickness_distance",
            "width_distance",
        ],
        "training_frechet": ["first_judge", "second_judge", "pixels"],
        "classes": ["histogram", "divergence", "accuracy_of_class", "accuracy", "confusion"],
        "memorization": [
            "nearest_ratio_median",
            "nearest_ratio_low",
            "band_median",
            "band_low",
            "copying_score",
            "copying_band",
            "closest_pairs",
        ],
    }
    assert list(seed["against_test"]["frechet"]) == ["first_judge", "second_judge", "pixels"]
    assert list(seed["against_test"]["neighbourhood"]) == ["precision", "recall", "density", "coverage"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_null(evaluation: Evaluation, value: float) -> None:
    odd = {**evaluation.sources[0].seeds[0], "classes.divergence": value}
    changed = replace(evaluation, sources=(replace(evaluation.sources[0], seeds=(odd,)),))
    found = json.loads(evaluation_json(changed, ()))
    assert found["sources"][0]["seeds"][0]["classes"]["divergence"] is None
